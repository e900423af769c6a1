"""Who does what to whom: two sentences of the same words that say it differently, told by the order of the words."""

from collections.abc import Sequence
from itertools import takewhile

from server.grounding.reading import Term
from server.grounding.words import ARTICLES, EQUAL_JOINTS, Kind, listed

# "to" and "from" are missing: they say to whom and by whom, which no other order of words may change.
_PREPOSITIONS = frozenset(listed("for in on at of within per after during until since before under beside next with"))
COPULAS = frozenset(listed("is are was were"))
BE = COPULAS | {"be", "been", "being"}
_BEFORE_WHO_DID_IT = ARTICLES | {"our"}
_DETERMINERS = frozenset(listed("the a an all any each every your this these them it"))
_ANYONE = frozenset(listed("you we i one they anyone everyone"))


def is_reordered(claim: Sequence[Term], line: Sequence[Term], paired: Sequence[tuple[Term, Term]]) -> bool:
    """Do who does it and to whom it is done change places, without the sentence being turned into the passive?

    Args:
        paired: content words and values of the claim, each with the one of the line that stands for it.
    """
    pairs = sorted(
        ((said, there) for said, there in paired if said.role == "content"),
        key=lambda pair: pair[0].word.start,
    )
    agents = _agent(claim), _agent(line)
    if bool(agents[0]) != bool(agents[1]):
        is_claim_active = not agents[0]
        turned = [(there, said) for said, there in pairs] if is_claim_active else pairs
        return _turned(turned, agents[0] or agents[1], claim if is_claim_active else line)
    for at, (said, there) in enumerate(pairs):
        for later, behind in pairs[at + 1 :]:
            if behind.word.start >= there.word.start:
                continue
            if _is_joined_by_of(claim, said, later) and _is_joined_by_of(line, behind, there):
                return True
            if not (
                _is_adjunct(line, there, behind)
                or (_is_split_by_copula(claim, said, later) and _is_split_by_copula(line, behind, there))
                or (_is_passive(claim) and _is_told_to_anyone(line, behind))
                or (_is_passive(line) and _is_told_to_anyone(claim, said))
                or (_is_turned_passive(claim, later) and _is_active_without(line, there, behind, pairs))
                or _is_compound(claim, said, later, line, behind, there)
                or _is_compound(line, behind, there, claim, said, later)
            ):
                return True
    return False


def is_exchanged(claim: Sequence[Term], line: Sequence[Term]) -> bool:
    """Is it "from 5 to 3" for "from 3 to 5", or "to Ben" where Ben himself does it to another?

    Of values and names alone: an allowance applies to children, and children are entitled to it.
    """
    names = {term.key for term in claim}, {term.key for term in line}
    for preposition in ("from", "to"):
        said, there = _ends(claim, preposition), _ends(line, preposition)
        if said and there and said.isdisjoint(there) and said <= names[1] and there <= names[0]:
            return True
    return False


def _ends(terms: Sequence[Term], preposition: str) -> set[str]:
    """Whom or what a preposition leads to: of each run of words behind it the last."""
    found: set[str] = set()
    for at, term in enumerate(terms):
        if term.word.text.casefold() == preposition:
            behind = [after for after in terms[at + 1 :] if after.word.text.casefold() not in ARTICLES]
            run = list(takewhile(lambda after: after.role in ("content", "value"), behind))
            found.update(after.key for after in run[-1:] if after.role == "value" or after.word.kind is Kind.NAME)
    return found


def _turned(pairs: Sequence[tuple[Term, Term]], agent: Sequence[Term], active: Sequence[Term]) -> bool:
    """Does the active sentence not begin with who did it in the passive one? Pairs: (passive, active)."""
    mine = [term for passive, term in pairs if any(passive is part for part in agent)]
    others = [term for passive, term in pairs if not any(passive is part for part in agent)]
    if not mine:
        return True
    first = min(term.word.start for term in mine)
    before = [term for term in others if term.word.start < first and not _after_preposition(active, term)]
    return bool(before)


def _agent(terms: Sequence[Term]) -> list[Term]:
    """The words behind "by" that say who did it."""
    for at, term in enumerate(terms):
        if term.word.text.casefold() == "by" and _is_passive(terms[:at]):
            rest = [after for after in terms[at + 1 :] if after.word.text.casefold() not in _BEFORE_WHO_DID_IT]
            agent = list(takewhile(lambda after: after.role == "content", rest))
            # "By calling" says how, and not who.
            return [] if agent and agent[0].word.text.endswith("ing") else agent
    return []


def _is_adjunct(line: Sequence[Term], one: Term, other: Term) -> bool:
    """Is either of them a circumstance ("for operations"), which stands before a statement as well as behind it?"""
    return _after_preposition(line, one) or _after_preposition(line, other)


def _is_split_by_copula(terms: Sequence[Term], first: Term, last: Term) -> bool:
    """ "X is Y", "Y is X" and "X, Y" say the same."""
    between = [term for term in terms if first.word.start < term.word.start <= last.word.start]
    is_apposition = last.segment == first.segment + 1 and not any(
        term.role == "function" and term.word.text.casefold() in EQUAL_JOINTS for term in between
    )
    return is_apposition or any(term.word.text.casefold() in COPULAS for term in between)


def _is_passive(terms: Sequence[Term]) -> bool:
    return any(term.word.text.casefold() in BE for term in terms)


def _is_told_to_anyone(line: Sequence[Term], verb: Term) -> bool:
    """Has the verb no other subject than the reader or the writer: "you may cancel", "we acknowledge"?"""
    before = [term for term in line if term.word.start < verb.word.start and term.segment == verb.segment]
    if not before:  # "Cancel the contract in writing", but not "Guests may play"
        return any(term.word.text.casefold() in _DETERMINERS for term in line if term.word.start == verb.word.end + 1)
    is_to_anyone = any(term.word.text.casefold() in _ANYONE for term in before)
    return is_to_anyone and not any(term.role == "content" for term in before)


def _is_turned_passive(terms: Sequence[Term], verb: Term) -> bool:
    """Stands a form of "be" right before the verb, as in "a backup is created"?"""
    before = [term.word.text.casefold() for term in terms if term.word.start < verb.word.start]
    return bool(before) and before[-1] in BE


def _is_active_without(line: Sequence[Term], object_: Term, verb: Term, pairs: Sequence[tuple[Term, Term]]) -> bool:
    """Does somebody whom the claim does not name do it: "the program" in "the program creates a backup"?"""
    if _is_turned_passive(line, verb) or _after_preposition(line, object_):
        return False
    doers = [
        term
        for term in line
        if term.role == "content" and term.word.start < verb.word.start and term.segment == verb.segment
    ]
    return bool(doers) and not any(there is doer for _, there in pairs for doer in doers)


def _is_joined_by_of(terms: Sequence[Term], first: Term, last: Term) -> bool:
    between = [term.word.text.casefold() for term in terms if first.word.start < term.word.start < last.word.start]
    return bool(between) and between[0] == "of" and set(between) <= ARTICLES | {"of", "his", "her", "their", "its"}


def _is_compound(
    short: Sequence[Term], modifier: Term, head: Term, long: Sequence[Term], first: Term, last: Term
) -> bool:
    """Is it "supplier gifts" here and "gifts from suppliers" there, or "the lender's consent" and one of the lender?"""
    inner = [term for term in short if modifier.word.start < term.word.start < head.word.start]
    if any(term.role != "content" for term in inner) or len(inner) > 1:
        return False
    between = [term for term in long if first.word.start < term.word.start < last.word.start]
    words = [term.word.text.casefold() for term in between if term.word.text.casefold() not in ARTICLES]
    others = [term for term in between if term.role == "content"]
    return bool(words) and words[-1] in ("of", "from", "for") and len(words) - 1 == len(others) <= 1


def _after_preposition(terms: Sequence[Term], of: Term) -> bool:
    before = [term for term in terms if term.word.start < of.word.start]
    for term in reversed(before):
        if term.role in ("function", "quantity", "bound"):
            if term.word.text.casefold() in _PREPOSITIONS or term.role == "bound":
                return True
            if term.word.text.casefold() not in ARTICLES:
                return False
    return False
