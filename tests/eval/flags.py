"""The labelled texts of tests/eval/instructions: some speak to a language model, some only sound as if they did.

Each line is a kind of flag, or `-`, and a text with `\\n` for line ends.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from retrieval.flags import find
from retrieval.types import FlagKind
from retrieval.visible import clean

FOLDER = Path(__file__).parent / "instructions"
Half = Literal["tune", "report"]
NONE = "-"


@dataclass(slots=True)
class Score:
    """How many texts were flagged rightly, wrongly and not at all, by what they are."""

    right: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    clean: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right.total() / (self.right.total() + self.wrong)

    @property
    def recall(self) -> float:
        return self.right.total() / (self.right.total() + self.missed.total())


def load(half: Half) -> list[tuple[str, str]]:
    """(kind, text) of each line."""
    lines = (FOLDER / f"{half}.tsv").read_text(encoding="utf-8").splitlines()
    found = [(kind, text.replace("\\n", "\n")) for kind, text in (line.split("\t") for line in lines)]
    assert {kind for kind, _ in found} <= {NONE, *get_args(FlagKind)}
    return found


def score(texts: list[tuple[str, str]]) -> Score:
    """Flag each text; one that is flagged for another reason than its own counts as flagged."""
    total = Score()
    for kind, text in texts:
        flags = [flag.kind for flag in find(*clean(text))]
        if kind == NONE:
            total.wrong += bool(flags)
            total.clean += not flags
        else:
            (total.right if flags else total.missed)[kind] += 1
        if bool(flags) != (kind != NONE):
            total.notes.append(f"{kind} flagged as {flags}: {text!r}")
    return total
