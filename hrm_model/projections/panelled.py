"""Projections whose weights the compiled step reads: beside torch's own copy, which reads prompts, or alone."""

import torch
from torch import Tensor, nn

from hrm_model.compiled.library import library
from hrm_model.compiled.panels import Panels, fits
from hrm_model.config import HrmConfig
from hrm_model.projections.int4 import GROUP


def can_panel(config: HrmConfig, dtype: torch.dtype, *, in_int4: bool) -> bool:
    """Say whether the compiled step can read a network's weights here, and gain by it."""
    try:
        library()
    except OSError:
        return False
    inputs = (config.hidden_size, config.num_heads * config.head_dim, config.intermediate_size)
    return dtype is torch.bfloat16 and fits(config) and not (in_int4 and any(size % GROUP for size in inputs))


class PanelledLinear(nn.Module):
    """Stands in for nn.Linear without a bias."""

    def __init__(self, panels: Panels, whole: nn.Module | None = None) -> None:
        """Keep a weight.

        Args:
            panels: the weight as the compiled step reads it.
            whole: what multiplies by it when torch asks; None: torch never will.
        """
        super().__init__()
        self.panels = panels
        self._whole = whole

    def forward(self, x_TI: Tensor) -> Tensor:
        if self._whole is None:
            raise RuntimeError("this weight is held for the compiled step alone")
        out_TO: Tensor = self._whole(x_TI)
        return out_TO

    @property
    def is_alone(self) -> bool:
        """Whether torch cannot multiply by it."""
        return self._whole is None

    @property
    def bytes(self) -> int:
        """Bytes of the panels; `whole` has its own."""
        return self.panels.bytes
