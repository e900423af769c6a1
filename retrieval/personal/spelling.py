"""Texts as the finders read them: one character for each, whatever dashes, blanks and digits a document uses."""

import re
from unicodedata import normalize

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_DASHES = dict.fromkeys("\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")


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
    return words.search(text[max(0, start - reach) : start].rpartition("\n\n")[2]) is not None
