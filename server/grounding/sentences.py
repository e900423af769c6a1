"""Where sentences end, in a text that is complete and in one that is still being written, by the same rule."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A full stop after these is part of the word.
_ABBREVIATIONS = {
    *("mr", "mrs", "ms", "dr", "prof", "st", "nr", "art", "sec", "fig", "vol", "vs", "approx", "ca", "dept"),
    *("inc", "ltd", "co", "e.g", "i.e", "cf", "est", "tel", "ext"),
}
# Punctuation that closes a sentence, with the quotes and brackets that close after it.
_STOP = re.compile(r"(?:[.!?…]+[\"'”’)\]]*)$")
_BULLET = "-*•#|"
# A line this short with no full stop is a heading or an item of a list; longer ones were wrapped.
_SHORT_LINE = 48


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, or a heading, by its place in the text; the white space around it is not part of it."""

    start: int
    end: int


def sentences(text: str) -> list[Sentence]:
    """Cut a complete text into sentences."""
    return list(_closed(text, 0, complete=True))


class OpenText:
    """A text that grows. Sentences come out as soon as what follows them proves that they have ended.

    However the text was cut into pieces, the same sentences come out.
    """

    def __init__(self) -> None:
        self.text = ""
        self.open_from = 0  # where the sentence that has not ended yet may start

    def grow(self, piece: str) -> list[Sentence]:
        """Append a piece and return the sentences that it closed."""
        self.text += piece
        return self._take(complete=False)

    def end(self) -> list[Sentence]:
        """Return what was still open: nothing follows any more."""
        return self._take(complete=True)

    def _take(self, *, complete: bool) -> list[Sentence]:
        closed = list(_closed(self.text, self.open_from, complete=complete))
        if closed:
            self.open_from = closed[-1].end
        return closed


_GAP = re.compile(r"\s+")


def _closed(text: str, position: int, *, complete: bool) -> Iterator[Sentence]:
    start = _skip_space(text, position)
    for gap in _GAP.finditer(text, start):
        if gap.end() == len(text):
            break  # the character after the gap decides, and it is not there yet
        if gap.start() > start and _ends(text[start : gap.start()], gap.group(), text[gap.end()]):
            yield Sentence(start, gap.start())
            start = gap.end()
    if complete:
        end = len(text.rstrip())
        if end > start:
            yield Sentence(start, end)


def _ends(sentence: str, gap: str, following: str) -> bool:
    if gap.count("\n") > 1:
        return True
    stop = _STOP.search(sentence)
    if "\n" in gap:
        if following in _BULLET:
            return True
        line = sentence.rpartition("\n")[2]
        if not stop and len(line) < _SHORT_LINE and following.isupper():
            return True
    if not stop or following.islower():
        return False
    last = sentence.split()[-1].lstrip("\"'“‘(").rstrip(".").casefold()
    is_item = last.isdecimal() or len(last) == 1  # "1." and "b." open an item
    is_ordinal = is_item and len(sentence.strip()) <= len(last) + 1
    is_initial = stop.group() == "." and len(last) == 1 and last.isalpha()
    is_number_sign = last == "no" and following.isdigit()  # "No. 5", but "The answer is no. Ask again."
    is_abbreviation = stop.group() == "." and (last in _ABBREVIATIONS or is_number_sign)
    return not (is_ordinal or is_initial or is_abbreviation)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
