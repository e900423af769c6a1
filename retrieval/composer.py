"""Stored text put together paragraph by paragraph, with headings and places at their offsets. It knows no format."""

from pathlib import Path

from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.parsed import Heading, Parsed, Place
from retrieval.visible import clean, one_line


class Composer:
    """Cleans what is added, and refuses a document whose text grows past the limit."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._places: list[Place] = []
        self._next: tuple[int | None, str, int, str] | None = None
        self._stripped = 0

    def place(self, page: int | None, unit: str, number: int, within: str = "") -> None:
        """Say where in the file what is added next stands."""
        if page is not None and page > self._limits.pages:
            raise DocumentRefused(
                self._path, f"it has more than {self._limits.pages:,} pages; split it, or raise HRM_PARSE_PAGES"
            )
        place = (page, unit, number, clean(within)[0])
        last = self._places[-1] if self._places else None
        is_same = last is not None and place == (last.page, last.unit, last.number, last.within)
        self._next = None if is_same else place

    def strip(self, characters: int) -> None:
        """Count what is left out because no reader sees it."""
        self._stripped += characters

    def add(self, text: str, *, level: int = 0, joint: str = "\n\n") -> None:
        """Add a paragraph; a `level` above 0 makes it a heading, of one line. Blank text leaves no trace.

        Args:
            joint: what stands between it and what was added before.

        Raises:
            DocumentRefused: the document is too long.
        """
        text, unseen = clean(text)
        self._stripped += unseen
        text = one_line(text) if level else text.strip()
        if not text:
            return
        if self._parts:
            self._parts.append(joint)
            self._length += len(joint)
        if self._next is not None:
            page, unit, number, within = self._next
            self._places.append(Place(self._length, page, unit, number, within))
            self._next = None
        if level:
            self._headings.append(Heading(self._length, self._length + len(text), level))
        self._parts.append(text)
        self._length += len(text)
        if self._length > self._limits.characters:
            raise DocumentRefused(self._path, too_long(self._limits))

    @property
    def is_empty(self) -> bool:
        return not self._parts

    def parsed(self, title: str = "") -> Parsed:
        """What has been added, under this title, or its first heading where that is empty."""
        text = "".join(self._parts)
        title = one_line(clean(title)[0])
        if not title and self._headings:
            title = text[self._headings[0].start : self._headings[0].end]
        return Parsed(title, text, tuple(self._headings), tuple(self._places), self._stripped)


def too_long(limits: Limits) -> str:
    """The reason for a refusal."""
    return f"it holds more than {limits.characters:,} characters; split it, or raise HRM_PARSE_CHARACTERS"
