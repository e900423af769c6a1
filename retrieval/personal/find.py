"""Everything that the finders find in a text, without overlaps."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from retrieval.personal.accounts import Span, cards, ibans
from retrieval.personal.contacts import emails, phones
from retrieval.personal.nationals import national_ids
from retrieval.personal.spelling import seen
from retrieval.types import PersonalDataKind

Kind = PersonalDataKind

_CAN_HOLD_ANY = re.compile(r"[\d@]")

# Where two overlap, the earlier one of this list stays: what has more check digits is less often wrong.
_FINDERS: Mapping[Kind, Callable[[str], Iterator[Span]]] = {
    "iban": ibans,
    "card": cards,
    "national_id": national_ids,
    "email": emails,
    "phone": phones,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A span of a text that is personal data, end-exclusive, in code points."""

    start: int
    end: int
    kind: Kind


def find(text: str, pause: Callable[[], None] = lambda: None) -> list[Finding]:
    """What a text holds of each kind, in the order of the text. Takes time linear in its length.

    A finding depends on its paragraph alone (blank lines divide them), so that texts may be searched in parts.

    Args:
        pause: called after each kind; may raise, to give up.
    """
    spelled = seen(text)
    if not _CAN_HOLD_ANY.search(spelled.text):
        return []
    taken = bytearray(len(spelled.text))
    findings: list[Finding] = []
    for kind, finder in _FINDERS.items():
        for start, end in finder(spelled.text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                findings.append(Finding(*spelled.span(start, end), kind))
        pause()
    return sorted(findings, key=lambda finding: finding.start)
