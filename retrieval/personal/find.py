"""Everything that the finders find in a text, without overlaps."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrieval.personal.accounts import Span, cards, ibans
from retrieval.personal.contacts import emails, phones
from retrieval.personal.nationals import national_ids
from retrieval.personal.placeholders import Shown
from retrieval.personal.spelling import seen
from retrieval.types import PersonalDataKind

Kind = PersonalDataKind

_CAN_HOLD_ANY = re.compile(r"[\d@]")
# No shorter than what a finder looks at before a number, nor than most of what is found. What is hidden counts as one
# character, as finders see it: else a row of numbers between long ones would come to light one by one, everywhere.
_MARGIN = 64
_REACH = 3 * _MARGIN

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

    It is looked for again with what was found hidden, until nothing is: what was a part of two readings may leave a
    rest that reads as one. A finding depends on its paragraph alone (blank lines divide them), so that texts may be
    searched in parts.

    Args:
        pause: called after each kind; may raise, to give up.
    """
    spelled = seen(text)
    if not _CAN_HOLD_ANY.search(spelled.text):
        return []
    shown = Shown(spelled.text)
    everywhere = [(0, len(shown))]
    places, findings = everywhere, list[Finding]()
    while True:
        found = [one for place in places for one in _found_in(shown, place, pause)]
        if not found and places is everywhere:
            return sorted(findings, key=lambda finding: finding.start)
        findings += [Finding(*spelled.span(start, end), kind) for start, end, kind in found]
        # Twice everywhere, which mostly is enough; then around what is new, as a row may come to light one by one.
        places = _around(found, shown) if found and len(findings) > len(found) else everywhere


def _found_in(shown: Shown, place: Span, pause: Callable[[], None]) -> list[tuple[int, int, Kind]]:
    """Find and hide what stands in a part, but not in its margins: there it may be cut off, or lack what is before."""
    first, last = place
    low = shown.ahead(first, _MARGIN) - first if first else 0
    high = (shown.back(last, _MARGIN) if last < len(shown) else last) - first
    text = shown.part(first, last)
    taken = bytearray(len(text))
    found: list[tuple[int, int, Kind]] = []
    for kind, finder in _FINDERS.items():
        if found and kind == "phone":
            break  # until all that has check digits or an @ is hidden: a part of it could be a phone number
        for start, end in finder(text):
            if low <= start and end <= high and not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                shown.hide(first + start, first + end, kind)
                found.append((first + start, first + end, kind))
        pause()
    return found


def _around(found: Sequence[tuple[int, int, Kind]], shown: Shown) -> list[Span]:
    places: list[Span] = []
    for start, end, _ in sorted(found):
        first, last = shown.back(start, _REACH), shown.ahead(end, _REACH)
        if places and first <= places[-1][1]:
            first = places.pop()[0]
        places.append((first, last))
    return places
