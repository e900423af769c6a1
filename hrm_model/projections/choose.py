"""Which projection stands in for a weight, and what it takes. Everything but nn.Linear is for CPUs."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from hrm_model.compiled.panels import Kind, int4_panels, int8_panels, packed_panels, panel_bytes
from hrm_model.config import HrmConfig
from hrm_model.projections.int4 import GROUP, Int4Linear, Unpacker, block_outputs, rounded_to_int4
from hrm_model.projections.int8 import Int8Linear, has_int8_products, rounded_to_int8, widest_weight
from hrm_model.projections.packed import PackedLinear, can_pack
from hrm_model.projections.panelled import PanelledLinear
from hrm_model.projections.widened import Scratch, WidenedLinear, can_multiply

Weights = Literal["auto", "int8", "int4"]
Panelled = Literal["no", "beside", "alone"]  # whether weights are in panels, beside torch's own copy or without one
Project = Callable[[Tensor], nn.Module]  # an (O, I) weight -> what is called with (T, I) and returns (T, O)


def check_weights(weights: str, device: str) -> Weights:
    """Return `weights`, which can be had on `device`.

    Raises:
        ValueError: the name is unknown, the device is no CPU, or torch lacks the products for this one.
    """
    for known in get_args(Weights):
        if weights == known:
            if known != "auto" and not device.startswith("cpu"):
                raise ValueError(f"weights are {known}, which run on a CPU only; device is {device}")
            if known != "auto":
                widest_weight()
            if known == "int4":
                block_outputs()
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise ValueError(f"weights are {weights!r}; expected one of {', '.join(get_args(Weights))}")


def torch_reads_faster(weights: Weights, dtype: torch.dtype) -> bool:
    """Say whether torch multiplies many rows faster on this CPU than the compiled step does in fp32."""
    match weights:
        case "auto":
            return can_multiply(dtype)
        case "int8":
            return True
        case "int4":
            return has_int8_products()


def projections(weights: Weights, dtype: torch.dtype, device: str, panels: Panelled = "no") -> Project | None:
    """Choose what makes the projections of one network; None leaves nn.Linear.

    Args:
        weights: as `check_weights` returns it.
        dtype: of activations, and of weights that stay as they are.
        device: where they run.
        panels: whether the compiled step will read them, too, or alone.
    """
    if panels != "no":
        return _in_panels(weights, dtype, is_alone=panels == "alone")
    match weights:
        case "auto":
            return _unrounded(dtype, device)
        case "int8":
            return Int8Linear.of
        case "int4":
            unpacker = Unpacker()
            return lambda weight_OI: Int4Linear.of(weight_OI, dtype, unpacker)


def _unrounded(dtype: torch.dtype, device: str) -> Project | None:
    if not device.startswith("cpu"):
        return None
    if not can_multiply(dtype):
        scratch = Scratch()
        return lambda weight_OI: WidenedLinear(weight_OI, dtype, scratch)
    return PackedLinear if can_pack(dtype) else None


def _in_panels(weights: Weights, dtype: torch.dtype, *, is_alone: bool) -> Project:
    whole, unpacker = _unrounded(dtype, "cpu"), Unpacker()

    def unrounded(weight_OI: Tensor) -> PanelledLinear:
        panels = packed_panels(weight_OI.to(dtype))
        if is_alone:
            return PanelledLinear(panels)
        assert whole is not None, "there are panels in bf16 on a CPU, where torch has projections of ours"
        return PanelledLinear(panels, whole(weight_OI))

    def in_int8(weight_OI: Tensor) -> PanelledLinear:
        whole_OI, scale_O = rounded_to_int8(weight_OI)
        return PanelledLinear(int8_panels(whole_OI, scale_O), None if is_alone else Int8Linear(whole_OI, scale_O))

    def in_int4(weight_OI: Tensor) -> PanelledLinear:
        rounded = rounded_to_int4(weight_OI)
        panels = int4_panels(rounded.first(len(weight_OI)))
        return PanelledLinear(panels, None if is_alone else Int4Linear(rounded, weight_OI.shape, dtype, unpacker))

    makers: dict[Weights, Project] = {"auto": unrounded, "int8": in_int8, "int4": in_int4}
    return makers[weights]


def stack_panel_bytes(config: HrmConfig, weights: Weights) -> int:
    """Bytes of one stack's projections in panels."""
    kind: Kind = "bf16" if weights == "auto" else weights
    return config.layers_per_stack * sum(panel_bytes(outputs, inputs, kind) for outputs, inputs in _shapes(config))


def stack_bytes(config: HrmConfig, weights: Weights, dtype: torch.dtype) -> int:
    """Bytes of one stack's projections."""
    return config.layers_per_stack * sum(_bytes(outputs, inputs, weights, dtype) for outputs, inputs in _shapes(config))


def _shapes(config: HrmConfig) -> tuple[tuple[int, int], ...]:
    """(O, I) of a layer's projections."""
    inner, width, feed = config.num_heads * config.head_dim, config.hidden_size, config.intermediate_size
    return ((4 * inner, width), (width, inner), (2 * feed, width), (width, feed))


def _bytes(outputs: int, inputs: int, weights: Weights, dtype: torch.dtype) -> int:
    if weights == "auto":
        return outputs * inputs * dtype.itemsize
    if weights == "int8":
        return outputs * inputs + 12 * outputs
    padded, groups = outputs + -outputs % block_outputs(), -(-inputs // GROUP)
    kind = 2 if dtype is torch.bfloat16 else 4
    return padded * groups * GROUP // 2 + padded * groups * 2 * kind + padded * kind
