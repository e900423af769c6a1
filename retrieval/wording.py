"""How well a chunk's words answer a query's words: a number in 0..1 that means the same in every store.

BM25 as SQLite computes it is unbounded and counts words of documents that the reader may not see; this one counts
within the stores searched, and is relative to a chunk that says everything asked.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Words that say nothing about the subject. Kept short: a rare word wrongly dropped costs more than a common one kept.
_STOP_WORDS = (
    "a about after all also am an and any are as at be been before being between both but by can could did do does"
    " doing done for from get had has have having he her here hers him his how i if in into is it its itself just me"
    " many more most much must my no nor not of off on once only or other our ours out over own please same she should"
    " so some such tell than that the their theirs them then there these they this those through to too under until up"
    " us very was we were what when where which while who whom whose why will with would you your yours s t"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
# BM25's saturation, at half its usual strength: passages are short, so a second mention says little more.
SATURATION = 0.6
LENGTH_SHARE = 0.75
USUAL_WORDS = 60  # of a chunk; a constant, so that a score does not depend on other documents' lengths


@dataclass(frozen=True, slots=True)
class Term:
    """What stood between blanks, so that `HX-204/B` stays one: as asked, and as the lexical index cuts it."""

    asked: str
    words: tuple[str, ...]

    def expression(self) -> str:
        """The term as an FTS5 phrase. As asked, since FTS5 stems it itself: a stem stemmed again is another word."""
        return '"' + self.asked.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Wording:
    """A query's terms with their weights: the rarer, the heavier."""

    weights: dict[Term, float]

    @property
    def says_nothing(self) -> bool:
        return not self.weights

    def score(self, words: Sequence[str]) -> float:
        """How much of the query's weight a chunk of these words carries, in 0..1."""
        damping = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * len(words) / USUAL_WORDS)
        carried = sum(
            weight * times / (times + damping)
            for term, weight in self.weights.items()
            if (times := occurrences(term.words, words))
        )
        return carried / sum(self.weights.values())


def terms(query: str, words: Callable[[str], list[str]]) -> list[Term]:
    """The terms of a query that say something, each once, in order.

    Args:
        words: cuts a text as the lexical index does.
    """
    # SQLite reads an expression up to its first NUL, and would miss the quote that ends the phrase.
    between_blanks = query.replace("\0", " ").split()
    parts = [part for part in between_blanks if part.strip("'\".,;:!?()[]").lower() not in STOP_WORDS]
    found: dict[tuple[str, ...], Term] = {}
    for part in parts:
        if cut := tuple(words(part)):
            found.setdefault(cut, Term(part, cut))
    return list(found.values())


def weigh(found: Sequence[Term], population: int, frequency: Callable[[Term], int]) -> Wording:
    """Weigh terms by how rare they are among `population` chunks; `frequency` counts the chunks of a term."""
    counts = {term: min(frequency(term), population) for term in found}
    return Wording({term: math.log(1 + (population - count + 0.5) / (count + 0.5)) for term, count in counts.items()})


def occurrences(term: tuple[str, ...], words: Sequence[str]) -> int:
    if len(term) == 1:
        return words.count(term[0])
    return sum(tuple(words[at : at + len(term)]) == term for at in range(len(words) - len(term) + 1))
