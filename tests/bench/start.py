"""Seconds from the start of a process to its first token, ours against vLLM and transformers.

Every start is a fresh process that loads the checkpoint and answers one prompt. The first round, which fills the
machine's file cache and the compilers' caches, does not count.

    make bench-peers B=start A='--rounds 3'
"""

import json
import statistics
import time

from tests.bench.report import asks, heading, parser, ratios, row
from tests.bench.shapes import shape
from tests.bench.sides import Setting, started


def main() -> None:
    """Print a table, then one JSON line."""
    arguments = parser(__doc__).parse_args()
    chosen = shape(arguments.shape)
    setting = Setting(chosen.folder, chosen.dtype, 512, arguments.threads)
    result = heading("start", arguments, chosen)
    seconds: dict[str, list[float]] = {name: [] for name in arguments.sides}
    for number in range(arguments.rounds + 1):
        for name in arguments.sides:
            began = time.perf_counter()
            with started([name], setting) as (side,):
                side.ask(asks(1, 64, chosen.vocab, number, 1))
                if number:
                    seconds[name].append(time.perf_counter() - began)
    found = {name: statistics.median(values) for name, values in seconds.items()}
    print(row("start", found, ratios(found, more_is_better=False), "s"))
    print(json.dumps({**result, "seconds": found, "times_faster": ratios(found, more_is_better=False)}))


if __name__ == "__main__":
    main()
