"""hrm_model.graphed: a step in memory that stays says what torch says, whatever was in that memory before.

Capture is CUDA's own; elsewhere the same work is done again in the same memory, as a graph would do it. Random
schedules go through it in tests/hrm_model/test_exactness.py.
"""

from collections.abc import Sequence as Items

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.compiled.step import Token
from hrm_model.graphed import FEWEST_PAGES, MOST_TOKENS, GraphedStep, Work
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence
from hrm_model.types import Sampling
from tests.engines import CONFIG, Tiny

LENGTHS = (3, 40, 17, FEWEST_PAGES * PAGE_TOKENS - 2, 90)
EACH = pages_for(max(LENGTHS) + 16)


def done_again(work: Work) -> Work:
    """As a graph is replayed: into the tensor that the first call gave."""
    out = work()
    return lambda: out.copy_(work())


class Side:
    """Sequences whose prompts are read, in a cache that was in use before."""

    def __init__(self, model: HrmText, device: str = "cpu", lengths: Items[int] = LENGTHS) -> None:
        dtype = model.model.embed_tokens.weight.dtype
        self.cache = PagedCache(CONFIG, EACH * len(lengths), dtype=dtype, device=device)
        self.cache.key.fill_(float("nan"))
        self.cache.value.fill_(float("nan"))
        pages = torch.randperm(self.cache.pages, generator=torch.Generator().manual_seed(2)).tolist()
        self.runner = Runner(model, self.cache, device)
        self.sequences = [
            Sequence(
                number,
                0,
                [20 + (number + at * 7) % 200 for at in range(length)],
                length,
                Sampling(),
                99,
                pages[number * EACH : (number + 1) * EACH],
            )
            for number, length in enumerate(lengths)
        ]
        for sequence in self.sequences:
            self.runner.forward([sequence])

    def said(self, count: int, step: GraphedStep | None) -> list[Tensor]:
        """Logits of so many steps: of all sequences, of some, and of several tokens each."""
        found: list[Tensor] = []
        for number in range(count):
            some = self.sequences[: 1 + (number + 3) % len(self.sequences)]
            for sequence in some:
                sequence.ids.append(30 + (number * 11 + sequence.request) % 200)
                sequence.draft = [50 + number, 60 + number][: (number + sequence.request) % 3]
            if step is None:
                found.append(self.runner.forward(some).float())
            else:
                found.append(step(tokens_of(some)))
            for sequence in some:
                sequence.cached, sequence.draft = len(sequence.ids), []
        return found


def tokens_of(sequences: Items[Sequence]) -> list[Token]:
    return [
        Token(sequence, token, position, position >= len(sequence.ids) - 1)
        for sequence in sequences
        for position, token in enumerate(sequence.pending, start=sequence.cached)
    ]


def test_steps_of_all_sizes_say_what_torch_says(tiny: Tiny) -> None:
    with torch.inference_mode():
        by_torch, graphed = Side(tiny.model), Side(tiny.model)
        expected = by_torch.said(12, None)
        got = graphed.said(12, GraphedStep(tiny.model, graphed.cache, done_again))

    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)
    assert torch.cat(expected).std() > 0.1


def test_each_size_is_captured_once(tiny: Tiny) -> None:
    captured: list[Work] = []

    def counting(work: Work) -> Work:
        captured.append(work)
        return done_again(work)

    with torch.inference_mode():
        side = Side(tiny.model, lengths=(3, 40, 17))
        step = GraphedStep(tiny.model, side.cache, counting)
        side.said(9, step)
        seen = len(captured)
        side.said(9, step)

    assert 1 < seen <= 4, "of 1, 2, 4 and 8 tokens"
    assert len(captured) == seen


def test_prompts_and_large_steps_are_torchs(tiny: Tiny) -> None:
    with torch.inference_mode():
        side = Side(tiny.model)
        step = GraphedStep(tiny.model, side.cache, done_again)
        runner = Runner(tiny.model, side.cache, "cpu", step)
        (first, *_) = side.sequences
        first.cached, first.ids, first.prompt_len = 0, [20] * 8, 8
        read = runner.forward([first])
        first.ids.append(33)
        first.draft = [40] * MOST_TOKENS
        first.pages = [*first.pages, *side.sequences[1].pages]
        drafted = runner.forward([first])

    assert not step._graphs
    assert len(read) == 1
    assert len(drafted) == MOST_TOKENS + 1


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_graph_on_a_gpu_says_what_torch_says_there(tiny: Tiny, dtype: torch.dtype) -> None:
    model = tiny.changed(lambda model: model.to(device="cuda", dtype=dtype)).model
    with torch.inference_mode():
        by_torch, graphed = Side(model, "cuda"), Side(model, "cuda")
        expected = by_torch.said(24, None)
        got = graphed.said(24, GraphedStep(model, graphed.cache))

    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3 if dtype is torch.float32 else 0.5, rtol=0)
