"""What guessing ahead from the prompt is worth: answers a second with and without it, in one run, one at a time.

Quotes are where it should pay; spans of a few tokens, and words drawn nearly at random, are where it must cost nothing.
Both sides answer the same questions in turn, so that a busy machine slows both.

    python -m tests.bench.speculation --model hrm_model/mini
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from hrm_model.engine import NativeEngine
from hrm_model.loading import DRAFT_TOKENS, load_engine
from hrm_model.training.grounded import LEVELS, Example, examples
from hrm_model.types import Finished, Question, Sampling, Text

GREEDY = Sampling(max_tokens=96)
AT_RANDOM = Sampling(max_tokens=96, temperature=3.0, seed=5, ignore_eos=True)


async def timed(engine: NativeEngine, example: Example, sampling: Sampling) -> tuple[str, int, float]:
    """An answer, its tokens, and the seconds it took to write, the prompt's reading not counted."""
    pieces, tokens, seconds = [], 0, 0.0
    async with aclosing(engine.generate(Question(example.instruction), sampling)) as events:
        async for event in events:
            if isinstance(event, Text):
                pieces.append(event.text)
            elif isinstance(event, Finished):
                tokens, seconds = event.counts.completion_tokens, event.seconds.decode
    return "".join(pieces), tokens, seconds


def compared(
    plain: NativeEngine, drafting: NativeEngine, batch: Sequence[Example], sampling: Sampling
) -> dict[str, float]:
    """The median over examples of how many times faster the drafting engine writes."""
    ratios, tokens = [], []
    before = drafting.load()
    for number, example in enumerate(batch):
        engines = (plain, drafting) if number % 2 else (drafting, plain)
        found = {engine: asyncio.run(timed(engine, example, sampling)) for engine in engines}
        (text, count, slow), (other, _, fast) = found[plain], found[drafting]
        assert text == other, f"drafts have changed an answer: {text!r}, {other!r}"
        if count > 1:
            ratios.append(slow / fast)
            tokens.append(count)
    load = drafting.load()
    return {
        "times_faster": round(statistics.median(ratios), 3),
        "tokens": statistics.median(tokens),
        "n": len(ratios),
        "drafted": load.drafted_tokens - before.drafted_tokens,
        "accepted": load.accepted_tokens - before.accepted_tokens,
    }


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("hrm_model/mini"))
    parser.add_argument("--count", type=int, default=60, help="examples of each kind")
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()
    plain, drafting = (load_engine(arguments.model, draft_tokens=draft) for draft in (0, DRAFT_TOKENS))
    result: dict[str, object] = {"model": arguments.model.name, "draft_tokens": DRAFT_TOKENS}
    for engine in (plain, drafting):
        engine.start()
    for name, quotes, sampling in (("quotes", 1.0, GREEDY), ("spans", 0.0, GREEDY), ("random", 0.0, AT_RANDOM)):
        level = replace(LEVELS[-2], quotes=quotes, unanswerable=0.0)
        found = compared(
            plain, drafting, list(islice(examples(arguments.seed, level, "names"), arguments.count)), sampling
        )
        print(
            f"{name:8} {found['times_faster']:6.3f} times, answers of {found['tokens']:g} tokens;"
            f" of {found['drafted']} guessed {found['accepted']} right"
        )
        result[name] = found
    for engine in (plain, drafting):
        engine.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
