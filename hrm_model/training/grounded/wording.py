"""Wordings: one line of text with `[this|that]` alternatives and `{slots}`, and which of them training never sees."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from zlib import crc32

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
HELD_OUT_OF = 5  # one wording in five is never seen in training

# Every block of wordings that was ever split, for `wordings()`.
_registered: dict[str, None] = {}


@dataclass(frozen=True, slots=True)
class Wordings:
    """The lines of one block, expanded; `train` and `held_out` share no line."""

    train: Sequence[Sequence[str]]
    held_out: Sequence[Sequence[str]]


# A pronoun beside its verb stays as it is; anywhere else it is an object.
_WITH_ITS_VERB = re.compile(
    r"^\{s\} |\{s\} (?:\{(?!v)|\w+\{|must\b|may\b|can|will\b|should\b|did\b|had\b)"
    r"|(?:\{(?:is|was|does|has)\}|must|may|can|will|should|did|do|would) \{s\}"
)
_OBJECTS = {"it": "it", "they": "them", "she": "her", "he": "him", "I": "me", "we": "us", "you": "you"}


def listed(text: str) -> Sequence[str]:
    """Split a list of words; an underscore stands for a space within one."""
    return tuple(word.replace("_", " ") for word in text.split())


def fill(line: str, slots: Mapping[str, str]) -> str:
    """Fill a wording's slots, with `I` as `me` and so on where the subject is an object."""
    subject = slots.get("s", "")
    if subject in _OBJECTS and not _WITH_ITS_VERB.search(line):
        line = line.replace("{s}", _OBJECTS[subject])
    return line.format_map(slots)


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
    """Divide a block's lines between training and the held-out fifth.

    Each line's checksum decides for that line alone, so that adding lines later moves none across.
    """
    by_checksum = sorted(lines(block), key=lambda line: crc32(line.encode()))
    held_out = [line for line in by_checksum if crc32(line.encode()) % HELD_OUT_OF == 0] or by_checksum[:1]
    return Wordings(
        train=tuple(expand(line) for line in by_checksum if line not in held_out),
        held_out=tuple(expand(line) for line in held_out),
    )


def register(block: str) -> str:
    """Note a block of statement wordings, so that `wordings` can list it."""
    for line in lines(block):
        _registered[line] = None
    return block


def wordings() -> Iterator[str]:
    """Yield every statement wording of a relation as a slot string, its alternatives written out.

    Events are left out: any verb with any object in plain word order has no wording of its own.
    """
    from hrm_model.training.grounded.relations import attributes  # noqa: F401  (loads every block)

    for line in _registered:
        yield from expand(line)
