"""Projections in bf16 or fp16 for CPUs that have no such products: weights stay small, and are multiplied in fp32.

Without AVX-512, torch multiplies 16-bit numbers one pair at a time: 128 rows by a matrix of 6144 x 1536 take five times
as long as in fp32. Here blocks of the matrix are widened to fp32 in a core's cache and multiplied there.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW_ROWS = 4  # up to here reading the matrix is what takes the time, and widening would read and write more
_BLOCK_BYTES = 786_432  # of fp32 weights widened at once: what stays in a core's cache


def can_multiply(dtype: torch.dtype) -> bool:
    """Say whether this CPU has products of `dtype`: fp32, or 16 bits where oneDNN knows instructions for them."""
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if dtype is torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return True


class Scratch:
    """Memory for a widened block, which all projections of a network share."""

    def __init__(self) -> None:
        self._block = torch.empty(0)

    def widen(self, weight_BI: Tensor) -> Tensor:
        """Return (B, I) fp32; valid until the next call."""
        if len(self._block) < (size := weight_BI.numel()):
            self._block = torch.empty(size)
        return self._block[:size].view(weight_BI.shape).copy_(weight_BI)


class WidenedLinear(nn.Module):
    """Stands in for nn.Linear without a bias."""

    def __init__(self, weight_OI: Tensor, dtype: torch.dtype, scratch: Scratch) -> None:
        """Keep a weight.

        Args:
            weight_OI: (O, I) floating point.
            dtype: bf16 or fp16, of the weight as it is kept and of the activations that will come.
            scratch: shared by the projections that one thread uses.
        """
        super().__init__()
        self._weight_OI, self._scratch = weight_OI.to(dtype).contiguous(), scratch

    def forward(self, x_TI: Tensor) -> Tensor:
        if len(x_TI) <= FEW_ROWS:
            return functional.linear(x_TI, self._weight_OI)
        outputs, inputs = self._weight_OI.shape
        wide_TI = x_TI.float()
        out_TO = torch.empty(len(x_TI), outputs, dtype=x_TI.dtype)
        at_once = max(1, _BLOCK_BYTES // (4 * inputs))
        for first in range(0, outputs, at_once):
            block_BI = self._scratch.widen(self._weight_OI[first : first + at_once])
            out_TO[:, first : first + at_once] = wide_TI @ block_BI.t()
        return out_TO

    @property
    def bytes(self) -> int:
        """Bytes that it holds, the shared scratch apart."""
        return self._weight_OI.numel() * self._weight_OI.element_size()
