"""How many markers are right, and how many are missing, on labelled answers.

python -m tests.bench.grounding [--half plain --notes --entailed]
"""

import argparse
import json
from typing import get_args

from retrieval.embedder import MiniLM
from server.grounding.likeness import Likeness
from tests.bench.grounding.pairs import Half, Score, load, score


def main() -> None:
    """Print a table by kind of pair, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=get_args(Half), default="report")
    parser.add_argument("--notes", action="store_true", help="print every wrong and missing marker")
    parser.add_argument("--entailed", action="store_true", help="as the server does it; otherwise by the rules alone")
    arguments = parser.parse_args()
    embedder = MiniLM()
    likeness = Likeness(lambda: embedder)
    total = score(load(arguments.half), likeness, likeness.entailed if arguments.entailed else None)
    if arguments.notes:
        print("\n".join(total.notes))
    _table(total)
    print(
        json.dumps(
            {
                "half": arguments.half,
                "pairs": total.pairs.total(),
                "right": total.right.total(),
                "wrong": total.wrong.total(),
                "missing": total.missing.total(),
                "precision": round(total.precision, 3),
                "recall": round(total.recall, 3),
            }
        )
    )


def _table(total: Score) -> None:
    print(f"{'kind':12}{'pairs':>7}{'right':>7}{'wrong':>7}{'missing':>9}")
    for kind in sorted(total.pairs):
        print(
            f"{kind:12}{total.pairs[kind]:7}{total.right[kind]:7}{total.wrong[kind]:7}{total.missing[kind]:9}"
        )  # fmt: skip


if __name__ == "__main__":
    main()
