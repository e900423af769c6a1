"""hrm_model.cache_int8: half the memory, rows that are near what was written, and nothing of their neighbours."""

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.config import HrmConfig
from hrm_model.pages import PAGE_TOKENS

CONFIG = HrmConfig(
    vocab_size=48,
    hidden_size=16,
    intermediate_size=24,
    layers_per_stack=1,
    num_heads=3,
    head_dim=64,
    max_position_embeddings=64,
    embedding_scale=4.0,
    H_cycles=1,
    L_cycles=1,
)
PAGES = 4
DTYPES = [torch.float32, torch.bfloat16]


def made(dtype: torch.dtype = torch.float32) -> Int8Cache:
    return Int8Cache(CONFIG, PAGES, dtype=dtype, device="cpu")


def drawn(tokens: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    key, value = torch.randn(2, tokens, CONFIG.num_heads, CONFIG.head_dim, generator=generator).to(dtype)
    return key, value


def is_near(got: Tensor, wanted: Tensor) -> bool:
    """Half a 127th of each head's largest, and as much again for bf16's own rounding of the product."""
    step = wanted.float().abs().amax(-1, keepdim=True) / 127
    return bool(((got.float() - wanted.float()).abs() <= 0.51 * step + wanted.float().abs() * 2**-8).all())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "rows", [slice(5, 25), torch.tensor([40, *range(7, 26)])], ids=["neighbours", "here and there"]
)
def test_what_is_read_is_what_was_written_but_for_its_rounding(dtype: torch.dtype, rows: slice | Tensor) -> None:
    cache, (key, value) = made(dtype), drawn(20, dtype)

    cache.write(1, rows, key, value)

    for got, wanted in zip(cache.read(1, rows), (key, value), strict=True):
        assert got.dtype is dtype
        assert is_near(got, wanted)
    assert not any(got.any() for got in cache.read(0, rows))


def test_a_head_that_is_small_keeps_its_own_scale() -> None:
    cache, (key, value) = made(), drawn(4)
    key[:, 0] *= 1000

    cache.write(0, slice(0, 4), key, value)

    assert is_near(cache.read(0, slice(0, 4))[0], key)


@pytest.mark.parametrize("dtype", DTYPES)
def test_evenly_spaced_sequences_are_read_as_each_alone(dtype: torch.dtype) -> None:
    cache, (key, value) = made(dtype), drawn(PAGES * PAGE_TOKENS, dtype)
    cache.write(1, slice(0, PAGES * PAGE_TOKENS), key, value)

    lanes = cache.lanes(PAGE_TOKENS, PAGE_TOKENS, 3, 5)

    for lane, which in zip(lanes, (0, 1), strict=True):
        assert lane[1].shape == (3, CONFIG.num_heads, 5, CONFIG.head_dim)
        for number in range(3):
            first = PAGE_TOKENS * (1 + number)
            assert torch.equal(lane[1][number], cache.read(1, slice(first, first + 5))[which].transpose(0, 1))


def test_rows_are_copied_and_cleared_in_every_slot() -> None:
    cache = made()
    for slot in range(CONFIG.slots):
        cache.write(slot, slice(0, 3), *drawn(3, seed=slot))

    cache.copy([0, 2], [50, 20])
    cache.clear([0, 1])

    for slot in range(CONFIG.slots):
        for part, wanted in enumerate(drawn(3, seed=slot)):
            got = cache.read(slot, torch.tensor([50, 20, 2, 0, 1]))[part]
            assert is_near(got[:3], wanted[[0, 2, 2]])
            assert not got[3:].any()


def test_what_was_left_behind_does_not_show_through() -> None:
    cache, (key, value) = made(), drawn(2)
    cache.write(0, slice(0, 2), key * float("nan"), value * float("inf"))
    assert not torch.isfinite(cache.read(0, slice(0, 2))[0]).any()

    cache.write(0, slice(0, 2), key, value)

    assert is_near(cache.read(0, slice(0, 2))[0], key)


def test_it_takes_half_of_bf16_and_two_bytes_a_head() -> None:
    whole = PagedCache(CONFIG, PAGES, dtype=torch.bfloat16, device="cpu")

    assert made().bytes == whole.bytes // 2 + whole.bytes // CONFIG.head_dim
