"""How often the first H cycle already says the next token: what a wavefront of two cycles could gain.

A wavefront would draft each token from z_H after the first H cycle, and send it through cycle 1 while its predecessor
is in cycle 2. A draft that is accepted saves at most one cycle of two; a draft that is not costs a cycle in vain. So
with acceptance a, a token takes 2 - a cycles for the answer and throws 1 - a away.

    python -m tests.bench.wavefront --model hrm_model/mini
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from hrm_model.attention import PagedAttention, Span
from hrm_model.cache import PagedCache
from hrm_model.model import HrmText
from hrm_model.pages import pages_for
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn
from hrm_model.sequence import Sequence as Running
from hrm_model.template import END_ANSWER, spell
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.training.grounded import LEVELS, examples
from hrm_model.types import Question, Sampling
from hrm_model.weights import load_model

LONGEST = 96


def answered(runner: Runner, prompt: Sequence[int], pages: int, end: int) -> list[int]:
    """The greedy answer, its closing token included."""
    sequence = Running(0, 0, list(prompt), len(prompt), Sampling(seed=0), LONGEST, list(range(pages)))
    while len(sequence.ids) < sequence.reserved_tokens and sequence.ids[-1] != end:
        ((drawn,),) = runner.step([sequence])
        assert isinstance(drawn, Drawn), drawn
        sequence.ids.append(drawn.token)
    return sequence.ids[len(prompt) :]


@torch.inference_mode()
def cycle_by_cycle(model: HrmText, cache: PagedCache, prompt: Sequence[int], answer: Sequence[int]) -> list[list[int]]:
    """Per H cycle the token that would be said in each place of the answer, were that cycle the last."""
    ids = [*prompt, *answer[:-1]]
    pages = list(range(pages_for(len(ids))))
    sequence = Running(0, 0, ids, len(prompt), Sampling(seed=0), 1, pages)
    attend = PagedAttention(cache, [Span(sequence, 0, 0, len(ids))], "cpu")
    state = model.begin(torch.tensor(ids))
    rotary = model.rotary(torch.arange(len(ids)), model.compute_dtype(state.slow_TD))
    said: list[list[int]] = []
    for step in model.passes:
        state = model.advance(state, step, rotary, attend)
        if step.is_slow:
            said.append(model.logits(state.slow_TD[len(prompt) - 1 :]).argmax(-1).tolist())
    return said


def acceptance(model: HrmText, tokenizer: Tokenizer, questions: Sequence[str]) -> tuple[int, list[int]]:
    """Answer tokens, and per H cycle how many of them it would have said."""
    pages = pages_for(model.config.max_position_embeddings)
    cache = PagedCache(model.config, pages, dtype=torch.float32, device="cpu")
    runner = Runner(model, cache, "cpu")
    tokens, right = 0, [0] * model.config.H_cycles
    for question in questions:
        prompt = spell(Question(question), tokenizer)
        answer = answered(runner, prompt, pages, tokenizer.control(END_ANSWER))
        tokens += len(answer)
        for cycle, said in enumerate(cycle_by_cycle(model, cache, prompt, answer)):
            right[cycle] += sum(mine == token for mine, token in zip(said, answer, strict=True))
    return tokens, right


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("hrm_model/mini"))
    parser.add_argument("--count", type=int, default=60, help="questions")
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()
    level = replace(LEVELS[-1], passages=(4, 4))
    questions = [e.instruction for e in islice(examples(arguments.seed, level, "names"), arguments.count)]
    model = load_model(arguments.model, dtype=torch.float32, device="cpu")
    tokens, right = acceptance(model, load_tokenizer(arguments.model), questions)
    print(f"{'cycle':>6} {'accepted':>9}   of {tokens} tokens")
    for cycle, count in enumerate(right, 1):
        print(f"{cycle:6} {count / tokens:9.3f}")
    shares = [round(count / tokens, 4) for count in right]
    print(json.dumps({"model": arguments.model.name, "tokens": tokens, "accepted_by_cycle": shares}))


if __name__ == "__main__":
    main()
