"""How much of the personal data in labelled lines is found, and how much else.

python -m tests.bench.personal_data [--half tune --notes]
"""

import argparse
import json

from retrieval.personal.find import find
from tests.eval.personal_data import HALVES, Score, load, score


def main() -> None:
    """Print a table by kind, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--notes", action="store_true", help="print everything missing and wrong")
    arguments = parser.parse_args()
    total = score(load(arguments.half), find)
    if arguments.notes:
        print("\n".join(total.notes))
    _table(total)
    print(
        json.dumps(
            {
                "half": arguments.half,
                "marked": total.there["all"],
                "clean_lines": total.clean_lines,
                "precision": round(total.precision("all"), 3),
                "recall": round(total.recall("all"), 3),
            }
        )
    )


def _table(total: Score) -> None:
    print(f"{'kind':26}{'there':>6}{'found':>7}{'wrong':>7}{'precision':>11}{'recall':>8}")
    for kind in sorted(total.there):
        is_finer = "." in kind  # what was found beside the marks is of a kind, not of a finer one
        wrong, precision = ("", "") if is_finer else (total.wrong[kind], f"{total.precision(kind):.3f}")
        print(f"{kind:26}{total.there[kind]:6}{total.found[kind]:7}{wrong:>7}{precision:>11}{total.recall(kind):8.3f}")


if __name__ == "__main__":
    main()
