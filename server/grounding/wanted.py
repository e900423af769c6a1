"""Which kind of thing a question wants, and whether a short answer holds one: "per year" is not how many days."""

from collections.abc import Sequence
from itertools import pairwise, takewhile

from server.grounding.reading import Term, read
from server.grounding.words import ARTICLES, NUMBERS, Word, listed

_COUNTED = NUMBERS | frozenset(
    listed(
        """half quarter third once twice double first second a an all both none no nothing nobody free unlimited
        unrestricted indefinite indefinitely unknown several few many little"""
    )
)
_TIMES = frozenset(
    listed(
        """when whenever once after before during until till by on at in within as upon between from since if while
        always never daily weekly monthly quarterly annually yearly immediately instantly today tomorrow yesterday now
        soon later earlier early late noon midnight morning evening afternoon night spring summer autumn winter every
        mornings evenings afternoons nights holidays weekends weekdays"""
    )
)


def is_of_wanted_kind(question: Sequence[Term], line: Sequence[Term], said: Sequence[Word]) -> bool:
    """Can the short answer `said` of a sentence be what "how many", "how much", "when" or "who" asks for?"""
    opening = [term.word.text.casefold() for term in question]
    told = _without_rates(read(" ".join(word.text for word in said)))
    if any(pair in (("how", "many"), ("how", "much")) for pair in pairwise(opening)):
        return any(_is_count(term) for term in told)
    if opening[:1] == ["when"]:
        return any(_is_time(term) for term in told) or (bool(told) and _before(line, said) in _TIMES)
    if opening[:1] == ["who"]:
        return any(term.role not in ("value", "quantity") for term in told)
    return True


def _without_rates(terms: Sequence[Term]) -> list[Term]:
    """What stands before "per year": what is measured, and not by what."""
    whole = takewhile(lambda term: term.word.text.casefold() != "per", terms)
    return [term for term in whole if not term.key.startswith("per ")]


def _is_count(term: Term) -> bool:
    return term.role in ("value", "denial", "bound") or term.word.text.casefold() in _COUNTED


def _is_time(term: Term) -> bool:
    word = term.word.text
    return term.role in ("value", "quantity") or word.casefold() in _TIMES or word[0].isupper()


def _before(line: Sequence[Term], said: Sequence[Word]) -> str:
    """The word in front of the answer in its sentence, articles left out."""
    before = ""
    for term in line:
        word = term.word.text.casefold()
        if word == said[0].text.casefold():
            return before
        before = before if word in ARTICLES else word
    return ""
