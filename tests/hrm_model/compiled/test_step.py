"""hrm_model.compiled: torch's logits, and the same bits alone, among others, with drafts and wherever pages lie."""

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.compiled.panels import packed_panels
from hrm_model.compiled.step import CompiledStep, Token
from hrm_model.model import HrmText
from hrm_model.pages import pages_for
from hrm_model.sequence import Sequence
from hrm_model.types import Sampling
from tests.hrm_model.compiled.written import (
    EVERYONE,
    PROMPTS,
    SHAPES,
    STEPS,
    Written,
    drafted_and_token_by_token,
    ids_of,
    network,
)

pytestmark = pytest.mark.compiled

TOLERANCE = 1e-4  # of fp32 logits between 1 and 10, as in tests/parity


@pytest.fixture(scope="module", params=["heads of 64", "heads of 48", "bf16 numbers"])
def model(request: pytest.FixtureRequest) -> HrmText:
    return network(SHAPES.get(request.param, SHAPES["heads of 64"]), in_bf16=request.param == "bf16 numbers")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_logits_are_those_of_torch(model: HrmText, count: int, threads: int) -> None:
    compiled, by_torch = (Written(model, EVERYONE[:count], threads=threads) for _ in range(2))

    for _ in range(STEPS):
        expected = by_torch.step(by_torch.by_torch)
        torch.testing.assert_close(compiled.step(compiled.runner), expected, atol=TOLERANCE, rtol=0)
        assert expected.std() > 0.1


def test_nobodys_logits_have_other_bits_in_company_on_more_threads_or_in_scattered_pages(model: HrmText) -> None:
    alone = [Written(model, [number]) for number in EVERYONE]
    together = Written(model, EVERYONE, threads=2, scattered=True)

    for _ in range(STEPS):
        batched = together.step(together.runner)
        for row, one in zip(batched, alone, strict=True):
            assert torch.equal(one.step(one.runner)[0], row)


@pytest.mark.wide
def test_wide_vectors_have_the_bits_of_narrow_ones(model: HrmText) -> None:
    narrow, wide = (Written(model, EVERYONE, is_wide=is_wide) for is_wide in (False, True))

    with torch.inference_mode():
        assert torch.equal(*(written.runner.forward(unread(EVERYONE)) for written in (narrow, wide)))
    assert torch.equal(narrow.cache.key, wide.cache.key)
    assert torch.equal(narrow.cache.value, wide.cache.value)
    for _ in range(STEPS):
        assert torch.equal(wide.step(wide.runner), narrow.step(narrow.runner))
    for count in range(1, 30):  # tokens that share the read of a panel, and some beyond
        both = []
        for written in (narrow, wide):
            prompt = Sequence(0, 0, ids_of(6)[:count], count, Sampling(), 8, [0, 1])
            with torch.inference_mode():
                both.append(written.compiled([Token(prompt, one, at, True) for at, one in enumerate(prompt.ids)]))
        assert torch.equal(*both)


def test_a_draft_has_the_bits_of_writing_token_by_token(model: HrmText) -> None:
    assert torch.equal(*drafted_and_token_by_token(model))


def unread(numbers: Items[int]) -> list[Sequence]:
    """Sequences with prompts whose last ids, if any, are given answer, which the prompt must not read."""
    each = pages_for(max(PROMPTS))
    return [
        Sequence(n, 0, ids_of(n), PROMPTS[n] - n % 3, Sampling(), 8, list(range(at * each, (at + 1) * each)))
        for at, n in enumerate(numbers)
    ]


def prompts_of(sequences: Items[Sequence]) -> list[Token]:
    return [
        Token(one, token, place, place == len(one.ids) - 1) for one in sequences for place, token in enumerate(one.ids)
    ]


def test_a_prompt_is_read_in_both_directions(model: HrmText) -> None:
    written = Written(model, EVERYONE)

    with torch.inference_mode():
        expected, got = (runner.forward(unread(EVERYONE)) for runner in (written.by_torch, written.runner))

    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_wanted_changes_no_bits_of_it_and_nothing_that_later_tokens_read(model: HrmText, threads: int) -> None:
    def read(is_wanted: Callable[[int], bool]) -> tuple[Tensor, PagedCache]:
        written = Written(model, EVERYONE, threads=threads)
        tokens = [replace(token, is_wanted=is_wanted(at)) for at, token in enumerate(prompts_of(unread(EVERYONE)))]
        with torch.inference_mode():
            return written.compiled(tokens), written.cache

    everything, whole = read(lambda _: True)
    for chosen in (lambda at: at % 7 in (2, 3), lambda at: at < 40, lambda at: at == 11, lambda _: False):
        logits, cache = read(chosen)

        assert torch.equal(logits, everything[[at for at in range(len(everything)) if chosen(at)]])
        assert torch.equal(cache.key, whole.key)
        assert torch.equal(cache.value, whole.value)


def test_a_prompt_has_the_same_bits_read_alone_or_together_and_in_slices_between_others_steps(model: HrmText) -> None:
    with torch.inference_mode():
        alone = torch.cat([Written(model, [0]).runner.forward(unread([number])) for number in EVERYONE])
        together = Written(model, EVERYONE, threads=2)
        assert torch.equal(together.runner.forward(unread(EVERYONE)), alone)

        sliced = Written(model, EVERYONE)
        underway = sliced.compiled.begin(prompts_of(unread(EVERYONE)))
        apart = Sequence(9, 0, [30, 31], 2, Sampling(), 8, [sliced.cache.pages - 1])
        for _ in range(model.layers - 1):
            assert underway.advance(1) is None
            sliced.compiled([Token(apart, 30, 0, True)])
        read = underway.advance(1)

    assert read is not None
    assert torch.equal(read, alone)


def test_what_others_have_left_in_the_cache_is_never_read_and_a_fault_stays_where_it_is(model: HrmText) -> None:
    clean, soiled = Written(model, EVERYONE[:2]), Written(model, EVERYONE[:2])
    for sequence in soiled.sequences[:1]:
        after = sequence.pages[0] * 16 + len(sequence.ids)
        for stored in (soiled.cache.key, soiled.cache.value):
            stored[:, after : sequence.pages[-1] * 16 + 16].fill_(torch.nan)
    assert torch.equal(soiled.step(soiled.runner), clean.step(clean.runner))

    soiled.cache.value[0, soiled.sequences[0].pages[0] * 16] = torch.nan
    faulty, healthy = soiled.step(soiled.runner)

    assert faulty.isnan().all()
    assert torch.equal(healthy, clean.step(clean.runner)[1])


def test_weights_that_are_bf16_numbers_are_held_as_such_and_no_others() -> None:
    generator = torch.Generator().manual_seed(0)
    weight_OI = torch.randn(20, 6, generator=generator)

    exact, short = packed_panels(weight_OI), packed_panels(weight_OI.bfloat16().float())

    assert (exact.kind, short.kind) == ("fp32", "bf16")
    assert (exact.packed.dtype, short.packed.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(exact.packed.transpose(1, 2).reshape(-1, 6)[:20], weight_OI)
    assert not exact.packed[1, :, 4:].any(), "what follows the last output is zero"
    assert torch.equal(short.packed[0, 2, ::2].float(), weight_OI[:8, 2].bfloat16().float())
    assert torch.equal(short.packed[0, 2, 1::2].float(), weight_OI[8:16, 2].bfloat16().float())


def test_a_token_whose_place_is_wrong_is_noticed(model: HrmText) -> None:
    """The comparisons above can fail: a stale position, another page and a wrong slot all show."""
    differences = []
    for fault in range(3):
        written, expected = Written(model, [0]), Written(model, [0])
        [sequence] = written.sequences
        position = len(sequence.ids) - 1
        if fault == 0:
            position -= 1
        if fault == 1:
            sequence.pages[0] = sequence.pages[-1]
        if fault == 2:
            written.cache.key.copy_(written.cache.key.roll(1, dims=0))
        with torch.inference_mode():
            got = written.compiled([Token(sequence, sequence.ids[-1], position, True)])
        differences.append(float((got - expected.step(expected.runner)).abs().max()))

    assert min(differences) > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("token", "position"), [(-1, 40), (301, 40), (20, -1), (20, 128), (20, pages_for(max(PROMPTS) + 16) * 16)]
)
def test_what_lies_outside_is_refused_before_c_reads_it(token: int, position: int) -> None:
    written = Written(network(SHAPES["heads of 64"]), [0])

    with pytest.raises(IndexError, match=str(token if position == 40 else position)):
        written.compiled([Token(written.sequences[0], token, position, True)])


def test_without_memory_for_its_threads_there_is_none() -> None:
    config = SHAPES["heads of 64"]

    with pytest.raises(MemoryError):
        CompiledStep(network(config), PagedCache(config, 1, dtype=torch.float32, device="cpu"), threads=1 << 60)


def test_slices_have_the_same_bits_on_threads_that_lag_behind(model: HrmText) -> None:
    """More threads than cores: some are still leaving a slice when the next one is asked for."""
    with torch.inference_mode():
        (expected,) = Written(model, [0]).runner.forward(unread([1]))
        sliced = Written(model, [0], threads=6)
        for _ in range(20):
            underway = sliced.compiled.begin(prompts_of(unread([1])))
            while (logits_RV := underway.advance(1)) is None:
                pass
            assert torch.equal(logits_RV[0], expected)
