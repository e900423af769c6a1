"""Seconds for a grounded answer, and answers a minute: long prompts, short answers, ours against vLLM and transformers.

A grounded answer reads its passages (500 or 1,500 tokens) and says a sentence (20 tokens). One alone gives the seconds;
several that wait at once give the answers a minute.

    make bench-peers B=answers A='--shape 1b --batches 1 8'
"""

import json

from tests.bench.report import asks, heading, in_turn, parser, ratios, row, started_for
from tests.bench.shapes import shape
from tests.bench.sides import Side

ANSWER_TOKENS = 20


def main() -> None:
    """Print a table, then one JSON line."""
    made = parser(__doc__)
    made.add_argument("--lengths", nargs="+", type=int, default=[500, 1500], help="tokens of a prompt")
    arguments = made.parse_args()
    chosen = shape(arguments.shape)
    lengths = [length for length in arguments.lengths if length + ANSWER_TOKENS <= chosen.context]
    result = heading("answers", arguments, chosen)
    with started_for(arguments, chosen, max(lengths) + ANSWER_TOKENS) as sides:
        for length in lengths:
            for batch in arguments.batches:

                def seconds(side: Side, number: int, batch: int = batch, length: int = length) -> float:
                    times = side.ask(asks(batch, length, chosen.vocab, number, ANSWER_TOKENS))
                    return max(mine[-1] for mine in times)

                found = in_turn(sides, arguments.rounds, seconds)
                better = ratios(found, more_is_better=False)
                print(row(f"{batch} of {length}", found, better, "s"), flush=True)
                a_minute = {name: round(60 * batch / value, 2) for name, value in found.items()}
                result[f"{batch}x{length}"] = {"seconds": found, "answers_a_minute": a_minute, "times_faster": better}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
