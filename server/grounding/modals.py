"""Duty, choice and advice: do a claim and a sentence say the same of the same deed?"""

from collections.abc import Sequence, Set

from server.grounding.pairing import Pairing
from server.grounding.reading import Term


def is_another_modal(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> bool:
    """Says the sentence that one may, where the claim says that one must?"""
    said, there = _modals_of(claim), _modals_of(line)
    if _is_turned(claim, line, pairing):
        return True
    if any(term.role == "denial" for term in claim):
        if said and there and ("should" in said) != ("should" in there):
            return True
        # "may not" and "must not" forbid alike; "need not" leaves the choice.
        leaves, forbids = {"need"}, {"may", "must"}
        is_turned = (said <= leaves and there <= forbids) or (said <= forbids and there <= leaves)
        return bool(said and there) and is_turned
    said, there = ({"must" if key == "need" else key for key in keys} for keys in (said, there))
    touched = {other.segment for _, other in pairing.pairs}
    if not said and _modals_of([term for term in line if term.segment in touched]) & {"may", "should"}:
        return True  # what may be done is not what is done
    if there and said and said.isdisjoint(there):
        return True
    return bool(said) and any(own.isdisjoint(said) for own in _modals_by_part(line, touched))


def _is_turned(claim: Sequence[Term], line: Sequence[Term], pairing: Pairing) -> bool:
    """Must one do in the claim what one may do in the sentence, whatever else either of them says?"""
    said, there = _verbs(claim), _verbs(line)
    return any(
        id(term) in said and id(other) in there and said[id(term)] != there[id(other)] for term, other in pairing.pairs
    )


def _verbs(terms: Sequence[Term]) -> dict[int, str]:
    """What is said to be a duty or a choice: the word behind each modal, where nothing denies it."""
    found: dict[int, str] = {}
    modal = ""
    for term in terms:
        if term.role == "modal":
            modal = "must" if term.key == "need" else term.key
        elif term.role in ("denial", "content"):
            if modal and term.role == "content":
                found[id(term)] = modal
            modal = ""
    return found


def _modals_by_part(line: Sequence[Term], touched: Set[int]) -> list[set[str]]:
    """Of the parts of a sentence that have a modal: "is mandatory for A and recommended for B"."""
    parts = [_modals_of([term for term in line if term.segment == segment]) for segment in touched]
    return [{"must" if key == "need" else key for key in part} for part in parts if part]


def _modals_of(terms: Sequence[Term]) -> set[str]:
    return {term.key for term in terms if term.role == "modal"}
