"""Numbers to small whole numbers and a scale: the reference arithmetic of int8 and int4. Knows no kernel.

Dimensions of a projection, beside those of hrm_model/config.py: O outputs, I inputs, G groups of inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

WIDEST = 127  # of a signed byte, symmetric
_CHUNK = 131_072  # elements rounded at once: what stays in a core's L2 cache, every intermediate included
_STEPS = 15  # multipliers of an int4 group, either sign
_DEEPEST = -8  # of a signed nibble


def round_rows(x_TI: Tensor, widest: int = WIDEST, *, kind: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Round each row to whole numbers of its own scale, whatever the other rows hold.

    Args:
        x_TI: (T, I) floating point; activations, or a weight whose rows are output channels.
        widest: the largest magnitude of a whole number.
        kind: dtype of the scales; None: bf16 for bf16, else fp32.

    Returns:
        (T, I) int8, and (T, 1) scales. A row with a NaN or an infinity has a scale that is
        not finite, so that its products are none either.
    """
    if kind is None:
        kind = torch.bfloat16 if x_TI.dtype is torch.bfloat16 else torch.float32
    whole_TI = torch.empty(x_TI.shape, dtype=torch.int8, device=x_TI.device)
    scale_T1 = torch.empty(len(x_TI), 1, dtype=kind, device=x_TI.device)
    rows = max(1, _CHUNK // max(1, x_TI.shape[1]))
    for x, whole, scale in zip(*(torch.split(each, rows) for each in (x_TI, whole_TI, scale_T1)), strict=True):
        wide = x.to(torch.float32, copy=True)
        largest = wide.abs().amax(-1, keepdim=True)
        # Divided by as it is kept: the scale that divides is the scale that will multiply.
        scale.copy_(largest.div_(widest).clamp_(min=torch.finfo(torch.float32).tiny))
        whole.copy_(wide.div_(scale.float()).round_())
    return whole_TI, scale_T1


@dataclass(frozen=True, slots=True)
class Int4:
    """A weight of nibbles, in two levels: whole_OI * multiplier_OG is an int8 weight, and scale_O makes it real.

    So that int8 products may be used for int4 weights too, a group's scale is a small whole number of its channel's
    (the second level of QServe, arXiv 2405.04532, by other means).
    """

    whole_OI: Tensor  # int8, -8 to 7
    multiplier_OG: Tensor  # int8, never 0
    scale_O: Tensor  # fp32, each exact in bf16 as well

    def first(self, outputs: int) -> "Int4":
        """The first of its outputs."""
        return Int4(self.whole_OI[:outputs], self.multiplier_OG[:outputs], self.scale_O[:outputs])

    @property
    def int8_OI(self) -> Tensor:
        """The int8 weight."""
        grouped_OGg = self.whole_OI.view(*self.multiplier_OG.shape, -1)
        return (grouped_OGg * self.multiplier_OG[:, :, None]).flatten(1)


def round_groups(weight_OI: Tensor, group: int, steps: int = _STEPS) -> Int4:
    """Round a weight to nibbles, `group` inputs sharing a multiplier.

    The largest magnitude of a group becomes -8 with a multiplier of the sign that makes it so, and of the multipliers
    next to that one the best is taken: 8 % less error than rounding to it.

    Args:
        weight_OI: (O, I) floating point, I a multiple of `group`.
        steps: the largest multiplier; 15 makes int8 weights up to 120.
    """
    groups_OGg = weight_OI.float().view(len(weight_OI), -1, group)
    extreme_OG1 = groups_OGg.gather(-1, groups_OGg.abs().argmax(-1, keepdim=True))
    wanted_OG1 = extreme_OG1 / _DEEPEST
    scale_O11 = (wanted_OG1.abs().amax(1, keepdim=True) / steps).clamp_(min=torch.finfo(torch.float32).tiny)
    scale_O11 = scale_O11.bfloat16().float()  # before anything is rounded by it, so that bf16 arithmetic loses nothing
    sign_OG1 = torch.where(wanted_OG1 < 0, -1.0, 1.0)
    nearest_OG1 = (wanted_OG1 / scale_O11).abs_().round_()
    best_OG1 = whole_OGg = error_OG1 = None
    for step in (0, -1, 1):
        multiplier_OG1 = (nearest_OG1 + step).clamp_(1, steps) * sign_OG1
        unit_OG1 = multiplier_OG1 * scale_O11
        tried_OGg = (groups_OGg / unit_OG1).round_().clamp_(_DEEPEST, -_DEEPEST - 1)
        tried_error_OG1 = (tried_OGg * unit_OG1).sub_(groups_OGg).square_().sum(-1, keepdim=True)
        if best_OG1 is None or whole_OGg is None or error_OG1 is None:
            best_OG1, whole_OGg, error_OG1 = multiplier_OG1, tried_OGg, tried_error_OG1
            continue
        is_better_OG1 = tried_error_OG1 < error_OG1
        best_OG1 = torch.where(is_better_OG1, multiplier_OG1, best_OG1)
        whole_OGg = torch.where(is_better_OG1, tried_OGg, whole_OGg)
        error_OG1 = torch.where(is_better_OG1, tried_error_OG1, error_OG1)
    assert best_OG1 is not None
    assert whole_OGg is not None
    return Int4(whole_OGg.flatten(1).to(torch.int8), best_OG1.flatten(1).to(torch.int8), scale_O11.flatten())
