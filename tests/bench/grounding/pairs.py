"""Labelled answers and passages: reading them, and counting the markers that are right, wrong and missing."""

import json
import lzma
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from server.grounding.likeness import Alike, Entailed
from server.grounding.sentences import sentences
from server.grounding.support import Sources

Half = Literal["tune", "report", "blind_tune", "blind_report", "plain", "contrast", "last"]
# Of authors who had not seen the rules: about 600 pairs of each; in `contrast` most wrong answers are right ones with
# one small change. `last` is for the last figure, and nothing is to be chosen by it.
WRITTEN = Path(__file__).with_name("written.jsonl.xz")


@dataclass(frozen=True, slots=True)
class Pair:
    """An answer, what it was to be read from, and per sentence the words that its cited spans must hold."""

    kind: str
    question: str
    titles: tuple[str, ...]
    passages: tuple[str, ...]
    answer: str
    cited: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Score:
    """Markers that were set and right, set and wrong, and missing; by kind of pair as well."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Of the markers set, the share that is right."""
        return self.right.total() / max(1, self.right.total() + self.wrong.total())

    @property
    def recall(self) -> float:
        """Of the markers that should be set, the share that was."""
        return self.right.total() / max(1, self.right.total() + self.missing.total())


def load(half: Half) -> list[Pair]:
    """The pairs of one set; no document is in two of them."""
    if half in ("plain", "contrast", "last"):
        with lzma.open(WRITTEN, "rt", encoding="utf-8") as lines:
            groups = [group for group in map(json.loads, lines) if group["set"] == half]
    else:
        groups = json.loads((Path(__file__).parent / f"{half}.json").read_text(encoding="utf-8"))["groups"]
    return [pair for group in groups for pair in _pairs(group)]


def _pairs(group: dict[str, list[dict[str, str]]]) -> Iterator[Pair]:
    for pair in group["pairs"]:
        yield Pair(
            pair["kind"],
            pair["question"],
            tuple(passage["title"] for passage in group["passages"]),
            tuple(passage["text"] for passage in group["passages"]),
            pair["answer"],
            tuple(tuple(words) for words in pair["cited"]),
        )


def score(pairs: Sequence[Pair], alike: Alike, entailed: Entailed | None = None) -> Score:
    """Check every answer as the server does; without `entailed`, by the rules alone."""
    total = Score()
    for pair in pairs:
        total.pairs[pair.kind] += 1
        sources = Sources(pair.passages, pair.question, alike, pair.titles, entailed)
        places = sentences(pair.answer)
        assert len(places) == len(pair.cited), f"{len(places)} sentences in {pair.answer!r}"
        for place, expected in zip(places, pair.cited, strict=True):
            claim = pair.answer[place.start : place.end]
            finding = sources.find(claim)
            spans = [pair.passages[s.passage][s.start : s.end] for s in finding.supports]
            found = [words for words in expected if any(words in span for span in spans)]
            wrong = [span for span in spans if not any(words in span for words in expected)]
            total.right[pair.kind] += len(found)
            total.wrong[pair.kind] += len(wrong)
            total.missing[pair.kind] += len(expected) - len(found)
            if wrong or len(found) < len(expected):
                verdict = "WRONG" if wrong else f"missing ({finding.reason or finding.match})"
                total.notes.append(f"{verdict:20} {pair.kind:10} {claim!r} {spans}")
    return total
