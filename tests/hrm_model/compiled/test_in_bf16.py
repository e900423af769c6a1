"""hrm_model.compiled where keys and values are bf16, and weights that or rounded: torch reads prompts, and answers are
written in fp32."""

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.compiled.panels import packed_panels
from hrm_model.model import HrmText
from hrm_model.projections.choose import Weights
from hrm_model.runner import Runner
from tests.hrm_model.compiled.written import (
    EVERYONE,
    SHAPES,
    STEPS,
    Written,
    drafted_and_token_by_token,
    exact_and_served,
)

pytestmark = pytest.mark.compiled


KINDS: list[tuple[str, Weights]] = [
    ("heads of 64", "auto"),
    ("heads of 48", "auto"),
    ("heads of 64", "int8"),
    ("heads of 64", "int4"),
]


@pytest.fixture(scope="module", params=KINDS, ids=" ".join)
def pair(request: pytest.FixtureRequest) -> tuple[HrmText, HrmText]:
    shape, weights = request.param
    return exact_and_served(SHAPES[shape], weights, "beside")


@pytest.fixture
def exact(pair: tuple[HrmText, HrmText]) -> HrmText:
    return pair[0]


@pytest.fixture
def model(pair: tuple[HrmText, HrmText]) -> HrmText:
    return pair[1]


def in_fp32(exact: HrmText, written: Written) -> Tensor:
    """The logits that a step should have: torch's in fp32, over the same keys and values."""
    cache = PagedCache(exact.config, written.cache.pages, dtype=torch.float32, device="cpu")
    cache.key.copy_(written.cache.key)
    cache.value.copy_(written.cache.value)
    cached = [sequence.cached for sequence in written.sequences]
    with torch.inference_mode():
        logits_BV = Runner(exact, cache, "cpu").forward(written.sequences)
    for sequence, count in zip(written.sequences, cached, strict=True):
        sequence.cached = count
    return logits_BV


def off(exact: HrmText, written: Written, runner: Runner) -> Tensor:
    """How far a step's logits are from those that it should have: the root of the mean square."""
    expected = in_fp32(exact, written)
    return (written.step(runner).float() - expected).square().mean().sqrt()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_answers_are_nearer_to_fp32_than_torch_is_in_bf16(
    exact: HrmText, model: HrmText, count: int, threads: int
) -> None:
    compiled, by_torch = (Written(model, EVERYONE[:count], threads=threads) for _ in range(2))

    for _ in range(STEPS):
        scale = in_fp32(exact, compiled).std()
        error, of_torch = (
            off(exact, written, runner)
            for written, runner in ((compiled, compiled.runner), (by_torch, by_torch.by_torch))
        )
        assert error < 0.5 * of_torch
        assert error < 0.02 * scale


def test_nobodys_answer_has_other_bits_in_company_on_more_threads_or_in_scattered_pages(model: HrmText) -> None:
    alone = [Written(model, [number]) for number in EVERYONE]
    together = Written(model, EVERYONE, threads=2, scattered=True)

    for _ in range(STEPS):
        batched = together.step(together.runner)
        for row, one in zip(batched, alone, strict=True):
            assert torch.equal(one.step(one.runner)[0], row)


def test_a_draft_has_the_bits_of_writing_token_by_token(model: HrmText) -> None:
    assert torch.equal(*drafted_and_token_by_token(model))


@pytest.mark.wide
def test_wide_vectors_have_the_bits_of_narrow_ones(model: HrmText) -> None:
    narrow, wide = (Written(model, EVERYONE, is_wide=is_wide) for is_wide in (False, True))

    for _ in range(STEPS):
        assert torch.equal(wide.step(wide.runner), narrow.step(narrow.runner))
    assert torch.equal(narrow.cache.key, wide.cache.key)


def test_what_is_not_finite_stays_with_its_sequence(model: HrmText) -> None:
    clean, spoilt = Written(model, EVERYONE), Written(model, EVERYONE)
    victim = spoilt.sequences[2]
    spoilt.cache.value[:, victim.pages[0] * 16 + 1] = torch.nan

    expected, found = (written.step(written.runner) for written in (clean, spoilt))

    assert not found[2].isfinite().any()
    others = [row for row in EVERYONE if row != 2]
    assert torch.equal(found[others], expected[others])


def test_prompts_that_come_in_while_others_write_change_nothing_for_either(model: HrmText) -> None:
    apart, mixed = Written(model, EVERYONE, threads=2), Written(model, EVERYONE, threads=2)
    newcomers = (1, 4)
    for written in (apart, mixed):
        for number in newcomers:
            written.sequences[number].ids.pop()
            written.sequences[number].cached = 0

    with torch.inference_mode():
        read = apart.runner.forward([apart.sequences[number] for number in newcomers])
        wrote = apart.runner.forward([one for one in apart.sequences if one.request not in newcomers])
        found = mixed.runner.forward(mixed.sequences)

    assert torch.equal(found[list(newcomers)], read.float())
    assert torch.equal(found[[number for number in EVERYONE if number not in newcomers]], wrote)


def test_steps_of_more_tokens_than_are_faster_here_are_left_to_torch(model: HrmText) -> None:
    whole, parted = Written(model, EVERYONE), Written(model, EVERYONE)
    parted.compiled.most_tokens = len(EVERYONE) - 1

    expected = whole.step(whole.by_torch)
    assert torch.equal(parted.step(parted.runner), expected)

    parted.sequences, whole.sequences = parted.sequences[1:], whole.sequences[1:]
    whole.cache.key.copy_(parted.cache.key)
    whole.cache.value.copy_(parted.cache.value)
    assert torch.equal(parted.step(parted.runner), whole.step(whole.runner))


def test_a_weight_that_is_no_number_takes_no_more_room_than_others() -> None:
    weight_OI = torch.randn(32, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    weight_OI[3, 5], weight_OI[7, 9] = torch.nan, torch.inf

    assert packed_panels(weight_OI).kind == "bf16"
