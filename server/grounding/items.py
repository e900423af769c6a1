"""Several values of one kind in a sentence: which words stand with which, and is the one given the one asked for?"""

from collections.abc import Sequence, Set

from server.grounding.pairing import LIGHT_ROOTS, held
from server.grounding.reading import Term, root
from server.grounding.units import is_same_unit
from server.grounding.words import WEEKDAYS, Kind, Word

_JOINED_TO_THE_LAST = frozenset({"and", "or"})


def is_there(term: Term, word: Word) -> bool:
    """Is it the value that was given?"""
    if word.unit and not is_same_unit(word.unit, term.word.unit):
        return False  # "Card 50" is no 50 percent
    return word.kind is Kind.EXACT and (word.key == term.word.key or word.key == term.word.count)


def kind_of_value(value: Term) -> str:
    """What values must share so that one could stand for the other: a unit, or being a date, a time or a number."""
    if value.word.key.startswith("per "):
        return "per"
    return value.word.unit or value.word.key.split()[0].rstrip("0123456789.,-")


def kind_of(term: Term) -> str:
    """The same for places and days in words: another day of the week, or what else is called "cabinet"."""
    if term.role == "value":
        return kind_of_value(term)
    return "weekday" if term.key in WEEKDAYS else f"called {term.key}" if term.role == "content" else term.role


def _last_word(line: Sequence[Term], said: Sequence[Word]) -> list[Term]:
    """The word that an answer of words ends in, where the whole answer stands in the sentence."""
    keys = [root(word.text) for word in said if word.kind in (Kind.CONTENT, Kind.NAME)]
    content = [term for term in line if term.role == "content"]
    for at in range(len(content) - len(keys) + 1):
        if keys and [term.key for term in content[at : at + len(keys)]] == keys:
            return [content[at + len(keys) - 1]]
    return []


def is_in_another_clause(line: Sequence[Term], said: Sequence[Word], asked: Set[str]) -> bool:
    """Does the sentence say before or behind a semicolon what was asked, and the answer on the other side of it?"""
    texts = {word.text.casefold() for word in said if word.kind is not Kind.FUNCTION}
    own = {term.clause for term in line if term.word.text.casefold() in texts}
    if len(own) != 1 or not any(term.clause for term in line):
        return False
    mine = {term.key for term in line if term.clause in own}
    theirs = {term.key for term in line if term.clause not in own}
    return any(held(key, theirs) and not held(key, mine) for key in asked) and not any(
        held(key, mine) and not held(key, theirs) for key in asked
    )


def is_under_another_modal(line: Sequence[Term], said: Sequence[Word], question: Sequence[Term]) -> bool:
    """Is it "mandatory for administrators and recommended for all others", and for whom is it recommended?"""
    asked = {term.key for term in question if term.role == "modal"} & {"need", "should"}
    texts = {word.text.casefold() for word in said if word.kind is not Kind.FUNCTION}
    own = {term.segment for term in line if term.word.text.casefold() in texts}
    here = {term.key for term in line if term.role == "modal" and term.segment in own}
    elsewhere = {term.key for term in line if term.role == "modal" and term.segment not in own}
    return bool(here) and here.isdisjoint(asked) and not asked.isdisjoint(elsewhere)


def belongs_to_another(line: Sequence[Term], said: Sequence[Word], asked: Set[str]) -> bool | None:
    """Has the sentence another value of the kind of `said`, and the asked words at that one? None: it has no other.

    The first of several values stands with what is said of all of them ("the exhibition costs 14 pounds, or 9 pounds
    for students"), the others only with what is theirs.
    """
    given = [term for term in line if term.role == "value" and any(is_there(term, word) for word in said)]
    given = [term for term in given if not term.key.startswith("per ")] or given
    given = given or _last_word(line, said)
    kinds = {kind_of(term) for term in given} - {"per"}
    of_kind = [term for term in line if kind_of(term) in kinds]
    territories = _territories(line, {term.segment for term in of_kind})
    own = [number for number, segments in enumerate(territories) if any(term.segment in segments for term in given)]
    if len(territories) < 2 or not own:
        return None
    words = [_content(line, segments) for segments in territories]
    return all(_is_of_a_rival(words, number, asked) for number in own)


def _is_of_a_rival(words: Sequence[Set[str]], own: int, asked: Set[str]) -> bool:
    mine = words[own]
    if own and mine and not any(held(key, asked) for key in mine):
        return True
    for number, theirs in enumerate(words):
        if number == own:
            continue
        for_me = {key for key in asked if held(key, mine) and not held(key, theirs)}
        for_them = {key for key in asked if held(key, theirs) and not held(key, mine)}
        if own == 0 and for_them:
            return True
        unasked = {key for key in mine if not held(key, asked) and not held(key, theirs)}
        if own and for_them and not for_me and unasked:
            return True
        if own and number and len(for_them) > len(for_me):
            return True
    return False


def _territories(line: Sequence[Term], valued: Set[int]) -> list[set[int]]:
    """For each part with a value, the parts without one that speak of it."""
    found: list[set[int]] = []
    waiting: set[int] = set()
    for segment in range(1 + max((term.segment for term in line), default=0)):
        first = next((term.word.text.casefold() for term in line if term.segment == segment), "")
        if segment in valued:
            found.append({segment} | waiting)
            waiting = set()
        elif found and (first in _JOINED_TO_THE_LAST or segment > max(valued)):
            found[-1].add(segment)
        else:
            waiting.add(segment)
    return found


def _content(line: Sequence[Term], segments: Set[int]) -> set[str]:
    return {
        term.key for term in line if term.segment in segments and term.role == "content" and term.key not in LIGHT_ROOTS
    }
