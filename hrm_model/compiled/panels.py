"""Weights as step.c reads them: products.h says how a panel's are written."""

from contextlib import suppress
from dataclasses import dataclass
from mmap import MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Literal

import torch
from torch import Tensor

from hrm_model.config import HrmConfig
from hrm_model.projections.int4 import GROUP
from hrm_model.projections.rounding import Int4

PANEL = 16  # outputs whose weights lie side by side

Kind = Literal["fp32", "bf16", "int8", "int4"]


@dataclass(frozen=True, slots=True)
class Panels:
    """A matrix in panels."""

    kind: Kind
    packed: Tensor
    scale_O: Tensor | None = None  # fp32, of each output, where weights are whole numbers

    @property
    def bytes(self) -> int:
        """Bytes that it takes."""
        tensors = [self.packed] if self.scale_O is None else [self.packed, self.scale_O]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def packed_panels(weight_OI: Tensor) -> Panels:
    """Lay a weight out in bf16 where that says the same, else in fp32.

    Past the last output there are zeros. In bf16 the panel's two halves are zipped, so that each pair makes one 32-bit
    number.

    Args:
        weight_OI: (O, I) floating point.
    """
    panels_PIO = _panels(weight_OI)
    short_PIO = panels_PIO.bfloat16()
    if not torch.equal(short_PIO.to(panels_PIO.dtype).nan_to_num(), panels_PIO.nan_to_num()):
        return Panels("fp32", _in_huge_pages(panels_PIO.float()))
    return Panels("bf16", _in_huge_pages(torch.stack(short_PIO.chunk(2, dim=-1), dim=-1).flatten(2)))


def int8_panels(whole_OI: Tensor, scale_O: Tensor) -> Panels:
    """Lay a rounded weight out.

    Args:
        whole_OI: (O, I) int8, O a multiple of PANEL.
        scale_O: what makes them real.
    """
    return Panels("int8", _in_huge_pages(_panels(whole_OI)), scale_O.float().contiguous())


def int4_panels(rounded: Int4) -> Panels:
    """Lay a weight of nibbles out: for each group of inputs a panel's multipliers, then two inputs in a row of bytes.

    Args:
        rounded: of O outputs, a multiple of PANEL, and groups of GROUP inputs.
    """
    outputs, groups = rounded.multiplier_OG.shape
    nibble_PGi2O = _panels(rounded.whole_OI & 15).view(outputs // PANEL, groups, GROUP // 2, 2, PANEL)
    rows_PGb = (nibble_PGi2O[:, :, :, 0] | nibble_PGi2O[:, :, :, 1] << 4).flatten(2)
    multiplier_PGO = _panels(rounded.multiplier_OG)
    return Panels("int4", _in_huge_pages(torch.cat((multiplier_PGO, rows_PGb), dim=-1)), rounded.scale_O.float())


def panel_bytes(outputs: int, inputs: int, kind: Kind) -> int:
    """Bytes of a matrix in panels."""
    match kind:
        case "fp32":
            return outputs * inputs * 4
        case "bf16":
            return outputs * inputs * 2
        case "int8":
            return outputs * inputs + 4 * outputs
        case "int4":
            return outputs * inputs // GROUP * (1 + GROUP // 2) + 4 * outputs


def fits(config: HrmConfig) -> bool:
    """Say whether a network's matrices are made of whole panels, and so are the heads in them."""
    return not any(size % PANEL for size in (config.hidden_size, config.head_dim, config.intermediate_size))


def _panels(weight_OI: Tensor) -> Tensor:
    """(P, I, PANEL): for each panel of outputs and each input its weights."""
    padded_OI = torch.nn.functional.pad(weight_OI, (0, 0, 0, -len(weight_OI) % PANEL))
    return padded_OI.view(-1, PANEL, padded_OI.shape[1]).transpose(1, 2)


def _in_huge_pages(tensor: Tensor) -> Tensor:
    """A copy that the system may put into pages of 2 MB, which take fewer walks to find while all of it is read."""
    # Private: what is shared gets no such pages.
    memory = mmap(-1, tensor.numel() * tensor.element_size(), flags=MAP_PRIVATE | MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel that was built without them
        memory.madvise(MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=tensor.dtype).view(tensor.shape).copy_(tensor)
