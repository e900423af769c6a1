"""Does a sentence say in other words what a claim says? Values, names, bounds, denials and who-does-what must agree.

Each way in which they can disagree has a name, so that a report can say why a sentence was not believed.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from server.grounding.lexicon import CONDITIONS, LIGHT, OPPOSITES, ROLES, SYNONYMS
from server.grounding.likeness import Alike
from server.grounding.reading import Term, root
from server.grounding.words import Kind, listed

Doubt = Literal["value", "name", "bound", "denial", "modal", "condition", "role", "order", "words"]

# Cosine of two words above which one may stand for the other. Words of one field (dog, cat) can be nearer than
# that; they are told apart by what the passages say besides. Chosen with `make eval-grounding`.
ALIKE = 0.55
# Of the words that a later part of a sentence has of its own, the share that a claim about it repeats.
_OWN = 0.75
_SYNONYMS = tuple(frozenset(map(root, group)) for group in SYNONYMS)
_OPPOSITES = tuple(frozenset(map(root, group)) for group in OPPOSITES)
_ROLES = frozenset(map(root, ROLES))
_LIGHT = frozenset(map(root, LIGHT))
# "to" and "from" are missing: they say to whom and by whom, which no other order of words may change.
_PREPOSITIONS = frozenset(listed("for in on at of within per after during until since before under beside next with"))
_COPULAS = frozenset(listed("is are was were"))
_BE = _COPULAS | {"be", "been", "being"}
_JOINTS = frozenset(listed("and but or while whereas"))
_SPEAKERS = frozenset(listed("we us our"))
_ORGANISATIONS = frozenset(
    map(root, ["insurer", "company", "bank", "hospital", "provider", "organisation", "firm", "employer"])
)


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a sentence and may explain its words: headings, the sentence before, and the other sentences."""

    titles: frozenset[str] = frozenset()  # roots
    before: frozenset[str] = frozenset()  # roots of the sentence that a pronoun in this one points to
    elsewhere: frozenset[str] = frozenset()  # roots that the other sentences use in their own right
    numbered: frozenset[tuple[str, str]] = frozenset()  # in headings, as `reading.numbered` has them


@dataclass(frozen=True, slots=True)
class Comparison:
    """`doubt` is None where the sentence says the claim; `needs_before`: only together with the sentence before."""

    doubt: Doubt | None
    needs_before: bool = False
    shared: float = 0.0  # of the claim's content words, the share found


@dataclass(slots=True)
class _Pairing:
    """Which term of the line stands for which of the claim."""

    pairs: list[tuple[Term, Term]] = field(default_factory=list)
    missing: list[Term] = field(default_factory=list)
    from_before: bool = False


def compare(claim: Sequence[Term], line: Sequence[Term], context: Context, alike: Alike) -> Comparison:
    """Compare a claim with a sentence, both as `reading.read` gives them.

    Args:
        alike: cosines of pairs of words; asked only for words that nothing else explains.
    """
    pairing, doubt = _facts(claim, line)
    content = [term for term in claim if term.role == "content"]
    found = _content(content, line, context, pairing, alike if doubt is None else None)
    shared = found / len(content) if content else 1.0
    doubt = doubt or _words(content, line, pairing)
    doubt = doubt or _bounds(claim, line, pairing)
    doubt = doubt or _denials(claim, line, pairing)
    doubt = doubt or _modals(claim, line)
    doubt = doubt or _conditions(claim, line, pairing)
    doubt = doubt or _segments(line, pairing)
    doubt = doubt or _order(claim, line, pairing)
    return Comparison(doubt, pairing.from_before, shared)


def same_value(said: Term, there: Term) -> bool:
    """Is it the same value in the same unit?"""
    if said.key == there.key:
        return True
    # "28" for "28 days", where the claim says nothing more: a number that counts something else has its word beside it.
    return not said.word.unit and there.word.unit not in ("", "%", "‰") and there.word.count == said.word.key


def _facts(claim: Sequence[Term], line: Sequence[Term]) -> tuple[_Pairing, Doubt | None]:
    pairing = _Pairing()
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
                        and (term.key == other.key or (is_bare and same_value(term, other)))
                    ),
                    None,
                )
                if there is None:
                    return pairing, "value"
                taken.add(id(there))
                pairing.pairs.append((term, there))
            case "quantity":
                wanted = _quantity(term.key)
                if wanted and not any(_quantity(other.key) == wanted for other in line if other.role == "quantity"):
                    return pairing, "value"
    return pairing, None


def _quantity(key: str) -> str:
    if key in ("all", "each", "every", "any", "between"):
        return ""  # "each employee", "all employees", "employees"
    return key


def _content(
    content: Sequence[Term], line: Sequence[Term], context: Context, pairing: _Pairing, alike: Alike | None
) -> int:
    """Pair content words (equal ones, then synonyms, then what the embedder takes for one) and count them."""
    there = [term for term in line if term.role == "content"]
    # A heading explains a sentence that is about the claim; it does not make it so.
    is_headed = any(term.key not in _ROLES and any(_equal(term, other) for other in there) for term in content)
    has_pronoun = bool(context.before)
    open_terms: list[Term] = []
    found = 0
    for term in content:
        same = [other for other in there if _equal(term, other)]
        if same:
            pairing.pairs.append((term, _nearest(same, pairing)))
        elif (
            is_headed and term.word.kind is not Kind.NAME and term.key in context.titles and not is_opposed(term, there)
        ):
            pass
        elif has_pronoun and term.key in context.before:
            pairing.from_before = True
        else:
            open_terms.append(term)
            continue
        found += 1
    paired = {id(other) for _, other in pairing.pairs}
    free = [other for other in there if id(other) not in paired]
    is_spoken = any(term.word.text.casefold() in _SPEAKERS for term in line)
    for term in open_terms:
        other = _synonym(term, free) or (_likely(term, free, context, alike) if alike else None)
        if other is not None:
            free = [left for left in free if left is not other]
            pairing.pairs.append((term, other))
            found += 1
        elif term.key in _LIGHT or (is_spoken and term.key in _ORGANISATIONS):
            found += 1
        else:
            pairing.missing.append(term)
    return found


def _equal(term: Term, other: Term) -> bool:
    if term.word.kind is Kind.NAME:
        return term.word.text == other.word.text
    return term.key == other.key


def _nearest(same: Sequence[Term], pairing: _Pairing) -> Term:
    """Of several equal words, the one in a part of the sentence that a value of the claim was found in."""
    segments = [other.segment for _, other in pairing.pairs]
    free = [other for other in same if not any(other is taken for _, taken in pairing.pairs)] or same
    return next((other for segment in reversed(segments) for other in free if other.segment == segment), free[0])


def held(key: str, keys: Set[str]) -> bool:
    """Is a word, or one that means the same, among `keys`?"""
    return key in keys or any(key in group and not keys.isdisjoint(group) for group in _SYNONYMS)


def _synonym(term: Term, free: Iterable[Term]) -> Term | None:
    if term.word.kind is Kind.NAME:
        return None
    return next((other for other in free if any({term.key, other.key} <= group for group in _SYNONYMS)), None)


def is_opposed(term: Term, others: Iterable[Term]) -> bool:
    """Does one of the others say the opposite, or name another of the things that `term` is one of?"""
    return any({term.key, other.key} <= group and term.key != other.key for group in _OPPOSITES for other in others)


def _likely(term: Term, free: Sequence[Term], context: Context, alike: Alike) -> Term | None:
    # The passages use this word themselves, of something else: whoever wrote them tells the two apart.
    if term.word.kind is Kind.NAME or term.key in context.elsewhere or term.key in _ROLES:
        return None
    others = [
        other
        for other in free
        if other.word.kind is not Kind.NAME and other.key not in _ROLES and not is_opposed(term, [other])
    ]
    if not others:
        return None
    cosines = alike([(term.word.text.casefold(), other.word.text.casefold()) for other in others])
    cosine, other = max(zip(cosines, others, strict=True), key=lambda scored: scored[0])
    return other if cosine >= ALIKE else None


def _words(content: Sequence[Term], line: Sequence[Term], pairing: _Pairing) -> Doubt | None:
    if any(term.word.kind is Kind.NAME for term in pairing.missing):
        return "name"
    if any(term.key in _ROLES for term in pairing.missing):
        return "role"
    return "words" if pairing.missing else None


def _bounds(claim: Sequence[Term], line: Sequence[Term], pairing: _Pairing) -> Doubt | None:
    said, there = _bounds_of(claim), _bounds_of(line)
    values = [(term, other) for term, other in pairing.pairs if term.role == "value"]
    if any(said.get(id(term)) != there.get(id(other)) for term, other in values):
        return "bound"
    return "bound" if None in said and not values and None not in there else None


def _bounds_of(terms: Sequence[Term]) -> dict[int | None, str]:
    """The bound of each value: the one before it in its part of the sentence, or else behind it."""
    found: dict[int | None, str] = {}
    for at, term in enumerate(terms):
        if term.role == "bound":
            after = [other for other in terms[at + 1 :] if _can_be_bounded(other, term)]
            before = [other for other in terms[:at] if _can_be_bounded(other, term)]
            of = after[0] if after else before[-1] if before else None
            found[None if of is None else id(of)] = term.key
    return found


def _can_be_bounded(value: Term, bound: Term) -> bool:
    return value.role == "value" and value.segment == bound.segment and not value.key.startswith("per ")


def _denials(claim: Sequence[Term], line: Sequence[Term], pairing: _Pairing) -> Doubt | None:
    if any(term.denied != other.denied for term, other in pairing.pairs):
        return "denial"
    touched = {other.segment for _, other in pairing.pairs}
    said = sum(term.role == "denial" for term in claim) % 2
    there = sum(term.role == "denial" and term.segment in touched for term in line) % 2
    return None if said == there else "denial"


def _modals(claim: Sequence[Term], line: Sequence[Term]) -> Doubt | None:
    said = {term.key for term in claim if term.role == "modal"}
    there = {term.key for term in line if term.role == "modal"}
    is_denied = any(term.role == "denial" for term in claim)
    if is_denied:
        return None  # "may not" and "must not" forbid alike
    if "may" in said and "may" not in there and "must" in there:
        return "modal"
    return "modal" if "must" in said and "must" not in there and "may" in there else None


def _conditions(claim: Sequence[Term], line: Sequence[Term], pairing: _Pairing) -> Doubt | None:
    touched = {other.segment for _, other in pairing.pairs}
    said = {term.word.text.casefold() for term in claim} & CONDITIONS
    there = {term.word.text.casefold() for term in line if term.segment in touched} & CONDITIONS
    return None if said == there else "condition"


def _segments(line: Sequence[Term], pairing: _Pairing) -> Doubt | None:
    """Words of one part must not be joined with a value of another: "A gets 5, B gets 9" says no "A gets 9"."""
    touched = {other.segment for _, other in pairing.pairs}
    paired = {id(other) for _, other in pairing.pairs}
    for segment in touched - {min(touched, default=0)}:
        own = [term for term in line if term.segment == segment and term.role in ("content", "value")]
        missed = [term for term in own if id(term) not in paired and term.key not in _LIGHT]
        if any(term.word.kind is Kind.NAME for term in missed) or len(missed) > (1 - _OWN) * len(own):
            return "role"
    # Of two values of one kind, the claim's own must be the nearer one to what it says of it.
    if len(touched) == 1:
        return _adjacent(line, pairing, touched)
    return None


def _adjacent(line: Sequence[Term], pairing: _Pairing, touched: set[int]) -> Doubt | None:
    (segment,) = touched
    own = [term for term in line if term.segment == segment and term.role == "value"]
    said = {id(other) for _, other in pairing.pairs}
    rivals = [term for term in own if id(term) not in said]
    kept = [term for term in own if id(term) in said]
    kinds = {term.word.unit or term.key.split()[0] for term in kept if term.word.unit}
    return "role" if any((term.word.unit or "") in kinds for term in rivals) else None


def _order(claim: Sequence[Term], line: Sequence[Term], pairing: _Pairing) -> Doubt | None:
    """Who does it and to whom it is done must not change places, unless the sentence is turned into the passive."""
    pairs = sorted(
        ((said, there) for said, there in pairing.pairs if said.role == "content"),
        key=lambda pair: pair[0].word.start,
    )
    agents = _agent(claim), _agent(line)
    if bool(agents[0]) != bool(agents[1]):
        is_claim_active = not agents[0]
        turned = [(there, said) for said, there in pairs] if is_claim_active else pairs
        return _turned(turned, agents[0] or agents[1], claim if is_claim_active else line)
    for at, (said, there) in enumerate(pairs):
        for later, behind in pairs[at + 1 :]:
            if behind.word.start < there.word.start and not (
                _is_adjunct(line, there, behind)
                or (_is_split_by_copula(claim, said, later) and _is_split_by_copula(line, behind, there))
                or (_is_passive(claim) and _is_told_to_anyone(line, behind))
            ):
                return "order"
    return None


def _turned(pairs: Sequence[tuple[Term, Term]], agent: Sequence[Term], active: Sequence[Term]) -> Doubt | None:
    """Does the active sentence begin with who did it in the passive one? Pairs: (passive, active)."""
    mine = [term for passive, term in pairs if any(passive is part for part in agent)]
    others = [term for passive, term in pairs if not any(passive is part for part in agent)]
    if not mine:
        return "order"
    first = min(term.word.start for term in mine)
    before = [term for term in others if term.word.start < first and not _after_preposition(active, term)]
    return "order" if before else None


def _agent(terms: Sequence[Term]) -> list[Term]:
    """The words behind "by" that say who did it."""
    for at, term in enumerate(terms):
        if term.word.text.casefold() == "by":
            rest = [after for after in terms[at + 1 :] if after.word.text.casefold() not in ("the", "a", "an", "our")]
            return list(takewhile(lambda after: after.role == "content", rest))
    return []


def _is_adjunct(line: Sequence[Term], one: Term, other: Term) -> bool:
    """Is either of them a circumstance ("for operations"), which stands before a statement as well as behind it?"""
    return _after_preposition(line, one) or _after_preposition(line, other)


def _is_split_by_copula(terms: Sequence[Term], first: Term, last: Term) -> bool:
    """ "X is Y", "Y is X" and "X, Y" say the same."""
    between = [term for term in terms if first.word.start < term.word.start <= last.word.start]
    is_apposition = last.segment == first.segment + 1 and not any(
        term.role == "function" and term.word.text.casefold() in _JOINTS for term in between
    )
    return is_apposition or any(term.word.text.casefold() in _COPULAS for term in between)


def _is_passive(terms: Sequence[Term]) -> bool:
    return any(term.word.text.casefold() in _BE for term in terms)


def _is_told_to_anyone(line: Sequence[Term], verb: Term) -> bool:
    """Has the verb no other subject than the reader or the writer: "you may cancel", "we acknowledge"?"""
    before = [term for term in line if term.word.start < verb.word.start and term.segment == verb.segment]
    return not any(term.role == "content" for term in before)


def _after_preposition(terms: Sequence[Term], of: Term) -> bool:
    before = [term for term in terms if term.word.start < of.word.start]
    for term in reversed(before):
        if term.role in ("function", "quantity", "bound"):
            if term.word.text.casefold() in _PREPOSITIONS or term.role == "bound":
                return True
            if term.word.text.casefold() not in ("the", "a", "an"):
                return False
    return False
