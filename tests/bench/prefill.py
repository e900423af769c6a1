"""Prompt tokens a second until the first token of every answer is there, ours against vLLM and transformers.

make bench-peers
python -m tests.bench.prefill --shape mini --lengths 256 700
"""

import json

from tests.bench.report import asks, heading, in_turn, parser, ratios, row, started_for
from tests.bench.shapes import shape
from tests.bench.sides import Side


def main() -> None:
    """Print a table, then one JSON line."""
    made = parser(__doc__)
    made.add_argument("--lengths", nargs="+", type=int, default=[256], help="tokens of a prompt")
    made.set_defaults(batches=[1, 8])
    arguments = made.parse_args()
    chosen = shape(arguments.shape)
    context = max(arguments.lengths) + 16
    result = heading("prefill", arguments, chosen)
    with started_for(arguments, chosen, context) as sides:
        for length in arguments.lengths:
            for batch in arguments.batches:

                def measure(side: Side, number: int, batch: int = batch, length: int = length) -> float:
                    times = side.ask(asks(batch, length, chosen.vocab, number, 1))
                    return batch * length / max(mine[0] for mine in times)

                found = in_turn(sides, arguments.rounds, measure)
                print(row(f"{batch} x {length}", found, ratios(found), "tokens/s"), flush=True)
                result[f"{batch}x{length}"] = {"tokens_s": found, "times_faster": ratios(found)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
