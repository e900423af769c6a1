"""Tokens a second while answers are written, ours against vLLM and transformers, at several batch sizes.

Counted from when every answer has its first token to when the first answer is complete.

    make bench-peers B=decode A='--shape mini'
"""

import json

from tests.bench.report import asks, heading, in_turn, parser, ratios, row, started_for
from tests.bench.shapes import shape
from tests.bench.sides import Side


def rate(times: list[list[float]]) -> float:
    """Tokens a second in the time in which all answers were being written."""
    begin = max(mine[0] for mine in times)
    end = min(mine[-1] for mine in times)
    assert begin < end, "an answer was complete before another began"
    return sum(begin < at <= end for mine in times for at in mine) / (end - begin)


def main() -> None:
    """Print a table, then one JSON line."""
    made = parser(__doc__)
    made.add_argument("--tokens", type=int, default=48, help="of each answer")
    made.add_argument("--context", type=int, default=1024, help="tokens of a prompt and its answer at most")
    arguments = made.parse_args()
    chosen = shape(arguments.shape)
    context = min(chosen.context, arguments.context)
    result = heading("decode", arguments, chosen)
    with started_for(arguments, chosen, context) as sides:
        for batch in arguments.batches:

            def measure(side: Side, number: int, batch: int = batch) -> float:
                return rate(side.ask(asks(batch, chosen.prompt_tokens, chosen.vocab, number, arguments.tokens)))

            found = in_turn(sides, arguments.rounds, measure)
            print(row(f"batch {batch}", found, ratios(found), "tokens/s"), flush=True)
            result[f"batch_{batch}"] = {"tokens_s": found, "times_faster": ratios(found)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
