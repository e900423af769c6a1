"""The longest silence of running streams while a long prompt arrives, ours against vLLM.

Streams write; once the first has some tokens, a prompt of 3,000 tokens joins. A silence is the time between two tokens
of one stream.

    make bench-peers B=stall A='--shape tiny --sides native vllm'
"""

import json
from itertools import pairwise

from tests.bench.report import asks, heading, in_turn, parser, ratios, row, started_for
from tests.bench.shapes import shape
from tests.bench.sides import Ask, Side


def longest_silence(times: list[list[float]]) -> float:
    """The longest time between two tokens of one of the streams."""
    return max(late - early for mine in times for early, late in pairwise(mine))


def main() -> None:
    """Print a table, then one JSON line."""
    made = parser(__doc__)
    made.add_argument("--streams", type=int, default=8)
    made.add_argument("--prompt", type=int, default=3000, help="tokens of the prompt that arrives")
    made.add_argument("--tokens", type=int, default=96, help="of each stream")
    made.set_defaults(shape="tiny", sides=["native", "vllm"])
    arguments = made.parse_args()
    chosen = shape(arguments.shape)
    context = arguments.prompt + 16
    assert context <= chosen.context, "the checkpoint's context is shorter than the prompt"
    result = heading("stall", arguments, chosen)

    def silence(side: Side, number: int) -> float:
        streams = asks(arguments.streams, 64, chosen.vocab, number, arguments.tokens)
        (late,) = asks(1, arguments.prompt, chosen.vocab, number, 1)
        times = side.ask([*streams, Ask(late.ids, 1, after=8)])
        return longest_silence(times[:-1])

    with started_for(arguments, chosen, context) as sides:
        found = in_turn(sides, arguments.rounds, silence)
    better = ratios(found, more_is_better=False)
    print(row("silence", found, better, "s"))
    print(json.dumps({**result, "seconds": found, "times_shorter": better}))


if __name__ == "__main__":
    main()
