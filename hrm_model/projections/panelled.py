"""Projections whose weights are held twice: once for torch, which reads prompts, and once for the compiled step."""

import torch
from torch import Tensor, nn

from hrm_model.compiled.library import library
from hrm_model.compiled.panels import PANEL, packed_panels
from hrm_model.config import HrmConfig


def can_panel(config: HrmConfig, dtype: torch.dtype) -> bool:
    """Say whether the compiled step can read such weights here, and gain by it."""
    try:
        library()
    except OSError:
        return False
    sizes = (config.hidden_size, config.head_dim, config.intermediate_size)
    return dtype is torch.bfloat16 and not any(size % PANEL for size in sizes)


class PanelledLinear(nn.Module):
    """Stands in for nn.Linear without a bias."""

    def __init__(self, weight_OI: Tensor, whole: nn.Module) -> None:
        """Keep a weight.

        Args:
            weight_OI: (O, I) bf16.
            whole: what multiplies by it when torch asks.
        """
        super().__init__()
        self.panels_PIO = packed_panels(weight_OI)
        self._whole = whole

    def forward(self, x_TI: Tensor) -> Tensor:
        out_TO: Tensor = self._whole(x_TI)
        return out_TO

    @property
    def bytes(self) -> int:
        """Bytes of the panels; `whole` has its own."""
        return self.panels_PIO.numel() * self.panels_PIO.element_size()
