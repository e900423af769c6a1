"""Under which bound, beside which value and in which turn an answer stands, held against those of the question."""

from collections.abc import Sequence

from server.grounding.bounds import bounds_of
from server.grounding.items import kind_of_value
from server.grounding.numbers import ORDINAL, ORDINALS, kept
from server.grounding.reading import Term
from server.grounding.words import EQUAL_JOINTS


def is_in_another_turn(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Was the first of several asked for, and is this said of the second?"""
    segments = {term.segment for term in place}
    there = _ordinals([term for term in line if term.segment in segments and not _is_inside(term, place)])
    asked = _ordinals(question)
    return bool(asked and there) and asked.isdisjoint(there)


def _ordinals(terms: Sequence[Term]) -> set[int]:
    # "The first three years" counts them.
    return {
        ordinal
        for at, term in enumerate(terms)
        for ordinal in [_ordinal(term)]
        if ordinal and not (at + 1 < len(terms) and terms[at + 1].role == "value" and terms[at + 1].word.unit)
    }


def _ordinal(term: Term) -> int | None:
    last = "second" if term.key == "per 1 s" else term.word.text.casefold()  # "a second one" is read as a rate
    digits = ORDINAL.fullmatch(last)
    return int(digits.group(1)) if digits else ORDINALS.get(last)


def _is_inside(term: Term, place: Sequence[Term]) -> bool:
    return place[0].word.start <= term.word.start <= place[-1].word.start


def is_bounded_away(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Is it said of parcels up to 5 kg, and one of 8 kg was asked for?"""
    own = place[-1].segment
    rest = [term for term in line if term.segment == own and term.role == "content" and term not in place]
    opening = next(term.word.text.casefold() for term in line if term.segment == own)
    reach = {own} if rest and opening in EQUAL_JOINTS else set(range(own + 1))
    bounds, bounded = bounds_of(line), bounds_of(question)
    asked = [term for term in question if term.role == "value" and id(term) not in bounded]
    for at, term in enumerate(line):
        if term.role != "value" or term.segment not in reach or term in place:
            continue
        bound = bounds.get(id(term)) or _bound_in_words(line, at)
        if bound and any(_excludes(bound, term, value) for value in asked):
            return True
    return False


def _bound_in_words(line: Sequence[Term], at: int) -> str | None:
    """What "before 2008" and "from 10 to 20 euros" leave out."""
    before = [term.key for term in line[max(0, at - 3) : at]]
    if before[-1:] == ["before"]:
        return "<"
    is_end = before[-1:] == ["to"] and before[:1] == ["from"] and len(before) == 3
    is_start = before[-1:] == ["from"] and [term.key for term in line[at + 1 : at + 2]] == ["to"]
    return "<=" if is_end else ">=" if is_start else None


def is_beside_another_value(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Is it the break after six hours, where the sentence has another one for the nine hours asked about?"""
    own = {term.segment for term in place}
    mine = [term for term in line if term.segment in own and term.role == "value" and term not in place]
    kinds = {kind_of_value(term) for term in place if term.role == "value"}
    for value in question:
        if value.role != "value" or any(term.key == value.key for term in mine):
            continue
        is_single = value.word.text.casefold() == "single"
        there = {
            term.segment
            for term in line
            if term.key == value.key and (term.word.text.casefold() == "single") == is_single
        }
        there = {segment for segment in there - own if not is_single or segment > max(own)}
        rivals = [
            term for term in line if term.segment in there and term.role == "value" and kind_of_value(term) in kinds
        ]
        is_otherwise = any(kind_of_value(term) == kind_of_value(value) for term in mine) or is_single
        if is_otherwise and any(term.key not in {value.key, *(one.key for one in place)} for term in rivals):
            return True
    return False


def is_bounded_otherwise(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Was the most asked for, and is this the least?"""
    bounds, asked = bounds_of(line), bounds_of(question).get(None, "")
    there = [bounds[id(term)] for term in place if term.role == "value" and id(term) in bounds]
    return bool(asked and there) and all(not asked.startswith(bound[0]) for bound in there)


def _excludes(bound: str, limit: Term, value: Term) -> bool:
    if limit.word.unit != value.word.unit or value.key.startswith("per "):
        return False
    here, asked = kept(limit.word.key.split()[-1]), kept(value.word.key.split()[-1])
    if here is None or asked is None:
        return False
    return {"<=": asked > here, "<": asked >= here, ">": asked <= here, ">=": asked < here}[bound]
