"""Texts with what they hold of personal data replaced, and where each offset has gone."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.personal.find import Finding, Kind, find
from retrieval.personal.placeholders import PLACEHOLDERS


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found in it, how many of each kind that was, and the way from old to new offsets."""

    text: str
    counts: Mapping[Kind, int] = field(default_factory=dict)
    _replaced: Sequence[tuple[Finding, int]] = ()  # and the shift behind each

    def moved(self, offset: int) -> int:
        """Where the character at `offset` of the old text is now; within what was replaced: where its place begins."""
        at = bisect_right(self._replaced, offset, key=lambda item: item[0].start) - 1
        if at < 0:
            return offset
        finding, shift = self._replaced[at]
        before = self._replaced[at - 1][1] if at else 0
        return finding.start + before if offset < finding.end else offset + shift


def redact(text: str, pause: Callable[[], None] = lambda: None) -> Redacted:
    """Replace everything that `find` finds by the name of its kind.

    Nothing else changes. What is left holds nothing that would be found, so that redacting again changes nothing.

    Args:
        pause: as `find` calls it.
    """
    findings = find(text, pause)
    counts = Counter(finding.kind for finding in findings)
    parts: list[str] = []
    replaced: list[tuple[Finding, int]] = []
    end = shift = 0
    for finding in findings:
        placeholder = PLACEHOLDERS[finding.kind]
        parts += [text[end : finding.start], placeholder]
        shift += len(placeholder) - (finding.end - finding.start)
        replaced.append((finding, shift))
        end = finding.end
    return Redacted("".join([*parts, text[end:]]), dict(counts), replaced)
