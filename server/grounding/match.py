"""Does a sentence say a claim in its own words: word for word, or in the same order with little in between?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.grounding.units import is_same_unit
from server.grounding.words import JOINTS, Kind, Word, is_same_name

_CLAUSE_END = re.compile(r"[,;:—]")
# What must not be skipped between two words of a claim: it would change who, how much, or whether at all.
_WEIGHTY = {Kind.EXACT, Kind.NAME, Kind.QUANTITY, Kind.NEGATION, Kind.MODAL}
_CONDITIONS = frozenset({"if", "unless"})
# Of working days there are fewer than of days.
_COUNTING = frozenset({"working", "business"})
# "Switched off" is not "switched on", though "on" is too small a word to be looked for.
_DIRECTIONS = frozenset({"off", "out", "up", "down"})
_NEVER_SKIPPED = _COUNTING | _DIRECTIONS
# Of the meaningful words between a claim's first and last word in the source, the share that the claim repeats.
_MIN_DENSITY = 0.7


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence cut into words, its values in one piece."""

    text: str
    words: tuple[Word, ...]


def verbatim(line: Words, claim: str, said: Sequence[Word]) -> list[tuple[int, int]]:
    """Where the claim's words stand side by side, with the same punctuation between them."""
    spans = []
    for first in range(len(line.words) - len(said) + 1):
        there = line.words[first : first + len(said)]
        if all(_same_spelling(a, b) for a, b in zip(said, there, strict=True)) and _gaps(claim, said) == _gaps(
            line.text, there
        ):
            spans.append((first, first + len(said) - 1))
    return spans


def in_order(line: Words, said: Sequence[Word]) -> list[tuple[int, int]]:
    """Where the claim's meaningful words follow each other, with nothing weighty and little else in between."""
    claim = [word for word in said if word.kind is not Kind.FUNCTION]
    if len(claim) < 2:
        return []
    starts = (first for first, word in enumerate(line.words) if _same_meaning(claim[0], word))
    return [(first, last) for first in starts if (last := _followed(line, first, claim)) is not None]


def _followed(line: Words, first: int, claim: Sequence[Word]) -> int | None:
    """Where the last word of the claim stands, if the others follow the one at `first` as `in_order` has it."""
    at, skipped = first, 0
    for wanted in claim[1:]:
        passed, has_joint = 0, False
        behind = line.words[at].end
        at += 1
        while at < len(line.words) and not _same_meaning(wanted, line.words[at]):
            word = line.words[at]
            if word.kind in _WEIGHTY or word.key in _NEVER_SKIPPED:
                return None
            has_joint |= word.key in JOINTS
            passed += word.kind is not Kind.FUNCTION and word.key not in JOINTS
            if len(claim) < _MIN_DENSITY * (len(claim) + skipped + passed):
                return None
            at += 1
        if at == len(line.words):
            return None
        skipped += passed
        if passed and (has_joint or _CLAUSE_END.search(line.text, behind, line.words[at - 1].start)):
            return None
    return at


def _same_spelling(said: Word, there: Word) -> bool:
    if Kind.EXACT in (said.kind, there.kind):
        return _same_value(said, there)
    return said.text.casefold() == there.text.casefold()


def _same_meaning(said: Word, there: Word) -> bool:
    if Kind.EXACT in (said.kind, there.kind):
        return _same_value(said, there)
    if said.kind is Kind.NAME:
        return is_same_name(said, there)
    if said.kind is Kind.NEGATION:
        return there.kind is Kind.NEGATION
    return said.key == there.key


def _same_value(said: Word, there: Word) -> bool:
    if Kind.EXACT not in (said.kind, there.kind) or said.kind is not there.kind:
        return False
    is_code = said.key == said.text.casefold() and not said.unit and not said.key.isdecimal()
    if is_code:
        return said.text == there.text
    if is_same_unit(said.unit, there.unit):
        return said.key == there.key
    # "28" for "28 days"; a bare number is no percentage.
    return not said.unit and there.unit not in ("%", "‰") and said.key == there.count


def _gaps(text: str, of: Sequence[Word]) -> list[str]:
    return ["".join(text[left.end : right.start].split()) for left, right in pairwise(of)]


def is_conditional(line: Words, said: Sequence[Word]) -> bool:
    """Has the sentence an "if" or "unless" that the claim leaves out?"""
    there, kept = ({word.text.casefold() for word in of} & _CONDITIONS for of in (line.words, said))
    return not there <= kept


def denied(line: Words, first: int, last: int, *, is_phrase: bool) -> bool:
    """Does the source take back what it says between two of its words?

    "must not exceed 500 euros" does contain the answer 500 euros, so for a phrase only the word right before counts;
    for a statement ("pets are allowed") every negation before it in its clause does.
    """
    before = line.words[max(0, first - 1) : first] if is_phrase else line.words[:first]
    after = line.words[last + 1 : last + 3]
    begin, end = line.words[first].start, line.words[last].end
    return any(
        word.kind is Kind.NEGATION and not _CLAUSE_END.search(line.text[word.end : begin]) for word in before
    ) or any(word.kind is Kind.NEGATION and not _CLAUSE_END.search(line.text[end : word.start]) for word in after)
