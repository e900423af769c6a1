"""Weights as step.c reads them."""

from contextlib import suppress
from mmap import MADV_HUGEPAGE, mmap

import torch
from torch import Tensor

PANEL = 16  # outputs whose weights lie side by side


def packed_panels(weight_OI: Tensor) -> Tensor:
    """Lay a weight out as step.c reads it: in bf16 where that says the same, else in fp32.

    Args:
        weight_OI: (O, I) floating point.

    Returns:
        (P, I, PANEL): for each panel of outputs and each input its weights. Past the last output there are zeros. In
        bf16 the panel's two halves are zipped, so that each pair makes one 32-bit number.
    """
    padded_OI = torch.nn.functional.pad(weight_OI, (0, 0, 0, -len(weight_OI) % PANEL))
    panels_PIO = padded_OI.view(-1, PANEL, padded_OI.shape[1]).transpose(1, 2)
    short_PIO = panels_PIO.bfloat16()
    if not torch.equal(short_PIO.to(panels_PIO.dtype), panels_PIO):
        return _in_huge_pages(panels_PIO.float())
    return _in_huge_pages(torch.stack(short_PIO.chunk(2, dim=-1), dim=-1).flatten(2))


def _in_huge_pages(tensor: Tensor) -> Tensor:
    """A copy that the system may put into pages of 2 MB, which take fewer walks to find while all of it is read."""
    memory = mmap(-1, tensor.numel() * tensor.element_size())
    with suppress(OSError):  # a kernel that was built without them
        memory.madvise(MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=tensor.dtype).view(tensor.shape).copy_(tensor)
