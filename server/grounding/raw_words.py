"""The words of a text by their place, past its end too, and several of them taken as one value."""

from collections.abc import Sequence
from dataclasses import replace

from server.grounding.words import Kind, Word

# A word, and how many of the text's it stands for.
Merged = tuple[Word, int]


def as_one(raw: Sequence[Word], at: int, taken: int, key: str, unit: str = "", count: str = "") -> Merged:
    """The `taken` words from `at` on as one value, which is compared by `key`."""
    first, last = raw[at], raw[at + taken - 1]
    return replace(first, key=key, unit=unit, count=count or key, kind=Kind.EXACT, end=last.end), taken


def folded_at(raw: Sequence[Word], at: int) -> str:
    """A word as written, in lower case; empty behind the end."""
    return raw[at].text.casefold().rstrip(".") if at < len(raw) else ""


def key_at(raw: Sequence[Word], at: int) -> str:
    """A word's key; empty behind the end."""
    return raw[at].key if at < len(raw) else ""


def is_touching(text: str, raw: Sequence[Word], at: int) -> bool:
    """Is there nothing but blanks between a word and the one before it?"""
    return at < len(raw) and not text[raw[at - 1].end : raw[at].start].strip()
