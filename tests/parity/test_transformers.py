"""The network against transformers' own HrmTextForCausalLM, in fp32, on random checkpoints of several shapes.

Tolerance: 1e-4 on logits of magnitude 1 to 10, which is what two orders of fp32 summation differ by over
up to 18 stack passes. Greedy tokens may differ only where the two largest logits are closer than 1e-4.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hrm_model.layers import Rotary
from hrm_model.model import HrmText
from hrm_model.weights import load_model
from tests.checkpoints import SHAPES, Shape, reference, reference_greedy, reference_logits, save
from tests.parity.decoding import Decoding

TOLERANCE = 1e-4
LENGTHS = (3, 17, 40, 64)


class Pair:
    """One random checkpoint, loaded by both sides."""

    def __init__(self, shape: Shape, folder: Path) -> None:
        self.theirs: Any = reference(shape)
        self.folder = save(self.theirs, folder)
        self.ours = load_model(folder, dtype=torch.float32)
        self.vocab = shape.vocab

    def prompt(self, length: int, seed: int = 0) -> list[int]:
        generator = torch.Generator().manual_seed(1000 * seed + length)
        return torch.randint(8, self.vocab, (length,), generator=generator).tolist()


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(SHAPES[request.param], tmp_path_factory.mktemp("checkpoint"))


@pytest.mark.parametrize("length", LENGTHS)
def test_a_prompt_gives_the_reference_logits(pair: Pair, length: int) -> None:
    prompt = pair.prompt(length)

    ours = Decoding(pair.ours, [prompt]).logits()[0]

    torch.testing.assert_close(ours, reference_logits(pair.theirs, prompt, length)[-1], atol=TOLERANCE, rtol=0)


def test_cached_decoding_gives_the_logits_of_reading_it_all_at_once(pair: Pair) -> None:
    prompt, answer = pair.prompt(37), pair.prompt(30, seed=1)
    decoding = Decoding(pair.ours, [prompt])
    expected = reference_logits(pair.theirs, prompt + answer, len(prompt))

    got = [decoding.logits()[0]]
    for token in answer:
        decoding.feed([token])
        got.append(decoding.logits()[0])

    torch.testing.assert_close(torch.stack(got), expected[len(prompt) - 1 :], atol=TOLERANCE, rtol=0)


def test_given_answer_tokens_are_read_causally_in_one_forward(pair: Pair) -> None:
    prompt, answer = pair.prompt(21), pair.prompt(19, seed=2)
    decoding = Decoding(pair.ours, [prompt + answer])
    decoding.sequences[0].prompt_len = len(prompt)

    got = decoding.logits()[0]

    expected = reference_logits(pair.theirs, prompt + answer, len(prompt))[-1]
    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=0)


def test_a_batch_of_different_lengths_equals_each_alone(pair: Pair) -> None:
    prompts = [pair.prompt(length) for length in (5, 64, 1, 33, 16)]
    together = Decoding(pair.ours, prompts)
    alone = [Decoding(pair.ours, [prompt]) for prompt in prompts]

    for step in range(12):
        batched = together.logits()
        for row, one in enumerate(alone):
            torch.testing.assert_close(batched[row], one.logits()[0], atol=TOLERANCE, rtol=0)
            one.feed([10 + step])
        together.feed([10 + step] * len(prompts))


def test_prompts_join_answers_that_are_under_way(pair: Pair) -> None:
    early, late = pair.prompt(20), pair.prompt(45)
    decoding = Decoding(pair.ours, [early, late])
    both = decoding.sequences
    decoding.sequences = both[:1]
    decoding.feed([int(decoding.logits()[0].argmax())])

    decoding.sequences = both
    mixed = decoding.logits()

    expected_early = reference_logits(pair.theirs, both[0].ids, len(early))[-1]
    torch.testing.assert_close(mixed[0], expected_early, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(mixed[1], reference_logits(pair.theirs, late, 45)[-1], atol=TOLERANCE, rtol=0)


def test_64_greedy_tokens_of_20_prompts_are_the_references(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = [pair.prompt(4 + 3 * i, seed=3) for i in range(20)]

    answers = Decoding(pair.ours, prompts).greedy(64)

    ties = 0
    for prompt, answer in zip(prompts, answers, strict=True):
        expected, gaps = reference_greedy(pair.theirs, prompt, 64)
        at = next((i for i in range(64) if answer[i] != expected[i]), None)
        if at is not None:
            assert gaps[at] < TOLERANCE, f"token {at} differs where the reference's gap is {gaps[at]:.2e}"
            ties += 1
        assert len(set(expected)) >= 30, "a checkpoint whose answers repeat themselves cannot fail"
    with capsys.disabled():
        print(f" [{ties} of 20 greedy answers differ at a near tie] ", end="")


# Planted faults: each makes our side wrong in a way that has been seen in the wild, and must show.


def _wrong_by(pair: Pair, decoding: Decoding, prompt: list[int]) -> float:
    """The largest error of 6 decoding steps after `prompt`, the fault being planted in `decoding`."""
    answer = pair.prompt(6, seed=4)
    expected = reference_logits(pair.theirs, prompt + answer, len(prompt))[len(prompt) - 1 :]
    got = [decoding.logits()[0]]
    for token in answer:
        decoding.feed([token])
        got.append(decoding.logits()[0])
    return float((torch.stack(got) - expected).abs().max())


def _faulty(pair: Pair, kind: type[HrmText]) -> HrmText:
    model = kind(pair.ours.config)
    model.load_state_dict(pair.ours.state_dict())
    return model.eval().requires_grad_(False)


def test_a_sound_engine_passes_the_same_check(pair: Pair) -> None:
    prompt = pair.prompt(40)

    assert _wrong_by(pair, Decoding(pair.ours, [prompt]), prompt) < TOLERANCE


def test_a_causal_prompt_is_caught(pair: Pair) -> None:
    prompt = pair.prompt(40)
    decoding = Decoding(pair.ours, [prompt])
    decoding.sequences[0].prompt_len = 0

    assert _wrong_by(pair, decoding, prompt) > 100 * TOLERANCE


def test_a_swapped_page_is_caught(pair: Pair) -> None:
    class SwapsPages(Decoding):
        spare: list[int]

        def feed(self, tokens: Sequence[int]) -> None:
            super().feed(tokens)
            mine, other = self.sequences[0].pages, self.spare
            mine[1], other[1] = other[1], mine[1]

    prompt = pair.prompt(40)
    decoding = SwapsPages(pair.ours, [prompt, pair.prompt(40, seed=9)])
    decoding.logits()
    *decoding.sequences, stranger = decoding.sequences
    decoding.spare = stranger.pages
    decoding.sequences[0].cached = 0

    assert _wrong_by(pair, decoding, prompt) > 100 * TOLERANCE


def test_a_wrong_recurrence_slot_is_caught(pair: Pair) -> None:
    class ReadsThePassBefore(Decoding):
        def feed(self, tokens: Sequence[int]) -> None:
            super().feed(tokens)
            first, *rest = self.model.passes
            before = zip(rest, self.model.passes, strict=False)
            self.model.passes = (first, *(replace(late, first_slot=early.first_slot) for late, early in before))

    prompt = pair.prompt(40)

    assert _wrong_by(pair, ReadsThePassBefore(_faulty(pair, HrmText), [prompt]), prompt) > 100 * TOLERANCE


def test_a_lost_z_l_init_is_caught(pair: Pair) -> None:
    prompt = pair.prompt(40)
    model = _faulty(pair, HrmText)
    model.model.z_L_init.zero_()

    assert _wrong_by(pair, Decoding(model, [prompt]), prompt) > 100 * TOLERANCE


def test_a_stale_rotary_position_is_caught(pair: Pair) -> None:
    class OneBehind(HrmText):
        def rotary(self, position_T: Tensor, dtype: torch.dtype) -> Rotary:
            return super().rotary(position_T - 1 if len(position_T) == 1 else position_T, dtype)

    prompt = pair.prompt(40)

    assert _wrong_by(pair, Decoding(_faulty(pair, OneBehind), [prompt]), prompt) > 100 * TOLERANCE
