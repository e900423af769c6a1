"""Where in its sentence a short answer stands: with whom or what, and is that what was asked?"""

from collections.abc import Sequence, Set
from itertools import pairwise

from server.grounding.deeds import asks_who_it_is, is_done_by_another, is_done_too, is_told_of_another_deed
from server.grounding.items import is_there
from server.grounding.limits import (
    is_beside_another_value,
    is_bounded_away,
    is_bounded_otherwise,
    is_in_another_turn,
)
from server.grounding.pairing import LIGHT_ROOTS, held
from server.grounding.reading import Term, root
from server.grounding.words import Kind, Word, listed

_ENDS = frozenset(listed("until by within before"))
_WEIGHTY = ("content", "value")
_IF = frozenset(listed("if unless when where"))
_ORDINARY = frozenset(listed("normal normally ordinary ordinarily usual usually regular regularly generally"))
_RESTRICTING = frozenset(listed("if unless except with without for after"))


def is_out_of_place(
    line: Sequence[Term], said: Sequence[Word], question: Sequence[Term], before: Set[str], missing: Set[str]
) -> bool:
    """Stands the answer where the sentence says something else than what was asked?

    Args:
        missing: roots of what was asked that the sentence does not speak of.
        before: roots of the words that a pronoun of the sentence may stand for.
    """
    places = _places(line, said)
    if _ends_where_it_begins(said, question):
        return True
    return bool(places) and all(
        is_in_another_turn(line, place, question)
        or is_bounded_away(line, place, question)
        or is_beside_another_value(line, place, question)
        or is_bounded_otherwise(line, place, question)
        or is_done_by_another(line, place, question)
        or is_told_of_another_deed(line, place, question, missing)
        or _is_of_another_kind(line, place, question, before)
        or _is_exceptional(line, place, question)
        or _is_joined_with_another(line, place, question)
        for place in places
    )


def _places(line: Sequence[Term], said: Sequence[Word]) -> list[list[Term]]:
    """Each run of words in the sentence that is the answer."""
    wanted = [word for word in said if word.kind in (Kind.CONTENT, Kind.NAME, Kind.EXACT)]
    weighty = [term for term in line if term.role in _WEIGHTY]
    if not wanted:
        return []
    runs = [weighty[at : at + len(wanted)] for at in range(len(weighty) - len(wanted) + 1)]
    return [run for run in runs if all(_is(term, word) for term, word in zip(run, wanted, strict=True))]


def _is(term: Term, word: Word) -> bool:
    return is_there(term, word) if term.role == "value" else term.key == root(word.text)


def _ends_where_it_begins(said: Sequence[Word], question: Sequence[Term]) -> bool:
    """ "After the trial month" is no answer to "until when"."""
    opening = [term.word.text.casefold() for term in question[:3]]
    return said[0].text.casefold() == "after" and "when" in opening and not _ENDS.isdisjoint(opening)


def _is_joined_with_another(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Is it "the heirs for money matters, the family for all others", and what was asked is of the other?"""
    if is_done_too(line, place, question):
        return False
    asked = {term.key for term in question if _is_telling(term)} - LIGHT_ROOTS
    segments = {term.segment for term in place}
    if asks_who_it_is(question):
        segments.add(max(segments) + 1)  # "Ada Brink, head of sales"
    first = next(term for term in line if term.segment == min(segments))
    before = {term.role for term in line if term.segment == first.segment - 1}
    if first.word.text.casefold() in ("and", "or") and "value" not in before:
        segments.add(first.segment - 1)  # "students and pupils nine euros"
    last = [term for term in line if term.segment == max(segments) + 1]
    is_open = bool(last) and last[0].word.text.casefold() in ("and", "or") and place[-1].role == "value"
    if is_open and all(term.role != "value" for term in last):
        segments.add(last[0].segment)  # "nine euros for students and pupils"
    mine = _content(line, place, segments)
    others = {term.segment for term in line} - segments - _circumstances(line)
    theirs = _content(line, place, others)
    for_me = {key for key in asked if held(key, mine) and not held(key, theirs)}
    for_them = {key for key in asked if held(key, theirs) and not held(key, mine)}
    unasked = {key for key in mine if not held(key, asked) and not held(key, theirs)}
    return bool(for_them and unasked) and not for_me


def _is_of_another_kind(
    line: Sequence[Term], place: Sequence[Term], question: Sequence[Term], before: Set[str]
) -> bool:
    """Is it said of electric cars, and petrol cars were asked about?"""
    own = {term.segment for term in place}
    if place[0].segment == 1 and not _content(line, place, own):
        own.add(0)  # "Wheat flour: 200 g"
    asked = {term.key for term in question}
    here = {term.key for term in line} | before
    kinds = _compounds(question)
    for head, kind in _compounds([term for term in line if term.segment in own and term not in place]):
        rivals = {other for name, other in kinds if name == head}
        if rivals and not held(kind, asked) and not any(held(rival, here) for rival in rivals):
            return True
    return False


def _compounds(terms: Sequence[Term]) -> set[tuple[str, str]]:
    return {
        (head.key, kind.key)
        for kind, head in pairwise(terms)
        if kind.role == head.role == "content" and head.word.start == kind.word.end + 1 and kind.key not in LIGHT_ROOTS
    }


def _is_exceptional(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Was the ordinary case asked for, and is this one with a condition?"""
    if not any(term.word.text.casefold() in _ORDINARY for term in question):
        return False
    if any(term.word.text.casefold() in _ORDINARY for term in line):
        return False
    return any(term.word.text.casefold() in _RESTRICTING for term in line if term.segment <= place[-1].segment)


def _circumstances(line: Sequence[Term]) -> set[int]:
    """The parts that say when all the rest holds."""
    return {
        after.segment
        for before, after in pairwise((None, *line))
        if after and (before is None or before.segment != after.segment) and after.word.text.casefold() in _IF
    }


def _is_telling(term: Term) -> bool:
    return term.role == "content" or term.word.text.casefold() == "within"


def _content(line: Sequence[Term], place: Sequence[Term], segments: Set[int]) -> set[str]:
    return {
        term.key
        for term in line
        if term.segment in segments and _is_telling(term) and term.key not in LIGHT_ROOTS and term not in place
    }
