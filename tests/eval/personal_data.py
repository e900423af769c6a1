"""Labelled lines with and without personal data, and how much of it is found.

The lines and values of `personal_data_*.txt` are invented, in seven languages; check digits are valid where a mark says
so, and were made by other code than what is measured. `tune` is what rules may be made by, `report` what is told.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from retrieval.personal.find import Finding

Half = Literal["tune", "report"]
HALVES: tuple[Half, ...] = ("tune", "report")

_MARK = re.compile(r"\{([a-z_]+)(\.\w+)?:([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and the spans in it that are personal data: (start, end) to the kind, and the finer one for the table."""

    text: str
    marks: dict[tuple[int, int], tuple[str, str]]


@dataclass(slots=True)
class Score:
    """By kind: what there is, what was found of it with its exact borders, and what was found beside it."""

    there: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    clean_lines: int = 0
    notes: list[str] = field(default_factory=list)

    def precision(self, kind: str) -> float:
        """Of a kind, or of a finer one; only kinds have wrong findings."""
        return self.found[kind] / max(1, self.found[kind] + self.wrong[kind])

    def recall(self, kind: str) -> float:
        return self.found[kind] / max(1, self.there[kind])


def load(half: Half) -> list[Line]:
    """The lines of one half."""
    path = Path(__file__).with_name(f"personal_data_{half}.txt")
    return [_line(line) for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def score(lines: Sequence[Line], find: Callable[[str], Sequence[Finding]]) -> Score:
    """Compare what is found in each line with its marks."""
    total = Score()
    for line in lines:
        found = {(finding.start, finding.end): finding.kind for finding in find(line.text)}
        total.clean_lines += not line.marks
        for place, (kind, finer) in line.marks.items():
            is_found = found.get(place) == kind
            for name in {kind, finer, "all"}:
                total.there[name] += 1
                total.found[name] += is_found
            if not is_found:
                total.notes.append(f"missing {finer}: {line.text}")
        for place, kind in found.items():
            if line.marks.get(place, ("", ""))[0] != kind:
                total.wrong.update((kind, "all"))
                total.notes.append(f"wrong {kind} {line.text[slice(*place)]!r}: {line.text}")
    return total


def _line(marked: str) -> Line:
    text, marks, end = "", {}, 0
    for mark in _MARK.finditer(marked):
        text += marked[end : mark.start()]
        marks[len(text), len(text) + len(mark[3])] = (mark[1], mark[1] + (mark[2] or ""))
        text += mark[3]
        end = mark.end()
    return Line(text + marked[end:], marks)
