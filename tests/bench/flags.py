"""How many texts that speak to a language model are flagged, and how many others: labelled ones, and six manuals.

python -m tests.bench.flags [--half tune --notes]
"""

import argparse
import json

from retrieval.flags import find
from tests.eval.corpus import read_corpus
from tests.eval.flags import load, score


def main() -> None:
    """Print a table by kind, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=["tune", "report"], default="report")
    parser.add_argument("--notes", action="store_true", help="print every text that was judged wrongly")
    arguments = parser.parse_args()
    total = score(load(arguments.half))
    if arguments.notes:
        print("\n".join(total.notes))
    print(f"{'kind':17}{'flagged':>9}{'missed':>8}")
    for kind in sorted({*total.right, *total.missed}):
        print(f"{kind:17}{total.right[kind]:9}{total.missed[kind]:8}")
    print(f"{'none of them':17}{total.wrong:9}{total.clean:8}")
    manuals = [bool(find(section.text)) for section in read_corpus()]
    print(
        json.dumps(
            {
                "half": arguments.half,
                "flagged": total.right.total(),
                "missed": total.missed.total(),
                "wrongly": total.wrong,
                "rightly_not": total.clean,
                "precision": round(total.precision, 3),
                "recall": round(total.recall, 3),
                "manuals": len(manuals),
                "manuals_flagged": sum(manuals),
            }
        )
    )


if __name__ == "__main__":
    main()
