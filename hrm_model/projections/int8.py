"""Projections with int8 weights (a scale for each output) by int8 activations (a scale for each token).

Sums of int8 products are whole numbers, so an output depends neither on the kernel nor on who else is in the batch:
these projections are more exact under load than the bf16 ones that they stand in for.
"""

from functools import cache
from typing import Self

import torch
from torch import Tensor, nn

from hrm_model.projections.rounding import WIDEST, round_rows

_ZERO = 128  # of a byte without a sign
_SAFE = 64  # 255 * 64 * 2 stays below 32,768
_EXACT = 1024  # products of two int8 numbers, whose sum is below 2^24


@cache
def widest_weight() -> int:
    """The largest int8 weight whose products are exact here: 127, or 64 on CPUs that add pairs of them in 16 bits.

    Raises:
        ValueError: torch has no int8 products for this CPU, or none that are exact.
    """
    for widest in (WIDEST, _SAFE):
        value_OI = torch.full((32, 64), widest, dtype=torch.int8)
        value_OI[::2].neg_()
        row_TI = torch.full((3, 64), WIDEST, dtype=torch.int8)
        row_TI[1].neg_()
        wanted_TO = row_TI.double() @ value_OI.double().t()
        try:
            products = Int8Product(value_OI, torch.ones(32))(row_TI), whole_product(row_TI, value_OI.t())
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            raise ValueError(f"torch has no int8 products for this CPU: {error}") from error
        if all(torch.equal(product.double(), wanted_TO) for product in products):
            return widest
    raise ValueError("torch's int8 products are not exact on this CPU")


class Int8Product:
    """An int8 weight in oneDNN's own layout, and the product with int8 rows."""

    def __init__(self, value_OI: Tensor, scale_O: Tensor) -> None:
        self._packed = torch.ops.onednn.qlinear_prepack(value_OI, None)
        self._scale_O = scale_O.float().contiguous()
        self._zero_O = torch.zeros(len(scale_O), dtype=torch.int64)

    def __call__(self, value_TI: Tensor) -> Tensor:
        """(T, O) fp32 sums times the outputs' scales."""
        count = len(value_TI)
        if count == 1:  # for one row of a small matrix oneDNN takes its reference code, 200 times slower
            value_TI = value_TI.repeat(2, 1)
        # With 128 more, which is their zero point, and in fp32: oneDNN has but reference code, a thousand times slower,
        # for rows with a sign on CPUs with VNNI and without AMX, and for sums in bf16 on those without AVX-512.
        value_TI = value_TI.view(torch.uint8) ^ _ZERO
        out_TO: Tensor = torch.ops.onednn.qlinear_pointwise(
            value_TI, 1.0, _ZERO, self._packed, self._scale_O, self._zero_O, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return out_TO[:count]

    @property
    def bytes(self) -> int:
        """Bytes of the weight and its scales."""
        return int(self._packed.numel()) + 12 * len(self._scale_O)  # a scale of 4 bytes, a zero point of 8


def has_int8_products() -> bool:
    """Say whether torch has more than a plain loop for int8 matrices on this CPU: where there is VNNI."""
    return torch.cpu._is_vnni_supported()


def whole_product(value_TI: Tensor, weight_IO: Tensor) -> Tensor:
    """(T, O) sums of int8 products, int32 or the same in fp64, by a weight that is used this once."""
    if has_int8_products():
        return torch._int_mm(value_TI, weight_IO)
    # Eighty times as fast in fp32, in which sums of so many are exact.
    sum_TO = torch.zeros(len(value_TI), weight_IO.shape[1], dtype=torch.float64)
    for value_Ti, weight_iO in zip(torch.split(value_TI, _EXACT, 1), torch.split(weight_IO, _EXACT), strict=True):
        sum_TO += value_Ti.float() @ weight_iO.float()
    return sum_TO


def rounded_to_int8(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight: (O, I) int8, and (O,) fp32 scales."""
    whole_OI, scale_O1 = round_rows(weight_OI.float(), widest_weight())
    return whole_OI, scale_O1.flatten()


class Int8Linear(nn.Module):
    """Stands in for nn.Linear without a bias."""

    def __init__(self, whole_OI: Tensor, scale_O: Tensor) -> None:
        """Pack a rounded weight."""
        super().__init__()
        self._product = Int8Product(whole_OI, scale_O)

    @classmethod
    def of(cls, weight_OI: Tensor) -> Self:
        """Round and pack a weight."""
        return cls(*rounded_to_int8(weight_OI))

    def forward(self, x_TI: Tensor) -> Tensor:
        value_TI, scale_T1 = round_rows(x_TI)
        return self._product(value_TI).mul_(scale_T1).to(x_TI.dtype)

    @property
    def bytes(self) -> int:
        """Bytes that it holds."""
        return self._product.bytes
