"""Which value a "least" or "most" is said of."""

from collections.abc import Sequence

from server.grounding.reading import Term


def bounds_of(terms: Sequence[Term]) -> dict[int | None, str]:
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
