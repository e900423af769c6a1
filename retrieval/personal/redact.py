"""Texts with what they hold of personal data replaced, and where each offset has gone."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.personal.find import Finding, Kind, find

PLACEHOLDERS: Mapping[Kind, str] = {
    "iban": "[IBAN]",
    "card": "[CARD]",
    "national_id": "[NATIONAL-ID]",
    "email": "[E-MAIL]",
    "phone": "[PHONE]",
}


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found in it, how many of each kind that was, and the way from old to new offsets."""

    text: str
    counts: Mapping[Kind, int] = field(default_factory=dict)
    _steps: tuple[Sequence[tuple[Finding, int]], ...] = ()  # of each pass: what was replaced, and the shift behind it

    def moved(self, offset: int) -> int:
        """Where the character at `offset` of the old text is now; within what was replaced: where its place begins."""
        for step in self._steps:
            at = bisect_right(step, offset, key=lambda item: item[0].start) - 1
            if at < 0:
                continue
            finding, shift = step[at]
            before = step[at - 1][1] if at else 0
            offset = finding.start + before if offset < finding.end else offset + shift
        return offset


def redact(text: str, pause: Callable[[], None] = lambda: None) -> Redacted:
    """Replace everything that `find` finds by the name of its kind, until it finds nothing.

    Nothing else changes. What is left holds nothing that would be found, so that redacting again changes nothing.

    Args:
        pause: as `find` calls it.
    """
    counts: Counter[Kind] = Counter()
    steps: list[Sequence[tuple[Finding, int]]] = []
    # Again: a number that was part of two readings may leave a rest that reads as one. Each pass takes digits or an @
    # away and adds none, so there is a last one.
    while findings := find(text, pause):
        counts.update(finding.kind for finding in findings)
        text, step = _replaced(text, findings)
        steps.append(step)
    return Redacted(text, dict(counts), tuple(steps))


def _replaced(text: str, findings: Sequence[Finding]) -> tuple[str, list[tuple[Finding, int]]]:
    parts: list[str] = []
    step: list[tuple[Finding, int]] = []
    end = shift = 0
    for finding in findings:
        placeholder = PLACEHOLDERS[finding.kind]
        parts += [text[end : finding.start], placeholder]
        shift += len(placeholder) - (finding.end - finding.start)
        step.append((finding, shift))
        end = finding.end
    return "".join([*parts, text[end:]]), step
