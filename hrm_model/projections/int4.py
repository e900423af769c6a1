"""Projections with int4 weights: torch's weight-only kernel for few rows, int8 products of unpacked blocks for many.

Both are fed whole numbers, activations and weights alike, and so give the same sums: which of them ran cannot be seen
in the output. Inputs are padded to whole groups and outputs to whole blocks, with zeros.
"""

from functools import cache
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from hrm_model.projections.int8 import whole_product, widest_weight
from hrm_model.projections.rounding import Int4, round_groups, round_rows

GROUP = 64  # inputs that share a multiplier; 32 would take 5 bits a weight with torch's scales, 64 takes 4.5
KERNEL_ROWS = 16  # past them, unpacking costs less than what torch's kernel takes for each further row
_BLOCK_BYTES = 786_432  # of int8 weights unpacked at once: what stays in a core's L2 cache beside its nibbles
_LOW = 0x0F0F0F0F0F0F0F0F  # the lower nibbles of eight bytes


@cache
def block_outputs() -> int:
    """Outputs in a block of torch's int4 layout on this CPU: 64 with AVX-512, 32 with AVX2.

    A block holds a row per input; the lower nibbles are its first half of outputs, the upper ones its second.

    Raises:
        ValueError: the layout is none that is known here.
    """
    nibble_OI = torch.arange(128 * 64, dtype=torch.int32).mul_(7).bitwise_right_shift_(3).bitwise_and_(15).view(128, 64)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(nibble_OI, 1)
    for outputs in (64, 32):
        block = packed.view(128 // outputs, 64, outputs // 2)
        unpacked = torch.cat((block & 15, block >> 4), -1).transpose(1, 2).reshape(128, 64)
        if torch.equal(unpacked.int(), nibble_OI):
            return outputs
    raise ValueError("torch packs int4 weights in a layout for this CPU that is not known here")


class Unpacker:
    """Turns blocks of nibbles into int8 weights, in memory that all projections of a network share."""

    def __init__(self) -> None:
        self._nibbles = torch.empty(0, dtype=torch.int8)
        self._weights = torch.empty(0, dtype=torch.int8)

    def __call__(self, packed_BIh: Tensor, multiplier_GO: Tensor) -> Tensor:
        """Unpack some blocks.

        Args:
            packed_BIh: (B, I, h) uint8, blocks of 2h outputs in torch's layout.
            multiplier_GO: (G, O) int8, of the same outputs.

        Returns:
            (I, O) int8, the weights times their multipliers; valid until the next call.
        """
        blocks, inputs, half = packed_BIh.shape
        groups, outputs = multiplier_GO.shape
        size = inputs * outputs
        if len(self._weights) < size:
            self._nibbles, self._weights = (torch.empty(size, dtype=torch.int8) for _ in range(2))
        nibble_B2Ih = self._nibbles[:size].view(blocks, 2, inputs, half)
        weight_IO = self._weights[:size].view(inputs, outputs)
        # Eight bytes at a time, as whole words know no better: three times faster than byte by byte.
        words, nibbles, weights = (x.view(torch.int64) for x in (packed_BIh, nibble_B2Ih, weight_IO))
        torch.bitwise_and(words, _LOW, out=nibbles[:, 0])
        torch.bitwise_right_shift(words, 4, out=nibbles[:, 1])
        nibbles[:, 1].bitwise_and_(_LOW)
        weights.view(inputs, 2 * blocks, -1).copy_(nibbles.flatten(0, 1).transpose(0, 1))
        weight_IO.sub_(8)
        weight_IO.view(groups, -1, outputs).mul_(multiplier_GO[:, None])
        return weight_IO


def rounded_to_int4(weight_OI: Tensor, group: int = GROUP) -> Int4:
    """Round a weight, padded to whole blocks of outputs and groups of inputs.

    Args:
        weight_OI: (O, I) floating point.
        group: inputs that share a multiplier: 32, 64, 128 or 256.
    """
    outputs, inputs = weight_OI.shape
    padding = (0, -inputs % group, 0, -outputs % block_outputs())
    return round_groups(functional.pad(weight_OI.float(), padding), group, steps=widest_weight() // 8)


class Int4Linear(nn.Module):
    """Stands in for nn.Linear without a bias."""

    def __init__(self, rounded: Int4, shape: torch.Size, dtype: torch.dtype, unpacker: Unpacker) -> None:
        """Pack a rounded weight.

        Args:
            rounded: see `rounded_to_int4`.
            shape: (O, I), without padding.
            dtype: of the activations that will come.
            unpacker: shared by the projections that one thread uses.
        """
        super().__init__()
        self._group, self._unpacker = rounded.whole_OI.shape[1] // rounded.multiplier_OG.shape[1], unpacker
        self._outputs, self._inputs = shape
        self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(rounded.whole_OI.int() + 8, 1)
        # As the kernel's scales, the multipliers are exact in every dtype; its zero points are 0.
        self._kind = torch.bfloat16 if dtype is torch.bfloat16 else torch.float32
        multiplier_GO = rounded.multiplier_OG.t().to(self._kind)
        self._multiplier_GO2 = torch.stack((multiplier_GO, torch.zeros_like(multiplier_GO)), -1).contiguous()
        self._scale_O = rounded.scale_O.to(self._kind)

    @classmethod
    def of(cls, weight_OI: Tensor, dtype: torch.dtype, unpacker: Unpacker, group: int = GROUP) -> Self:
        """Round and pack a weight."""
        return cls(rounded_to_int4(weight_OI, group), weight_OI.shape, dtype, unpacker)

    def forward(self, x_TI: Tensor) -> Tensor:
        value_TI, scale_T1 = round_rows(x_TI)
        value_TI, scale_T1 = functional.pad(value_TI, (0, -self._inputs % self._group)), scale_T1.to(self._kind)
        products = self._few if len(x_TI) <= KERNEL_ROWS else self._many
        return products(value_TI, scale_T1)[:, : self._outputs].to(x_TI.dtype)

    def _few(self, value_TI: Tensor, scale_T1: Tensor) -> Tensor:
        sum_TO: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            value_TI.to(self._kind), self._packed, self._group, self._multiplier_GO2
        )
        return sum_TO.mul_(self._scale_O).mul_(scale_T1)

    def _many(self, value_TI: Tensor, scale_T1: Tensor) -> Tensor:
        (outputs, _), inputs, block = self._packed.shape, value_TI.shape[1], block_outputs()
        packed_BIh = self._packed.view(-1, inputs, block // 2)
        out_TO = torch.empty(len(value_TI), outputs, dtype=self._kind)
        at_once = max(1, _BLOCK_BYTES // (inputs * block))
        for first in range(0, len(packed_BIh), at_once):
            mine = slice(first * block, (first + at_once) * block)
            multiplier_GO = self._multiplier_GO2[:, mine, 0].to(torch.int8)
            weight_IO = self._unpacker(packed_BIh[first : first + at_once], multiplier_GO)
            # The kernel's sums come in its dtype; these are rounded to it before they are scaled, too.
            sum_TO = whole_product(value_TI, weight_IO).to(self._kind)
            torch.mul(sum_TO.mul_(self._scale_O[mine]), scale_T1, out=out_TO[:, mine])
        return out_TO

    @property
    def bytes(self) -> int:
        """Bytes that it holds, the shared scratch apart."""
        held = (self._packed, self._multiplier_GO2, self._scale_O)
        return sum(tensor.numel() * tensor.element_size() for tensor in held)
