"""Does a sentence say in other words what a claim says? Values, names, bounds, denials and who-does-what must agree.

Each way in which they can disagree has a name, so that a report can say why a sentence was not believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from server.grounding.bounds import bounds_of
from server.grounding.denial import denies_all
from server.grounding.likeness import Alike
from server.grounding.modals import is_another_modal
from server.grounding.numbers import ORDINALS
from server.grounding.omitted import is_conditioned, is_dropped, is_restricted, is_unsaid
from server.grounding.order import is_exchanged, is_reordered
from server.grounding.pairing import LIGHT_ROOTS, ROLE_ROOTS, Context, Pairing, pair_content
from server.grounding.reading import Term
from server.grounding.units import is_same_unit
from server.grounding.words import Kind, listed

Doubt = Literal["value", "name", "bound", "denial", "modal", "condition", "role", "order", "words"]
_SUBJECTS = frozenset(listed("they it you he she we i the a an this these that your their his her our"))
_PRONOUNS = frozenset(listed("it they this these he she"))
_DIRECTIONS = ({"on", "off"}, {"up", "down"}, {"in", "out"})
_WHOLES = frozenset(listed("all every each any"))
# Doubts that hold whatever the embedder makes of the words.
_AGAINST = frozenset({"value", "denial", "condition", "order"})
# Of the words that a later part of a sentence has of its own, the share that a claim about it repeats.
_OWN = 0.75


@dataclass(frozen=True, slots=True)
class Comparison:
    """`doubt` is None where the sentence says the claim; `needs_before`: only together with the sentence before."""

    doubt: Doubt | None
    needs_before: bool = False
    shared: float = 0.0  # of the claim's content words, the share found
    is_against: bool = False  # says something else, and not only in words that no rule knows


def compare(claim: Sequence[Term], line: Sequence[Term], context: Context, alike: Alike) -> Comparison:
    """Compare a claim with a sentence, both as `reading.read` gives them.

    Args:
        alike: cosines of pairs of words; asked only for words that nothing else explains.
    """
    pairing, doubt = _facts(claim, line)
    content = [term for term in claim if term.role == "content"]
    found = pair_content(content, line, context, pairing, alike if doubt is None else None)
    shared = found / len(content) if content else 1.0
    doubt = doubt or _words(content, line, pairing)
    doubt = doubt or _bounds(claim, line, pairing)
    doubt = doubt or _directions(claim, line, pairing)
    doubt = doubt or _denials(claim, line, pairing)
    doubt = doubt or ("denial" if is_unsaid(claim, pairing, context) else None)
    doubt = doubt or ("modal" if is_another_modal(claim, line, pairing) else None)
    is_partial = is_dropped(line, pairing, context)
    is_without = is_partial or is_conditioned(claim, line, pairing) or is_restricted(line, pairing)
    doubt = doubt or ("condition" if is_without else None)
    doubt = doubt or _wholes(claim, line, pairing)
    doubt = doubt or _clauses(claim, line, pairing)
    doubt = doubt or _crossed(pairing)
    doubt = doubt or _segments(claim, line, pairing)
    is_turned = is_exchanged(claim, line)
    doubt = doubt or ("order" if is_turned or is_reordered(claim, line, pairing.pairs) else None)
    is_against = doubt in _AGAINST or is_partial or is_turned or is_unsaid(claim, pairing, context)
    return Comparison(doubt, pairing.from_before, shared, is_against)


def has_values(claim: Sequence[Term], line: Sequence[Term]) -> bool:
    """Does a sentence hold every value and quantity of a claim?"""
    return _facts(claim, line)[1] is None


def same_value(said: Term, there: Term) -> bool:
    """Is it the same value in the same unit?"""
    return said.key == there.key or (
        said.word.key == there.word.key and bool(said.word.unit) and is_same_unit(said.word.unit, there.word.unit)
    )


def is_count_of(said: Term, there: Term) -> bool:
    """Is it the bare number of a value, as it was written?"""
    # "28" for "28 days", where the claim says nothing more: a number that counts something else has its word beside it.
    return not said.word.unit and there.word.unit not in ("", "%", "‰") and there.word.count == said.word.key


def _facts(claim: Sequence[Term], line: Sequence[Term]) -> tuple[Pairing, Doubt | None]:
    pairing = Pairing()
    taken: set[int] = set()
    for at, term in enumerate(claim):
        is_bare = at + 1 == len(claim) or claim[at + 1].role not in ("content", "quantity")
        match term.role:
            case "value":
                there = next(
                    (
                        other
                        for other in line
                        if other.role == "value"
                        and id(other) not in taken
                        and (same_value(term, other) or (is_bare and is_count_of(term, other)))
                    ),
                    None,
                )
                if there is None:
                    return pairing, "value"
                taken.add(id(there))
                pairing.pairs.append((term, there))
            case "quantity":
                wanted = "" if _is_conjunction(claim, at) else _quantity(term.key)
                if wanted and not any(_quantity(other.key) == wanted for other in line if other.role == "quantity"):
                    return pairing, "value"
    return pairing, None


def _is_conjunction(terms: Sequence[Term], at: int) -> bool:
    """ "Once they are full" counts nothing."""
    following = terms[at + 1].word.text.casefold() if at + 1 < len(terms) else ""
    return terms[at].key == "once" and following in _SUBJECTS


def _quantity(key: str) -> str:
    if key in ("all", "each", "every", "any", "between"):
        return ""  # "each employee", "all employees", "employees"
    return key


def _words(content: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    if any(term.word.kind is Kind.NAME for term in pairing.missing):
        return "name"
    if any(term.key in ROLE_ROOTS for term in pairing.missing):
        return "role"
    return "words" if pairing.missing else None


def _bounds(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    said, there = bounds_of(claim), bounds_of(line)
    values = [(term, other) for term, other in pairing.pairs if term.role == "value"]
    if any(said.get(id(term)) != there.get(id(other)) for term, other in values):
        return "bound"
    return "bound" if None in said and not values and None not in there else None


def _directions(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    """ "Switched on" for "switched off"."""
    said, there = _behind(claim), _behind(line)
    opposed = any({said.get(id(one)), there.get(id(two))} in _DIRECTIONS for one, two in pairing.pairs)
    return "denial" if opposed else None


def _behind(terms: Sequence[Term]) -> dict[int, str]:
    return {id(term): after.word.text.casefold() for term, after in pairwise(terms)}


def _denials(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    touched = {other.segment for _, other in pairing.pairs}
    # In a sentence of parts, one part may deny what the next one allows.
    is_whole = len(touched) == 1 and denies_all(claim) and denies_all([t for t in line if t.segment in touched])
    if not is_whole and any(term.denied != other.denied for term, other in pairing.pairs):
        return "denial"
    said = sum(term.role == "denial" for term in claim) % 2
    there = sum(term.role == "denial" and term.segment in touched for term in line) % 2
    return None if said == there else "denial"


def _wholes(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    """ "All repairs" are more than "minor repairs"."""
    paired = {id(other) for _, other in pairing.pairs}
    for of_all, head in pairwise(claim):
        there = [other for said, other in pairing.pairs if said is head]
        if of_all.key in _WHOLES and any(
            after in there and (before.role == "content" or before.key in ORDINALS) and id(before) not in paired
            for before, after in pairwise(line)
        ):
            return "value"
    return None


def _clauses(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    """What stands on two sides of a semicolon is two statements, unless the second begins with a pronoun."""
    touched = {other.clause for _, other in pairing.pairs}
    if len(touched) < 2 or any(term.clause for term in claim):
        return None
    opening = [next(term.word.text.casefold() for term in line if term.clause == clause) for clause in touched - {0}]
    return None if all(word in _PRONOUNS for word in opening) else "role"


def _crossed(pairing: Pairing) -> Doubt | None:
    """ "A has 5 and B has 9" for "A has 9 and B has 5"."""
    joined = {(said.segment, there.segment) for said, there in pairing.pairs}
    telling = {
        (said.segment, there.segment)
        for said, there in pairing.pairs
        if there.role == "value" or said.word.kind is Kind.NAME
    }
    for said, there in joined:
        for other, behind in joined:
            is_square = said < other and there != behind and {(said, behind), (other, there)} <= joined
            if is_square and (said, max(there, behind)) in telling:
                return "role"
    return None


def _segments(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> Doubt | None:
    """Words of one part must not be joined with a value of another: "A gets 5, B gets 9" says no "A gets 9"."""
    touched = {other.segment for _, other in pairing.pairs}
    paired = {id(other) for _, other in pairing.pairs}
    for segment in touched - {min(touched, default=0)}:
        own = [term for term in line if term.segment == segment and term.role in ("content", "value")]
        missed = [term for term in own if id(term) not in paired and term.key not in LIGHT_ROOTS]
        if any(term.word.kind is Kind.NAME or _tells_apart(term, own, claim, pairing) for term in missed):
            return "role"  # "hidden damage" behind the comma is not the damage before it
        if len(missed) > (1 - _OWN) * len(own):
            return "role"
    # Of two values of one kind, the claim's own must be the nearer one to what it says of it.
    if len(touched) == 1:
        return _adjacent(line, pairing, touched)
    return None


def _tells_apart(term: Term, own: Sequence[Term], claim: Sequence[Term], pairing: Pairing) -> bool:
    """Stands a word that the claim lacks where the claim has another: "hidden" damage for "visible" damage?"""
    heads = [after for before, after in pairwise(own) if before is term and after.word.start == term.word.end + 1]
    return any(
        before.role == after.role == "content"
        and any(after is said and there in heads for said, there in pairing.pairs)
        for before, after in pairwise(claim)
    )


def _adjacent(line: Sequence[Term], pairing: Pairing, touched: set[int]) -> Doubt | None:
    (segment,) = touched
    own = [term for term in line if term.segment == segment and term.role == "value"]
    said = {id(other) for _, other in pairing.pairs}
    rivals = [term for term in own if id(term) not in said]
    kept = [term for term in own if id(term) in said]
    kinds = {_measure_of(term) for term in kept if term.word.unit}
    return "role" if any(_measure_of(term) in kinds for term in rivals) else None


def _measure_of(value: Term) -> tuple[bool, str]:
    return value.key.startswith("per "), value.word.unit
