"""Write a file of examples: python -m hrm_model.training.grounded OUT.jsonl --level few --count 100000 --seed 1."""

import argparse
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

from hrm_model.training.grounded.generate import LEVELS, Level, examples
from hrm_model.training.grounded.lookups import LOOKUPS, LookupLevel, lookups
from hrm_model.training.grounded.page_examples import PAGES, SHORT_PAGES, page_examples


def level(text: str) -> Level | LookupLevel:
    """Find a level by name, or one of `generate`'s by index."""
    named: dict[str, Level | LookupLevel] = {
        **{one.name: one for one in LOOKUPS},
        **{one.name: one for one in (*LEVELS, PAGES, SHORT_PAGES)},
        **{str(index): one for index, one in enumerate(LEVELS)},
    }
    if text not in named:
        raise argparse.ArgumentTypeError(f"no level {text!r}; there are {', '.join(named)}")
    return named[text]


def share(text: str) -> float:
    """Read a share, 0 to 1."""
    try:
        read = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    if not 0 <= read <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share from 0 to 1")
    return read


def main() -> None:
    """Read the arguments and write the file."""
    parser = argparse.ArgumentParser(prog="python -m hrm_model.training.grounded", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--level", type=level, default=LEVELS[-1])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", choices=("train", "names", "wordings"), default="train")
    parser.add_argument("--quotes", type=share, help="share of questions for a sentence; the level's own by default")
    arguments = parser.parse_args()
    chosen = arguments.level
    of_pages = chosen in (PAGES, SHORT_PAGES)
    if arguments.quotes is not None:
        chosen = replace(chosen, quotes=arguments.quotes)
    if isinstance(chosen, LookupLevel):
        if arguments.split != "train":
            parser.error(f"level {chosen.name} is for training only: it has no held-out wordings")
        made = lookups(arguments.seed, chosen)
    elif of_pages:
        made = page_examples(arguments.seed, chosen, arguments.split)
    else:
        made = examples(arguments.seed, chosen, arguments.split)
    with arguments.out.open("w", encoding="utf-8") as out:
        for example in islice(made, arguments.count):
            out.write(json.dumps(example.record(), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
