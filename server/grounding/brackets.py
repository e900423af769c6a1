"""Brackets of a model's own making, which a page would show as a marker or as a link: they become parentheses.

A marker in brackets means that the server checked, whatever a document says.
"""

import html
import re

# What a reader would take for a marker or follow as a link, and what may become one when more text comes. Documents
# are full of such brackets, and models copy them. Beside the numbers there may be anything that shows no other word:
# `[*1*]`, `\[1\]`, `[<b>1</b>]`, `[&nbsp;1]`. `[doc1]` is what Azure's clients look for.
_OPENING, _CLOSING = r"\[［【〔〖⟦❲﹝", r"\]］】〕〗⟧❳﹞"
_BRACKETS = _OPENING + _CLOSING
_DIGITS = r"\d¹²³⁰-⁹₀-₉①-⓿❶-➓㉑-㉟㊱-㊿"
_TAG = rf"<[/!a-zA-Z][^<>{_BRACKETS}]{{0,60}}>"
_REFERENCE = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30})"
_SIGN = rf"[^\w†<{_BRACKETS}]|<(?![/!a-zA-Z])"
_BESIDE = rf"(?>{_TAG}|{_REFERENCE};|\\[a-zA-Z]{{1,20}}|\s{{1,200}}|and|or|to|doc|[_{_DIGITS}]|{_SIGN})"
_NUMBERS = rf"{_BESIDE}{{1,60}}+"
_NAMED = rf"†[^{_BRACKETS}\n]{{0,80}}"  # "[2:0†policy.pdf]", as files are cited by OpenAI's assistants
_DIGIT = re.compile(f"[{_DIGITS}]")
_MARKER = re.compile(  # or one that is not closed, and may seem to be by what comes
    rf"[{_OPENING}](?P<closed>{_NUMBERS}(?:{_NAMED})?)[{_CLOSING}]|[{_OPENING}](?P<unclosed>{_NUMBERS})(?=[†{_OPENING}])"
)
_AT_THE_END = re.compile(rf"[{_OPENING}](?P<unclosed>{_NUMBERS})\Z")
_TAIL = re.compile(  # of a run of brackets, only the first is a place to begin at
    rf"(?<![{_OPENING}\]])(?:\]|[{_OPENING}](?:{_NUMBERS})?(?:{_NAMED}|<[^<>{_BRACKETS}]{{0,61}}|[a-z]{{1,2}})?)++\Z"
)
_REFERENCES = re.compile(f"{_REFERENCE};")
_BEGUN_REFERENCE = re.compile(rf"(?:{_REFERENCE}|&(?:#[xX]?|[a-zA-Z])?)\Z")
_PARENTHESES = dict.fromkeys(_OPENING[1:], "(") | dict.fromkeys(_CLOSING[1:], ")")
_LINK = re.compile(r"\](?=[(\[:])")


class Brackets:
    """Takes an answer in pieces, and gives back the same text however it was cut."""

    def __init__(self) -> None:
        self.held = ""  # what may become a marker, a link or a reference when more text comes

    def grow(self, piece: str) -> str:
        """Take a piece; return what is certain now."""
        piece = _unspelled(self.held + piece)
        begun = _BEGUN_REFERENCE.search(piece)
        sure = begun.start() if begun else len(piece)
        if tail := _TAIL.search(piece, 0, sure):
            sure = tail.start()
        self.held = piece[sure:]
        return _defused(piece[:sure])

    def end(self) -> str:
        """Return what was held: no more comes."""
        return _AT_THE_END.sub(_round, _defused(self.held))


def _defused(text: str) -> str:
    """Turn `[3]` into `(3)`, and keep brackets from being read as a link."""
    return _LINK.sub("] ", _MARKER.sub(_round, text))


def _round(found: re.Match[str]) -> str:
    """What was found, in parentheses if it has a number."""
    parts = found.groupdict()
    if not _DIGIT.search(found[0]):
        return found[0]
    return f"({parts['unclosed']}" if parts["unclosed"] else "(" + parts["closed"].removesuffix("\\") + ")"


def _unspelled(text: str) -> str:
    """The text with a parenthesis for each bracket that is spelled as a reference."""
    return _REFERENCES.sub(lambda found: _PARENTHESES.get(html.unescape(found[0]), found[0]), text)
