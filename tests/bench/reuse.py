"""Time to the first token of a prompt that was asked before, and of eight answers to one prompt.

Both as shares of what the same engine takes for one answer to a new prompt.

    make bench-peers B=reuse A='--shape mini --sides native vllm'
"""

import json

from tests.bench.report import heading, in_turn, parser, prompts, started_for
from tests.bench.shapes import shape
from tests.bench.sides import Ask, Side


def main() -> None:
    """Print a table, then one JSON line."""
    made = parser(__doc__)
    made.add_argument("--length", type=int, default=700, help="tokens of the prompt")
    made.set_defaults(sides=["native", "vllm"])
    arguments = made.parse_args()
    chosen = shape(arguments.shape)
    result = heading("reuse", arguments, chosen)
    cold: dict[tuple[str, int], float] = {}

    def first(side: Side, ids: list[int], n: int) -> float:
        (times,) = side.ask([Ask(ids, 1, n=n)], is_kept=True)
        return max(times)

    def again(side: Side, number: int) -> float:
        ids, other = prompts(2, arguments.length, chosen.vocab, number)
        cold[side.name, number] = first(side, ids, 1)
        first(side, other, 1)
        return first(side, ids, 1) / cold[side.name, number]

    def eight(side: Side, number: int) -> float:
        (ids,) = prompts(1, arguments.length, chosen.vocab, number + 1000)
        return first(side, ids, 8) / cold[side.name, number]

    with started_for(arguments, chosen, arguments.length + 16) as sides:
        for name, measure in (("again", again), ("eight", eight)):
            found = in_turn(sides, arguments.rounds, measure)
            print(f"{name:>8}  " + "  ".join(f"{side} {share:.3f} of a new prompt" for side, share in found.items()))
            result[name] = {side: round(share, 4) for side, share in found.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
