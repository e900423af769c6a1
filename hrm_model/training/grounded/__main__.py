"""Write a file of examples: python -m hrm_model.training.grounded OUT.jsonl --level few --count 100000 --seed 1."""

import argparse
import json
from itertools import islice
from pathlib import Path

from hrm_model.training.grounded.generate import LEVELS, Level, examples


def level(text: str) -> Level:
    """Find a level by name or by index."""
    for index, one in enumerate(LEVELS):
        if text in (one.name, str(index)):
            return one
    raise argparse.ArgumentTypeError(f"no level {text!r}; there are {', '.join(one.name for one in LEVELS)}")


def main() -> None:
    """Read the arguments and write the file."""
    parser = argparse.ArgumentParser(prog="python -m hrm_model.training.grounded", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--level", type=level, default=LEVELS[-1])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", choices=("train", "names", "wordings"), default="train")
    arguments = parser.parse_args()
    with arguments.out.open("w", encoding="utf-8") as out:
        for example in islice(examples(arguments.seed, arguments.level, arguments.split), arguments.count):
            out.write(json.dumps(example.record(), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
