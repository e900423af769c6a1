"""What a claim leaves out of a sentence: that it is denied or doubted, and on what it depends."""

from collections.abc import Sequence
from itertools import pairwise, takewhile

from server.grounding.asserted import is_repeated
from server.grounding.bounds import bounds_of
from server.grounding.lexicon import CONDITIONS
from server.grounding.order import COPULAS
from server.grounding.pairing import Context, Pairing, held
from server.grounding.reading import Term
from server.grounding.words import listed

_RESTRICTING = frozenset(listed("who whose that with without"))


def is_unsaid(claim: Sequence[Term], pairing: Pairing, context: Context) -> bool:
    """ "It is false that glass is covered" does not say that glass is."""
    keys = {term.key for term in claim} | (context.asked or frozenset())
    for part in context.unsaid:
        inside = [part.covers(other.word.start, other.word.end) for _, other in pairing.pairs]
        if 2 * sum(inside) > len(inside) and not is_repeated(part, keys):
            return True
    return False


def is_conditioned(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> bool:
    """Has a part that says it an "if", an "only" or a bound that the claim leaves out, or the claim one of its own?"""
    touched = {other.segment for _, other in pairing.pairs}
    said = {term.word.text.casefold() for term in claim} & CONDITIONS
    there = {term.word.text.casefold() for term in line if term.segment in touched} & CONDITIONS
    if said != there:
        return True
    bounds = bounds_of(line)
    paired = {id(other) for _, other in pairing.pairs}
    is_limited = any(
        id(term) in bounds
        and id(term) not in paired
        and bounds[id(term)] in (">", ">=", "<")
        and term.segment in touched
        for term in line
    )
    return is_limited and len(bounds_of(claim)) < len(bounds)


def is_dropped(line: Sequence[Term], pairing: Pairing, context: Context) -> bool:
    """A condition in a part of the sentence that the claim says nothing of, unless it was asked about."""
    clauses = {other.clause for _, other in pairing.pairs}
    paired = {id(other) for _, other in pairing.pairs}
    for start in context.conditions:
        behind = [term for term in line if term.word.start >= start]
        own = [term for term in behind if term.segment == behind[0].segment and term.role in ("content", "value")]
        if not own or own[0].clause not in clauses or any(id(term) in paired for term in own):
            continue
        if 2 * sum(held(term.key, context.asked or frozenset()) for term in own) < len(own):
            return True
    return False


def is_restricted(line: Sequence[Term], pairing: Pairing) -> bool:
    """ "Shoes with dark soles are prohibited" does not say that shoes are."""
    paired = {id(other) for _, other in pairing.pairs}
    for at, (noun, opening) in enumerate(pairwise(line)):
        if id(noun) not in paired or noun.role != "content" or opening.word.text.casefold() not in _RESTRICTING:
            continue
        behind = [term for term in line[at + 2 :] if term.segment == opening.segment]
        inner = list(takewhile(lambda term: term.role != "modal", behind))
        ends = [place for place, term in enumerate(inner) if term.word.text.casefold() in COPULAS]
        inner = inner[: ends[0]] if ends else inner
        told = [term for term in inner if term.role in ("content", "value")]
        if told and not any(id(term) in paired for term in told):
            return True
    return False
