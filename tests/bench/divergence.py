"""How many greedy answers change with the company that they are written in, by number format, and what decides it.

Each question is asked alone, without drafts; then all at once, in an order that is drawn, with drafts and in slices of
16 tokens. What the compiled step writes has the same bits in any company. What torch writes in less than fp32 has
not: its sums depend on how many rows it multiplies at once, and an answer changes where two tokens are nearly as
likely; `margin` says by how much they differed there.

    python -m tests.bench.divergence --count 100
"""

import argparse
import asyncio
import json
import math
import random
import statistics
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hrm_model.engine import NativeEngine
from hrm_model.loading import DRAFT_TOKENS, load_engine
from hrm_model.training.grounded import LEVELS, examples
from hrm_model.types import Failed, Question, Sampling, Text, TokenLogprob

SETTINGS: dict[str, dict[str, Any]] = {
    "fp32": {"dtype": "float32"},
    "bf16": {"dtype": "bfloat16"},
    "int8": {"dtype": "bfloat16", "weights": "int8"},
    "int4": {"dtype": "bfloat16", "weights": "int4"},
    "int8, cache too": {"dtype": "bfloat16", "weights": "int8", "kv_dtype": "int8"},
    "fp16, by torch": {"dtype": "float16"},
}
SLICE_TOKENS = 16
ALTERNATIVES = 20  # past the end of an answer its closing token is the likeliest, which is not drawn here


@dataclass(slots=True)
class Answer:
    """An answer's tokens, and how likely each was, with the likeliest others."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)

    def margin(self, other: "Answer", at: int) -> float:
        """How much likelier its token was than the other's there, in natural logarithms."""
        mine = self.logprobs[at]
        return mine.logprob - dict(mine.top).get(other.logprobs[at].token, -math.inf)


async def ask(engine: NativeEngine, question: str, tokens: int) -> Answer:
    """A greedy answer of so many tokens."""
    answer = Answer()
    sampling = Sampling(max_tokens=tokens, ignore_eos=True, logprobs=ALTERNATIVES)
    async with aclosing(engine.generate(Question(question), sampling)) as events:
        async for event in events:
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Text):
                answer.ids += event.ids
                answer.logprobs += event.logprobs
    return answer


async def asked_alone(engine: NativeEngine, questions: Sequence[str], tokens: int) -> list[Answer]:
    """One after the other."""
    return [await ask(engine, question, tokens) for question in questions]


async def asked_together(engine: NativeEngine, questions: Sequence[str], tokens: int, seed: int) -> list[Answer]:
    """All at once, in an order that is drawn; the answers are in that of the questions."""
    order = random.Random(seed).sample(range(len(questions)), len(questions))
    answers = await asyncio.gather(*(ask(engine, questions[number], tokens) for number in order))
    return [answer for _, answer in sorted(zip(order, answers, strict=True), key=lambda pair: pair[0])]


def compared(alone: Sequence[Answer], together: Sequence[Answer]) -> dict[str, object]:
    """The share of answers that differ, the margins where they begin to, and how far likelihoods differ before."""
    margins, moved = list[float](), 0.0
    for one, other in zip(alone, together, strict=True):
        pairs = zip(one.ids, other.ids, strict=True)
        begin = next((at for at, (mine, theirs) in enumerate(pairs) if mine != theirs), None)
        if begin is not None:
            margins.append(one.margin(other, begin))
        same = zip(one.logprobs[:begin], other.logprobs[:begin], strict=True)
        moved = max([moved, *(abs(mine.logprob - theirs.logprob) for mine, theirs in same)])
    return {
        "differ": round(len(margins) / len(alone), 4),
        "margin_median": round(statistics.median(margins), 4) if margins else None,
        "margin_max": round(max(margins), 4) if margins else None,
        "logprobs_moved_max": round(moved, 5),
        "answers": len(alone),
    }


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("hrm_model/mini"))
    parser.add_argument("--count", type=int, default=100, help="questions")
    parser.add_argument("--tokens", type=int, default=48, help="of each answer, past its end where it has one")
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()
    made = examples(arguments.seed, LEVELS[-2], "names")
    questions = [example.instruction for example in islice(made, arguments.count)]
    result: dict[str, object] = {"bench": "divergence", "model": arguments.model.name, "tokens": arguments.tokens}
    for name, setting in SETTINGS.items():
        found: list[list[Answer]] = []
        for draft_tokens, slice_tokens in ((0, None), (DRAFT_TOKENS, SLICE_TOKENS)):
            engine = load_engine(
                arguments.model, draft_tokens=draft_tokens, slice_tokens=slice_tokens, kept_bytes=0, **setting
            )
            engine.start()
            if draft_tokens:
                found.append(asyncio.run(asked_together(engine, questions, arguments.tokens, arguments.seed)))
            else:
                found.append(asyncio.run(asked_alone(engine, questions, arguments.tokens)))
            engine.close()
        result[name] = seen = compared(*found)
        print(f"{name:>16}  " + "  ".join(f"{what} {value}" for what, value in seen.items()), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
