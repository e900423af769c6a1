"""hrm_model.compiled over keys and values in int8: written as the reference rounds them, and read the same by all."""

from functools import partial

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.step import CompiledStep
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.projections.choose import Panelled, Weights
from hrm_model.runner import Runner
from hrm_model.sequence import Reading, Sequence
from hrm_model.types import Sampling
from tests.hrm_model.compiled.written import (
    EVERYONE,
    PROMPTS,
    SHAPES,
    STEPS,
    Written,
    drafted_and_token_by_token,
    exact_and_served,
    ids_of,
    network,
)

pytestmark = pytest.mark.compiled
over_int8 = partial(Written, in_int8=True)
EACH = pages_for(max(PROMPTS))


def made(kind: str, panels: Panelled) -> HrmText:
    shape, _, weights = kind.partition(" in ")
    of: dict[str, Weights] = {"bf16": "auto", "int8": "int8", "int4": "int4"}
    return exact_and_served(SHAPES[shape], of[weights], panels)[1] if weights else network(SHAPES[shape])


KINDS = ["heads of 64", "heads of 48", "heads of 64 in bf16", "heads of 64 in int8", "heads of 64 in int4"]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> HrmText:
    return made(request.param, "beside")


@pytest.fixture(scope="module", params=KINDS)
def alone(request: pytest.FixtureRequest) -> HrmText:
    return made(request.param, "alone")


@pytest.fixture(scope="module", params=["heads of 64", "heads of 48"])
def in_fp32(request: pytest.FixtureRequest) -> HrmText:
    return network(SHAPES[request.param])


def prompt(number: int, first_page: int = 0) -> Sequence:
    pages = list(range(first_page, first_page + EACH))
    return Sequence(number, 0, ids_of(number), PROMPTS[number], Sampling(), 8, pages)


def read(model: HrmText, cache: PagedCache | Int8Cache, sequences: list[Sequence], *, threads: int = 1) -> Tensor:
    """(B, V) fp32 logits after prompts that are read together."""
    with torch.inference_mode():
        return Runner(model, cache, "cpu", CompiledStep(model, cache, threads=threads)).forward(sequences)


def int8_cache(model: HrmText, pages: int) -> Int8Cache:
    return Int8Cache(model.config, pages, dtype=model.model.embed_tokens.weight.dtype, device="cpu")


def test_what_it_writes_is_what_the_reference_rounds(in_fp32: HrmText) -> None:
    """In the first layer, before which nothing has been read back, so that both round the same numbers."""
    config, rows = in_fp32.config, slice(0, PROMPTS[0])
    exact = PagedCache(config, EACH, dtype=torch.float32, device="cpu")
    rounded, expected = int8_cache(in_fp32, EACH), int8_cache(in_fp32, EACH)
    for cache in (exact, rounded):
        read(in_fp32, cache, [prompt(0)])

    expected.write(0, rows, *exact.read(0, rows))

    for part, wanted in zip(
        (*rounded.key.parts, *rounded.value.parts), (*expected.key.parts, *expected.value.parts), strict=True
    ):
        assert wanted[0, rows].any()
        assert torch.equal(part[0], wanted[0])


def test_numbers_that_are_nothing_or_huge_are_rounded_as_by_the_reference(in_fp32: HrmText) -> None:
    """Weights of the first layer's values that make them zero, tiny, huge, infinite and no numbers."""
    model, config = HrmText(in_fp32.config).requires_grad_(False).eval(), in_fp32.config
    model.load_state_dict(in_fp32.state_dict())
    name, values = "model.L_module.layers.0.attn.gqkv_proj.weight", 3 * config.num_heads * config.head_dim
    for factor in (0.0, 1e-40, 1e30, torch.inf, torch.nan):
        weight_OI = in_fp32.get_parameter(name).clone()
        weight_OI[values:] *= factor  # what is before are gates, queries and keys
        model.get_parameter(name).copy_(weight_OI)
        exact = PagedCache(config, EACH, dtype=torch.float32, device="cpu")
        rounded, expected = int8_cache(model, EACH), int8_cache(model, EACH)
        for cache in (exact, rounded):
            read(model, cache, [prompt(1)])

        expected.write(0, slice(0, PROMPTS[1]), *exact.read(0, slice(0, PROMPTS[1])))

        got, wanted = (cache.read(0, slice(0, PROMPTS[1]))[1] for cache in (rounded, expected))
        torch.testing.assert_close(got, wanted, atol=0, rtol=0, equal_nan=True)


@pytest.mark.parametrize("threads", [1, 3])
def test_answers_are_those_of_torch_over_what_they_read(in_fp32: HrmText, threads: int) -> None:
    compiled = over_int8(in_fp32, EVERYONE, threads=threads)
    for _ in range(STEPS):
        kept = compiled.kept
        assert isinstance(kept, Int8Cache)
        widened = PagedCache(in_fp32.config, kept.pages, dtype=torch.float32, device="cpu")
        widened.key.copy_(kept.key.whole * kept.key.scale.float())
        widened.value.copy_(kept.value.whole * kept.value.scale.float())
        cached = [sequence.cached for sequence in compiled.sequences]
        with torch.inference_mode():
            expected = Runner(in_fp32, widened, "cpu").forward(compiled.sequences)
        for sequence, count in zip(compiled.sequences, cached, strict=True):
            sequence.cached = count

        # Its own key and value a token reads rounded, here as well; torch has them as they are.
        error = (compiled.step(compiled.runner) - expected).square().mean().sqrt()
        assert error < 0.02 * expected.std()


def test_nobodys_answer_has_other_bits_in_company_on_more_threads_or_in_scattered_pages(model: HrmText) -> None:
    alone = [over_int8(model, [number]) for number in EVERYONE]
    together = over_int8(model, EVERYONE, threads=2, scattered=True)

    for _ in range(STEPS):
        batched = together.step(together.runner)
        for row, one in zip(batched, alone, strict=True):
            assert torch.equal(one.step(one.runner)[0], row)


def test_a_draft_has_the_bits_of_writing_token_by_token(model: HrmText) -> None:
    assert torch.equal(*drafted_and_token_by_token(model, in_int8=True))


def test_a_prompt_has_the_same_bits_alone_in_company_and_in_slices(alone: HrmText) -> None:
    company = int8_cache(alone, EACH * len(EVERYONE))
    together = read(alone, company, [prompt(number, number * EACH) for number in EVERYONE], threads=3)

    for number in EVERYONE:
        own, sliced = (int8_cache(alone, EACH) for _ in range(2))
        assert torch.equal(read(alone, own, [prompt(number)])[0], together[number])
        sequence = prompt(number)
        reading = Reading((sequence,))
        runner = Runner(alone, sliced, "cpu", CompiledStep(alone, sliced, threads=1))
        while not runner.read(reading, 3):
            pass
        assert isinstance(sequence.first, Tensor)
        assert torch.equal(sequence.first, together[number])


@pytest.mark.wide
def test_wide_vectors_have_the_bits_of_narrow_ones(model: HrmText) -> None:
    narrow, wide = (over_int8(model, EVERYONE, is_wide=is_wide) for is_wide in (False, True))

    for _ in range(STEPS):
        assert torch.equal(wide.step(wide.runner), narrow.step(narrow.runner))


def test_what_is_not_finite_stays_with_its_sequence(model: HrmText) -> None:
    clean, spoilt = over_int8(model, EVERYONE), over_int8(model, EVERYONE)
    victim, kept = spoilt.sequences[2], spoilt.kept
    assert isinstance(kept, Int8Cache)
    kept.value.scale[:, victim.pages[0] * PAGE_TOKENS + 1] = torch.nan

    expected, found = (written.step(written.runner) for written in (clean, spoilt))

    assert not found[2].isfinite().any()
    others = [row for row in EVERYONE if row != 2]
    assert torch.equal(found[others], expected[others])
