"""A document as its store's policy wants it: as it is, with what it holds of personal data counted, or without it."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from retrieval.parsed import Heading, Parsed
from retrieval.personal.find import Kind, find
from retrieval.personal.redact import Redacted, redact
from retrieval.types import PersonalDataPolicy

_PARAGRAPH_END = re.compile(r"\n\n")
# About a second's work at worst, unless no paragraph ends; meanwhile the caller may do what cannot wait.
BLOCK = 1 << 15

Counts = Mapping[Kind, int]


def treated(parsed: Parsed, policy: PersonalDataPolicy, pause: Callable[[], None]) -> tuple[Parsed, Counts]:
    """Treat a document as the policy says.

    Args:
        pause: called now and then; may raise, to give up.

    Returns:
        The document, under `redact` with everything that was found replaced (in text, title and names of sheets) and
        with offsets into the new text; and how many of each kind the text holds, or held.
    """
    match policy:
        case "off":
            return parsed, {}
        case "flag":
            return parsed, _counted(parsed.text, pause)
        case "redact":
            return _redacted(parsed, pause)


def _counted(text: str, pause: Callable[[], None]) -> Counts:
    counts: Counter[Kind] = Counter()
    for block in _blocks(text):
        counts.update(finding.kind for finding in find(block, pause))
        pause()
    return dict(counts)


def _redacted(parsed: Parsed, pause: Callable[[], None]) -> tuple[Parsed, Counts]:
    counts: Counter[Kind] = Counter()
    parts: list[Redacted] = []
    for block in _blocks(parsed.text):
        parts.append(redact(block, pause))
        counts.update(parts[-1].counts)
        pause()
    names = {name: redact(name, pause).text for name in {place.within for place in parsed.places}}
    way = _Way.through([len(block) for block in _blocks(parsed.text)], parts)
    return (
        replace(
            parsed,
            title=redact(parsed.title, pause).text,
            text="".join(part.text for part in parts),
            headings=tuple(Heading(way.to(old.start), way.to(old.end), old.level) for old in parsed.headings),
            places=tuple(replace(old, start=way.to(old.start), within=names[old.within]) for old in parsed.places),
            flags=tuple(replace(old, start=way.to(old.start), end=way.to(old.end)) for old in parsed.flags),
        ),
        dict(counts),
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """From offsets in the old text to offsets in the new one."""

    old: list[int]  # where each block begins
    new: list[int]
    parts: list[Redacted]

    @classmethod
    def through(cls, lengths: list[int], parts: list[Redacted]) -> "_Way":
        old = list(accumulate(lengths, initial=0))
        return cls(old[:-1], list(accumulate((len(part.text) for part in parts), initial=0)), parts)

    def to(self, offset: int) -> int:
        at = bisect_right(self.old, offset) - 1
        return self.new[at] + self.parts[at].moved(offset - self.old[at]) if self.parts else offset


def _blocks(text: str) -> Iterator[str]:
    """Parts that end with a paragraph, which is as far as a finding can reach."""
    start = 0
    while len(text) - start > BLOCK:
        found = _PARAGRAPH_END.search(text, start + BLOCK)
        if found is None:
            break
        yield text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield text[start:]
