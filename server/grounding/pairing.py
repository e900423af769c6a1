"""Which word of a sentence stands for which of a claim: the same one, a synonym, or one the embedder takes for it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from server.grounding.asserted import Unsaid
from server.grounding.lexicon import LIGHT, OPPOSITES, ROLES, SYNONYMS
from server.grounding.likeness import Alike
from server.grounding.reading import Term, root
from server.grounding.units import CURRENCIES
from server.grounding.words import Kind, is_same_name, listed

# Cosine of two words above which one may stand for the other. Words of one field (dog, cat) can be nearer than
# that; they are told apart by what the passages say besides. Chosen with `make eval-grounding`.
ALIKE = 0.55
# The same for a word that the question lacks, and which so may be the answer: a nurse is no physician.
SURE = 0.6
_SYNONYMS = tuple(frozenset(map(root, group)) for group in SYNONYMS)
_OPPOSITES = tuple(frozenset(map(root, group)) for group in OPPOSITES)
ROLE_ROOTS = frozenset(map(root, ROLES))
LIGHT_ROOTS = frozenset(map(root, LIGHT))
_SPEAKERS = frozenset(listed("we us our"))
_ORGANISATIONS = frozenset(
    map(root, ["insurer", "company", "bank", "hospital", "provider", "organisation", "firm", "employer"])
)
_UNDOING = frozenset(listed("de dis un non non- in"))
PRICES = frozenset(map(root, ["cost", "price", "charge", "pay"]))
MONEY = frozenset(CURRENCIES.values())
# "A helmet is compulsory" says that one must wear it, and a ticket that one must have it.
_NEEDED = frozenset(listed("compulsory mandatory obligatory"))
_USES = frozenset(map(root, ["wear", "have", "use"]))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other sentences than one use in their own right, without a set for each."""

    users: Mapping[str, int] = field(default_factory=dict)  # how many sentences use a root
    own: frozenset[str] = frozenset()  # roots that this one uses

    def __contains__(self, key: str) -> bool:
        return self.users.get(key, 0) > (key in self.own)


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a sentence and may explain its words: headings, the sentence before, and the other sentences."""

    titles: frozenset[str] = frozenset()  # roots
    before: frozenset[str] = frozenset()  # roots of the sentence that a pronoun in this one points to
    asked: frozenset[str] | None = None  # roots of the question
    elsewhere: Elsewhere = Elsewhere()
    numbered: frozenset[tuple[str, str]] = frozenset()  # in headings, as `reading.numbered` has them
    unsaid: tuple[Unsaid, ...] = ()  # parts of the sentence itself that it denies or doubts
    conditions: tuple[int, ...] = ()  # where in it a condition of the rest begins


@dataclass(slots=True)
class Pairing:
    """Which term of the line stands for which of the claim."""

    pairs: list[tuple[Term, Term]] = field(default_factory=list)
    missing: list[Term] = field(default_factory=list)
    from_before: bool = False


def pair_content(
    content: Sequence[Term], line: Sequence[Term], context: Context, pairing: Pairing, alike: Alike | None
) -> int:
    """Pair content words (equal ones, then synonyms, then what the embedder takes for one) and count them."""
    there = [term for term in line if term.role == "content"]
    # A heading explains a sentence that is about the claim; it does not make it so.
    is_headed = any(term.key not in ROLE_ROOTS and any(_equal(term, other) for other in there) for term in content)
    shares = Counter(other.segment for other in there if any(_equal(term, other) for term in content))
    has_pronoun = bool(context.before)
    open_terms: list[Term] = []
    found = 0
    for term in content:
        same = [other for other in there if _equal(term, other)]
        if same:
            pairing.pairs.append((term, _nearest(same, pairing, shares)))
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
    # "Lost card: 5 euros" says what it costs, where the sum has no other name.
    is_priced = any(said.word.unit in MONEY for said, _ in pairing.pairs) and not any(
        other.key in ROLE_ROOTS and other.key not in PRICES for other in there
    )
    is_needed = any(term.word.text.casefold() in _NEEDED for term in line)
    for term in open_terms:
        other = _synonym(term, free)
        if other is None and alike:
            allowed = [one for one in free if not _is_contrasted(term, one, content, there, pairing)]
            other = _likely(term, allowed, context, alike)
        if other is not None:
            free = [left for left in free if left is not other]
            pairing.pairs.append((term, other))
            found += 1
        elif (
            term.key in LIGHT_ROOTS
            or (is_spoken and term.key in _ORGANISATIONS)
            or (term.key in PRICES and is_priced)
            or (term.key in _USES and is_needed)
        ):
            found += 1
        else:
            pairing.missing.append(term)
    return found


def _equal(term: Term, other: Term) -> bool:
    if term.word.kind is Kind.NAME:
        return is_same_name(term.word, other.word)
    return term.key == other.key


def _nearest(same: Sequence[Term], pairing: Pairing, shares: Mapping[int, int]) -> Term:
    """Of several equal words, the one in a part of the sentence that a value of the claim is in, or most of it."""
    segments = [other.segment for _, other in pairing.pairs]
    free = [other for other in same if not any(other is taken for _, taken in pairing.pairs)] or same
    return next(
        (other for segment in reversed(segments) for other in free if other.segment == segment),
        max(free, key=lambda other: shares[other.segment]),
    )


def held(key: str, keys: Set[str]) -> bool:
    """Is a word, or one that means the same, among `keys`?"""
    return key in keys or any(key in group and not keys.isdisjoint(group) for group in _SYNONYMS)


def _synonym(term: Term, free: Iterable[Term]) -> Term | None:
    if term.word.kind is Kind.NAME:
        return None
    return next((other for other in free if any({term.key, other.key} <= group for group in _SYNONYMS)), None)


def is_opposed(term: Term, others: Iterable[Term]) -> bool:
    """Does one of the others say the opposite, or name another of the things that `term` is one of?"""
    return any(
        _is_undone(term.key, other.key)
        or any({term.key, other.key} <= group and term.key != other.key for group in _OPPOSITES)
        for other in others
    )


def _is_undone(one: str, other: str) -> bool:
    """ "Deactivate" and "activate"."""
    short, long = sorted((one, other), key=len)
    return len(short) > 3 and long.removesuffix(short) in _UNDOING


def _is_contrasted(term: Term, other: Term, content: Sequence[Term], there: Sequence[Term], pairing: Pairing) -> bool:
    """Do two different words stand before one and the same, and so tell two things apart: dark and light soles?"""
    heads = [after for before, after in pairwise(content) if before is term]
    others = [after for before, after in pairwise(there) if before is other and after.word.start == other.word.end + 1]
    return any(said in heads and behind in others for said, behind in pairing.pairs)


def _likely(term: Term, free: Sequence[Term], context: Context, alike: Alike) -> Term | None:
    # The passages use this word themselves, of something else: whoever wrote them tells the two apart.
    if term.word.kind is Kind.NAME or term.key in context.elsewhere or term.key in ROLE_ROOTS:
        return None
    others = [
        other
        for other in free
        if other.word.kind is not Kind.NAME and other.key not in ROLE_ROOTS and not is_opposed(term, [other])
    ]
    if not others:
        return None
    cosines = alike([(term.word.text.casefold(), other.word.text.casefold()) for other in others])
    cosine, other = max(zip(cosines, others, strict=True), key=lambda scored: scored[0])
    is_answer = context.asked is not None and term.key not in context.asked
    return other if cosine >= (SURE if is_answer else ALIKE) else None
