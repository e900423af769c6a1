"""Wordings: one line of text with `[this|that]` alternatives and `{slots}`, and which of them training never sees."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from zlib import crc32

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
HELD_OUT_SHARE = 0.2

# Every block of wordings that was ever split, for `wordings()`.
_registered: dict[str, None] = {}


@dataclass(frozen=True, slots=True)
class Wordings:
    """The lines of one block, expanded; `train` and `held_out` share no line."""

    train: Sequence[Sequence[str]]
    held_out: Sequence[Sequence[str]]


def lines(block: str) -> Sequence[str]:
    """Split a block into its lines, without blank ones."""
    return tuple(line.strip() for line in block.strip().splitlines() if line.strip())


@cache
def expand(line: str) -> Sequence[str]:
    """List what a line can say, one string for every combination of its alternatives."""
    parts = _CHOICE.split(line)
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    return tuple(" ".join("".join(combination).split()) for combination in product(*choices))


@cache
def split(block: str) -> Wordings:
    """Divide a block's lines between training and the held-out fifth, by checksum: edits elsewhere move nothing."""
    ordered = sorted(lines(block), key=lambda line: crc32(line.encode()))
    held_out = math.ceil(len(ordered) * HELD_OUT_SHARE) if len(ordered) > 2 else 0
    return Wordings(
        train=tuple(expand(line) for line in ordered[held_out:]),
        held_out=tuple(expand(line) for line in ordered[:held_out] or ordered),
    )


def register(block: str) -> str:
    """Note a block of statement wordings, so that `wordings` can list it."""
    for line in lines(block):
        _registered[line] = None
    return block


def wordings() -> Iterator[str]:
    """Yield every statement wording as a slot string with its alternatives written out."""
    from hrm_model.training.grounded import clauses  # noqa: F401  (loads every block)
    from hrm_model.training.grounded.relations import attributes  # noqa: F401

    for line in _registered:
        yield from expand(line)
