"""Networks in bf16 that the compiled step has alone, prompts included, as torch would read them more slowly here."""

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.compiled.step import CompiledStep
from hrm_model.model import HrmText
from hrm_model.pages import pages_for
from hrm_model.projections.choose import Weights
from hrm_model.runner import Runner
from hrm_model.sequence import Reading, Sequence
from hrm_model.types import Sampling
from tests.hrm_model.compiled.written import EVERYONE, PROMPTS, SHAPES, exact_and_served, ids_of

pytestmark = pytest.mark.compiled
CONFIG = SHAPES["heads of 64"]
EACH = pages_for(max(PROMPTS) + 1)


@pytest.fixture(scope="module", params=["auto", "int8", "int4"])
def weights(request: pytest.FixtureRequest) -> Weights:
    kind: Weights = request.param
    return kind


@pytest.fixture(scope="module")
def alone(weights: Weights) -> HrmText:
    return exact_and_served(CONFIG, weights, "alone")[1]


def prompts() -> list[Sequence]:
    pages = range(EACH)
    return [
        Sequence(
            number,
            0,
            ids_of(number),
            PROMPTS[number],
            Sampling(),
            1,
            [number * EACH + page for page in pages],
        )
        for number in EVERYONE
    ]


def runner(model: HrmText, *, compiled: bool) -> Runner:
    dtype = model.model.embed_tokens.weight.dtype
    cache = PagedCache(CONFIG, EACH * len(EVERYONE), dtype=dtype, device="cpu")
    return Runner(model, cache, "cpu", CompiledStep(model, cache, threads=2) if compiled else None)


def read(one: Runner) -> Tensor:
    """(B, V) fp32 logits after all prompts, which are read together."""
    with torch.inference_mode():
        return one.forward(prompts()).float()


def test_prompts_are_read_nearer_to_fp32_than_torch_does_in_bf16(weights: Weights, alone: HrmText) -> None:
    exact, beside = exact_and_served(CONFIG, weights, "beside")

    expected = read(runner(exact, compiled=False))
    error, of_torch = (
        (read(found) - expected).square().mean().sqrt()
        for found in (runner(alone, compiled=True), runner(beside, compiled=False))
    )

    assert error < 0.7 * of_torch
    assert error < 0.1 * expected.std()


def test_a_prompt_has_the_same_bits_in_company_alone_and_in_slices(alone: HrmText) -> None:
    together = read(runner(alone, compiled=True))

    for number in EVERYONE:
        single, sliced = runner(alone, compiled=True), runner(alone, compiled=True)
        with torch.inference_mode():
            assert torch.equal(single.forward([prompts()[number]])[0], together[number])
        sequence = prompts()[number]
        reading = Reading((sequence,))
        while not sliced.read(reading, 3):
            pass
        assert isinstance(sequence.first, Tensor)
        assert torch.equal(sequence.first, together[number])


def test_torch_is_not_asked_and_could_not_answer(alone: HrmText) -> None:
    assert CompiledStep(alone, PagedCache(CONFIG, 1, dtype=torch.bfloat16, device="cpu"), threads=1).reads_prompts
    with pytest.raises(RuntimeError, match="held for the compiled step alone"):
        read(runner(alone, compiled=False))
