"""hrm_model.projections.rounding: what whole numbers and scales mean, and how far they may be from the truth."""

import pytest
import torch
from torch import Tensor

from hrm_model.projections.rounding import round_groups, round_rows


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 256), (5, 200_000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_row_is_off_by_half_a_step_of_its_own_scale_at_most(shape: tuple[int, int], dtype: torch.dtype) -> None:
    x = (normal(*shape) * torch.logspace(-3, 3, shape[0])[:, None]).to(dtype)

    whole, scale = round_rows(x)

    # A 127th part of the largest is the step; bf16 keeps 8 bits of it, and the division is rounded in fp32.
    assert scale.dtype is (torch.bfloat16 if dtype is torch.bfloat16 else torch.float32)
    assert ((whole.float() * scale.float() - x.float()).abs() <= 0.5001 * scale.float()).all()
    assert (whole.abs().amax(-1) >= 126).all()


def test_a_row_does_not_depend_on_the_others() -> None:
    x = normal(70, 4096)

    whole, scale = round_rows(x)

    for row in (0, 31, 32, 69):
        alone, its_scale = round_rows(x[row : row + 1])
        assert torch.equal(alone[0], whole[row])
        assert torch.equal(its_scale[0], scale[row])


def test_narrower_whole_numbers_stay_within_their_bounds() -> None:
    whole, scale = round_rows(normal(20, 300), 64)

    assert int(whole.abs().max()) == 64
    assert ((whole * scale - normal(20, 300)).abs() <= 0.5001 * scale).all()


def test_a_row_of_zeros_stays_zeros() -> None:
    whole, scale = round_rows(torch.zeros(2, 8))

    assert not (whole * scale).any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_in_its_row_and_is_seen(value: float) -> None:
    x = normal(3, 16)
    x[1, 5] = value

    whole, scale = round_rows(x)

    assert torch.isfinite(whole * scale).all(-1).tolist() == [True, False, True]


def error(weight: Tensor, group: int, **options: int) -> float:
    rounded = round_groups(weight, group, **options)
    return float((rounded.int8_OI * rounded.scale_O[:, None] - weight).norm() / weight.norm())


@pytest.mark.parametrize("group", [2, 32, 64, 256])
@pytest.mark.parametrize("outputs", [1, 3, 50])
def test_an_int4_weight_is_nibbles_times_small_multipliers_times_a_scale(outputs: int, group: int) -> None:
    rounded = round_groups(normal(outputs, 3 * group), group)

    assert -8 <= int(rounded.whole_OI.min()) < 0 < int(rounded.whole_OI.max()) <= 7
    assert rounded.multiplier_OG.shape == (outputs, 3)
    assert ((rounded.multiplier_OG.abs() >= 1) & (rounded.multiplier_OG.abs() <= 15)).all()
    assert torch.equal(rounded.scale_O, rounded.scale_O.bfloat16().float())
    assert torch.equal(
        rounded.int8_OI.view(outputs, 3, group),
        rounded.whole_OI.view(outputs, 3, group) * rounded.multiplier_OG[:, :, None],
    )


def test_smaller_groups_and_more_multipliers_lose_less() -> None:
    weight = normal(64, 512)

    errors = [error(weight, 16), error(weight, 64), error(weight, 256)]

    # 16 steps over the range of 64 normal values, about 4.8 of their deviations: 4.8 / 16 / sqrt(12) = 0.087.
    assert errors == sorted(errors)
    assert 0.08 < errors[1] < 0.1
    assert error(weight, 64) < error(weight, 64, steps=8) < 0.11


def test_what_nibbles_can_say_is_kept_exactly() -> None:
    generator = torch.Generator().manual_seed(1)
    whole = torch.randint(-7, 8, (6, 4, 32), generator=generator)
    whole[:, :, 0] = -8
    multiplier = torch.randint(1, 16, (6, 4, 1), generator=generator)
    multiplier[:, 0] = 15
    weight = (whole * multiplier * 0.25).flatten(1)

    assert error(weight, 32) == 0


def test_groups_of_zeros_stay_zeros() -> None:
    weight = normal(4, 128)
    weight[0] = 0
    weight[1, :64] = 0

    rounded = round_groups(weight, 64)

    assert not rounded.int8_OI[0].any()
    assert not rounded.int8_OI[1, :64].any()
    assert rounded.int8_OI[1, 64:].any()
