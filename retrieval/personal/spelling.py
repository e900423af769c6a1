"""Texts as the finders read them: without what nobody sees, whatever dashes, blanks and digits a document uses."""

import re
from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from retrieval.personal.placeholders import before

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_DASHES = dict.fromkeys("\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
# Unicode 16, Default_Ignorable_Code_Point, but for the soft hyphen, which is a dash where a line ends; and the marks
# that put a character in a ring or on a key (`1\ufe0f\u20e3`), which is the same character for whoever reads it.
_UNSEEN = re.compile(
    "[\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u20dd-\u20e0\u20e2-\u20e4]+"
)
# Behind a comma, the decimals or thousands of an amount; more digits, or those and others, are another thing.
NO_AMOUNT = r"(?!,[0-9]{1,3}(?![0-9]|[ ][0-9]))"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader sees of a text, in plain characters, and the way back to the text's own offsets."""

    text: str
    _at: Sequence[int] = ()  # places here before which characters were left out
    _left_out: Sequence[int] = ()  # how many, up to each

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where the text has what stands here from `start` to `end`, with the unseen that is in it and right behind."""
        return self._place(start), self._place(end)

    def _place(self, at: int) -> int:
        before = bisect_right(self._at, at)
        return at + self._left_out[before - 1] if before else at


def seen(text: str) -> Seen:
    """What a reader sees."""
    at: list[int] = []
    left_out: list[int] = []
    so_far = 0
    for gap in _UNSEEN.finditer(text):
        at.append(gap.start() - so_far)
        so_far += gap.end() - gap.start()
        left_out.append(so_far)
    return Seen(plain(_UNSEEN.sub("", text) if at else text), at, left_out)


def plain(text: str) -> str:
    """The text with blanks, dashes and full-width characters in their plain form; of the same length."""
    odd = set(_NOT_ASCII.findall(text))
    return text.translate({ord(character): _plain(character) for character in odd}) if odd else text


def _plain(character: str) -> str:
    if character in _DASHES:
        return _DASHES[character]
    if character.isdecimal():
        return str(int(character))
    folded = normalize("NFKC", character)
    return folded if len(folded) == 1 else character


def digits_of(text: str) -> str:
    """Its digits alone."""
    return re.sub(r"\D", "", text)


def said_before(text: str, start: int, words: re.Pattern[str], reach: int) -> bool:
    """Whether one of the words stands in the `reach` characters before `start`, in the same paragraph."""
    return words.search(before(text, start, reach).rpartition("\n\n")[2]) is not None


def goes_on(text: str, start: int, marks: str, ends: Container[int]) -> bool:
    """Whether a digit and one of the marks stand before `start`, so that it is a part of what began there.

    Args:
        ends: where something was found to end; what follows it is listed with it, and no part of it.
    """
    at = start - 1
    return at > 0 and text[at] in marks and text[at - 1] in "0123456789" and at not in ends
