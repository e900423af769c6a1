"""Text in documents that speaks to a language model instead of a reader: found by rules, and marked, never removed.

The rules know English, and whoever knows the rules can write around them (docs/documents.md says how far they reach).
"""

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from retrieval.flag_rules import BLOB, MENTION, ORDER_TO_DECODE, QUOTES, RULES, SPEAKS, TURN
from retrieval.types import Flag, FlagKind

# So many characters that nobody sees are no soft hyphens.
HIDDEN = 40
_SPACED = re.compile(r"(?<!\w)\w(?: \w){3,40}(?!\w)")
_NEAR = 160
# Letters of other scripts that pass for Latin ones.
_ALIKE = dict(zip("аеорсухіѕԁһјӏвнкмтοαεικνρτυ", "aeopcyxisdhjlbhkmtoaeiknptu", strict=True))


def find(text: str, stripped: int = 0) -> tuple[Flag, ...]:
    """The first place of each kind, in the order of the text.

    Args:
        text: as `retrieval.visible.clean` leaves it.
        stripped: characters that were left out because nobody sees them.
    """
    first: dict[FlagKind, Flag] = {}
    for flag in _all(text, plain(text)):
        if flag.kind not in first or flag.start < first[flag.kind].start:
            first[flag.kind] = flag
    if stripped >= HIDDEN:
        first["hidden_text"] = Flag("hidden_text", 0, 0)
    return tuple(sorted(first.values(), key=lambda flag: (flag.start, flag.kind)))


def plain(text: str) -> str:
    """The text in small letters of one script and width, as long as it was."""
    letters = text.translate(_Letters())
    return _SPACED.sub(_closed_up, letters)


class _Letters(dict[int, str]):
    """Each character as the rules read it, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = unicodedata.normalize("NFKC", character).casefold()
        letter = folded if len(folded) == 1 else character
        self[code] = _ALIKE.get(letter, letter)
        return self[code]


def _closed_up(spaced: re.Match[str]) -> str:
    # "i g n o r e": read as a word, with the blanks behind it, so that offsets stay.
    return spaced[0].replace(" ", "").ljust(len(spaced[0]))


def _all(text: str, read: str) -> Iterator[Flag]:
    quotes = [found.start() for found in QUOTES.finditer(read)]
    for rule in RULES:
        for start, end in _around(read, rule.words):
            for found in rule.pattern.finditer(read, start, end):
                if not _is_mentioned(read, quotes, found.start(), found.end()):
                    yield Flag(rule.kind, found.start(), found.end())
                    break
    yield from _dialogue(read)
    yield from _encoded(text, read)


def _around(read: str, words: Sequence[str]) -> list[list[int]]:
    """The stretches of a text in which one of these words stands, with what is near."""
    found = sorted(place for word in words for place in _places(read, word))
    stretches: list[list[int]] = []
    for place in found:
        start, end = max(0, place - _NEAR), min(len(read), place + _NEAR)
        if stretches and start <= stretches[-1][1]:
            stretches[-1][1] = end
        else:
            stretches.append([start, end])
    return stretches


def _places(read: str, word: str) -> Iterator[int]:
    if word[0].isspace() and read.startswith(word[1:]):
        yield 0
    place = read.find(word)
    while place >= 0:
        yield place
        place = read.find(word, place + len(word))


def _is_mentioned(read: str, quotes: list[int], start: int, end: int) -> bool:
    """Whether a place is quoted in a line that speaks about such texts."""
    line = max(read.rfind("\n", 0, start) + 1, start - 4 * _NEAR)
    opened = bisect_right(quotes, start) - bisect_right(quotes, line - 1)
    return opened % 2 == 1 and MENTION.search(read, max(line, start - _NEAR), end + _NEAR) is not None


def _dialogue(read: str) -> Iterator[Flag]:
    turns = [(found[1], found.start(), found.end()) for found in TURN.finditer(read)]
    roles = {role for role, _, _ in turns}
    if len(roles) > 1 and roles & SPEAKS:
        yield Flag("role_marker", *turns[0][1:])


def _encoded(text: str, read: str) -> Iterator[Flag]:
    """Base64 that spells an instruction, or that a reader is told to decode and follow."""
    for blob in BLOB.finditer(text):
        is_ordered = ORDER_TO_DECODE.search(read, max(0, blob.start() - _NEAR), blob.start()) is not None
        if is_ordered or _spells_an_instruction(blob[0]):
            yield Flag("encoded", blob.start(), blob.end())
            return


def _spells_an_instruction(blob: str) -> bool:
    letters = blob.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        decoded = base64.b64decode(letters[: len(letters) // 4 * 4]).decode("ascii")
    except (binascii.Error, ValueError):
        return False
    return any(rule.kind == "instruction" and rule.pattern.search(plain(decoded)) for rule in RULES)
