"""Where sentences end, in a text that is complete and in one that is still being written, by the same rule."""

import re
from dataclasses import dataclass

# A full stop after these is part of the word.
_ABBREVIATIONS = {
    *("mr", "mrs", "ms", "dr", "prof", "st", "nr", "art", "sec", "fig", "vol", "vs", "approx", "ca", "dept"),
    *("inc", "ltd", "co", "e.g", "i.e", "cf", "est", "tel", "ext"),
}
# Punctuation that closes a sentence, with the quotes and brackets that close after it.
_STOP = re.compile(r"(?:[.!?…]+[\"'”’)\]]*)$")
_BULLET = "-*•#|"
_GAP = re.compile(r"\s+")
# Looking back no further keeps a text without full stops from costing its length at every word.
_LONGEST_STOP, _LONGEST_WORD = 8, 40
# A line this short with no full stop is a heading or an item of a list; longer ones were wrapped.
_SHORT_LINE = 48


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, or a heading, by its place in the text; the white space around it is not part of it."""

    start: int
    end: int


def sentences(text: str) -> list[Sentence]:
    """Cut a complete text into sentences."""
    open_text = OpenText()
    return [*open_text.grow(text), *open_text.end()]


class OpenText:
    """A text that grows. Sentences come out as soon as what follows them proves that they have ended.

    However the text was cut into pieces, the same sentences come out.
    """

    def __init__(self) -> None:
        self.text = ""
        self._start = 0  # of the sentence that has not ended yet
        self._scanned = 0  # no sentence ends at white space before this

    def grow(self, piece: str) -> list[Sentence]:
        """Append a piece and return the sentences that it closed."""
        self.text += piece
        closed = []
        for gap in _GAP.finditer(self.text, self._scanned):
            if gap.end() == len(self.text):
                break  # the character after the gap decides, and it is not there yet
            self._scanned = gap.end()
            if gap.start() == self._start:
                self._start = gap.end()
            elif _ends(self.text, self._start, gap.start(), gap.end()):
                closed.append(Sentence(self._start, gap.start()))
                self._start = gap.end()
        return closed

    def end(self) -> list[Sentence]:
        """Return what was still open: nothing follows any more."""
        end = len(self.text.rstrip())
        return [Sentence(self._start, end)] if end > self._start else []


def _ends(text: str, start: int, end: int, resume: int) -> bool:
    """Does a sentence that began at `start` end at `end`, where white space follows up to `resume`?"""
    newlines, following = text.count("\n", end, resume), text[resume]
    if newlines > 1:
        return True
    stop = _STOP.search(text, max(start, end - _LONGEST_STOP), end)
    if newlines:
        line_length = end - max(start, text.rfind("\n", start, end) + 1)
        if following in _BULLET or (not stop and line_length < _SHORT_LINE and not following.islower()):
            return True
    if not stop or following.islower():
        return False
    last = text[max(start, end - _LONGEST_WORD) : end].split()[-1].lstrip("\"'“‘(").rstrip(".").casefold()
    is_item = last.isdecimal() or len(last) == 1  # "1." and "b." open an item
    is_ordinal = is_item and end - start <= len(last) + 1
    is_initial = stop.group() == "." and len(last) == 1 and last.isalpha()
    is_number_sign = last == "no" and following.isdigit()  # "No. 5", but "The answer is no. Ask again."
    is_abbreviation = stop.group() == "." and (last in _ABBREVIATIONS or is_number_sign)
    return not (is_ordinal or is_initial or is_abbreviation)
