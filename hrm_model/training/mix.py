"""Shuffle parts of several files of pairs into one: python -m hrm_model.training.mix OUT.jsonl PART... --seed 7.

A part is FILE:SKIP:COUNT[:KEEP]: from FILE, after SKIP lines, COUNT lines. KEEP below 1 leaves out some of the
answerable ones at random, which makes the share of those to be declined larger.
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hrm_model.template import UNANSWERABLE


@dataclass(frozen=True, slots=True)
class Part:
    """What is taken from one file."""

    file: Path
    skip: int
    count: int
    keep: float = 1.0


def part(text: str) -> Part:
    """Read FILE:SKIP:COUNT[:KEEP]."""
    try:
        file, skip, count, *keep = text.rsplit(":", 3) if text.count(":") > 2 else text.rsplit(":", 2)
        read = Part(Path(file), int(skip), int(count), *map(float, keep))
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not FILE:SKIP:COUNT or FILE:SKIP:COUNT:KEEP") from error
    if read.skip < 0 or read.count < 1 or not 0 < read.keep <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: SKIP is at least 0, COUNT at least 1, KEEP above 0 and at most 1")
    return read


def lines(taken: Part, chance: random.Random) -> Iterator[str]:
    """The lines of a part.

    Raises:
        ValueError: a line is no pair, or the file ends too early.
    """
    found = 0
    with taken.file.open(encoding="utf-8") as file:
        for line in islice(file, taken.skip, None):
            match json.loads(line):
                case {"response": response}:
                    if response != UNANSWERABLE and chance.random() > taken.keep:
                        continue
                case _:
                    raise ValueError(f"{taken.file}: {line.rstrip()[:40]} is no pair")
            yield line.rstrip("\n") + "\n"
            found += 1
            if found == taken.count:
                return
    raise ValueError(f"{taken.file} has {found} lines for the {taken.count} that were asked for")


def main() -> None:
    """Read the arguments and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m hrm_model.training.mix",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", type=part, nargs="+", metavar="PART")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    try:
        mixed = [line for taken in arguments.parts for line in lines(taken, chance)]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    chance.shuffle(mixed)
    arguments.out.write_text("".join(mixed), encoding="utf-8")


if __name__ == "__main__":
    main()
