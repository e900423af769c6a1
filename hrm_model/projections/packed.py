"""Projections in bf16 whose weights were put into oneDNN's own layout once, instead of in every product."""

import torch
from torch import Tensor, nn

from hrm_model.projections.widened import can_multiply


def can_pack(dtype: torch.dtype) -> bool:
    """Say whether weights of `dtype` gain by it: fp32 products on CPUs do not, and fp16 ones have no such path."""
    return dtype is torch.bfloat16 and can_multiply(dtype)


class PackedLinear(nn.Module):
    """Stands in for nn.Linear without a bias."""

    def __init__(self, weight_OI: Tensor) -> None:
        super().__init__()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI.to(torch.bfloat16), None)

    def forward(self, x_TI: Tensor) -> Tensor:
        out_TO: Tensor = torch.ops.mkldnn._linear_pointwise(x_TI, self._packed, None, "none", [], "")
        return out_TO

    @property
    def bytes(self) -> int:
        """Bytes that it holds."""
        return int(self._packed.numel()) * 2
