"""What a file turns out to hold: its text, with headings and places in it. Knows no format."""

from bisect import bisect_right
from dataclasses import dataclass

from retrieval.types import Flag


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading's place in the stored text, and its rank: 1 is the highest."""

    start: int
    end: int
    level: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file the text from `start` on stands, up to the next place."""

    start: int
    page: int | None  # counted from 1: a page, a slide, a sheet; None: the format has none
    unit: str  # what `number` counts, as a person says it: page, slide, row
    number: int
    within: str = ""  # the sheet, for a row


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's stored text. Headings and places stand in it at their offsets, in rising order."""

    title: str
    text: str
    headings: tuple[Heading, ...] = ()
    places: tuple[Place, ...] = ()
    stripped: int = 0  # characters that a program would have read and a person does not see
    flags: tuple[Flag, ...] = ()

    def page_at(self, offset: int) -> int | None:
        """The page that the character at `offset` is on."""
        at = self._place_no(offset)
        return None if at < 0 else self.places[at].page

    def locator(self, start: int, end: int) -> str:
        """Where a span stands, for a person who has the file open: "page 3", "Fees, rows 12–18"; empty: unknown."""
        first, last = self._place_no(start), self._place_no(max(start, end - 1))
        if first < 0:
            return ""
        begins, ends = self.places[first], self.places[last]
        within = f"{begins.within}, " if begins.within else ""
        if begins.number == ends.number or begins.within != ends.within:
            return f"{within}{begins.unit} {begins.number}"
        return f"{within}{begins.unit}s {begins.number}–{ends.number}"

    def page_borders(self) -> list[int]:
        """Offsets at which a page begins with a paragraph of its own, in rising order."""
        pages = [None, *(place.page for place in self.places)]
        return [
            place.start
            for before, place in zip(pages, self.places, strict=False)
            if place.page != before and self.text.endswith("\n\n", 0, place.start)
        ]

    def _place_no(self, offset: int) -> int:
        return bisect_right(self.places, offset, key=lambda place: place.start) - 1
