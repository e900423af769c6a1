"""What a denial denies: a whole statement, or only what stands behind it."""

from collections.abc import Sequence

from server.grounding.lexicon import DENIALS
from server.grounding.reading import Term
from server.grounding.words import listed

# "No delivery will be made" denies the statement, and "staff with no car" only the car.
_NONE = frozenset(listed("no none nobody nothing neither"))
_RELATIVES = frozenset(listed("who whom whose that which if when where unless because with without"))
_AUXILIARIES = frozenset(
    listed("is are was were be been do does did will would shall has have had can could may might must should need")
)


def denies_all(terms: Sequence[Term]) -> bool:
    """Is the one denial of a clause one of the statement as a whole, wherever it stands?"""
    denials = [at for at, term in enumerate(terms) if term.role == "denial"]
    if len(denials) != 1 or any(term.word.text.casefold() in _RELATIVES for term in terms):
        return False
    (at,) = denials
    word = terms[at].word.text.casefold().replace("’", "'")
    if word in _NONE:
        return not any(term.role in ("content", "value") for term in terms[:at])
    if word in DENIALS:  # "dyeing is forbidden", but not "forbidden fruit"
        return at > 0 and terms[at - 1].word.text.casefold() in _AUXILIARIES
    if word in ("cannot", "never") or word.endswith("n't"):
        return True
    return word == "not" and at > 0 and terms[at - 1].word.text.casefold() in _AUXILIARIES
