"""How a checkpoint is held: on which device, in which number formats, with how much cache."""

import re
from dataclasses import dataclass
from typing import Literal

import torch

from hrm_model.cache import KvCache, PagedCache
from hrm_model.cache_int8 import SCALE, Int8Cache
from hrm_model.compiled.panels import panel_bytes
from hrm_model.config import HrmConfig
from hrm_model.free_memory import free_memory
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.projections.choose import (
    Panelled,
    Weights,
    check_weights,
    stack_bytes,
    stack_panel_bytes,
    torch_reads_faster,
)
from hrm_model.projections.panelled import can_panel

KvDtype = Literal["auto", "int8"]

SMALL_PARAMETERS = 100_000_000  # below this, fp32 on a CPU costs little memory and no time, and is exact
_SLICE_TOKENS, _SLICE_TOKENS_SMALL, _SLICE_TOKENS_ALONE = 64, 256, 16  # see `default_slice_tokens`
_DEVICE = re.compile(r"cpu|cuda(:\d+)?", re.ASCII)
_MEMORY_SHARE = 0.25  # of free memory, at most: for the cache, unless a size is given, and for a second copy of weights


@dataclass(frozen=True, slots=True)
class Placement:
    """How a checkpoint will be held."""

    device: str
    dtype: torch.dtype  # of activations, and of weights that are not rounded
    weights: Weights
    kv_dtype: KvDtype
    pages: int
    panels: Panelled = "no"  # whether the stacks' weights are held as the compiled step reads them

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.pages * PAGE_TOKENS

    def cache(self, config: HrmConfig, pages: int | None = None) -> KvCache:
        """Make the cache, or one of so many pages."""
        count = self.pages if pages is None else pages
        kind = Int8Cache if self.kv_dtype == "int8" else PagedCache
        return kind(config, count, dtype=self.dtype, device=self.device)

    def kv_token_bytes(self, config: HrmConfig) -> int:
        """Bytes of cache that a token takes."""
        return kv_token_bytes(config, self.dtype, self.kv_dtype)

    def step_bytes(self, config: HrmConfig) -> int:
        """Bytes of weights that a decode step reads: each pass its stack once, and the head at the end."""
        head = config.vocab_size * config.hidden_size * self.dtype.itemsize
        return config.passes * self._stack_bytes(config, for_torch=self.panels == "no") + head

    def weight_bytes(self, config: HrmConfig) -> int:
        """Bytes of all weights; embedding, head and z_L_init are never rounded."""
        others = config.parameters - 2 * config.stack_parameters
        held = others * self.dtype.itemsize
        if self.panels != "alone":
            held += 2 * self._stack_bytes(config, for_torch=True)
        return held if self.panels == "no" else held + _panel_bytes(config, self.weights)

    def _stack_bytes(self, config: HrmConfig, *, for_torch: bool) -> int:
        return stack_bytes(config, self.weights, self.dtype) if for_torch else stack_panel_bytes(config, self.weights)


def kv_token_bytes(config: HrmConfig, dtype: torch.dtype, kv_dtype: KvDtype) -> int:
    """Bytes of K and V that one token occupies over all slots; int8 ones have a scale for each head."""
    if kv_dtype == "int8":
        return config.kv_bytes_per_token(1) + 2 * config.slots * config.num_heads * SCALE.itemsize
    return config.kv_bytes_per_token(dtype.itemsize)


def _panel_bytes(config: HrmConfig, weights: Weights) -> int:
    """Bytes of what is in panels: the stacks' projections, and the head."""
    return 2 * stack_panel_bytes(config, weights) + panel_bytes(config.vocab_size, config.hidden_size, "bf16")


def default_slice_tokens(config: HrmConfig, panels: Panelled = "no") -> int:
    """Prompt tokens whose reading may hold up one step of those who write.

    A small network reads 256 tokens in the time of a few of its steps, and a usual prompt then joins the others' step
    whole. A large one is busy with 64 for as long as with a step or two; where the CPU has no products of 16 bits for
    them, for as long as with a dozen, and with 16 for as long as with three.
    """
    if config.parameters < SMALL_PARAMETERS:
        return _SLICE_TOKENS_SMALL
    return _SLICE_TOKENS_ALONE if panels == "alone" else _SLICE_TOKENS


def place(
    config: HrmConfig,
    *,
    dtype: str,
    device: str,
    kv_bytes: int | None,
    max_running: int,
    weights: str = "auto",
    kv_dtype: str = "auto",
) -> Placement:
    """Decide device, number formats and cache size.

    Args:
        dtype: "auto", "bfloat16", "float16" or "float32". Auto is the checkpoint's own, or fp32 for small networks on a
            CPU, unless their rounded weights are read compiled in bf16.
        device: "auto", "cpu", "cuda" or "cuda:N". Auto is CUDA where torch sees one.
        kv_bytes: the cache's size; None takes what `max_running` full contexts need, at most a quarter of the
            memory that is free now.
        weights: of the stacks' projections: "int8", "int4", or "auto", which leaves them in `dtype`.
        kv_dtype: "int8", or "auto", which keeps keys and values in `dtype`.

    Raises:
        ValueError: the device is not there or cannot have what is asked, or the cache would not hold a single page.
    """
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if not _DEVICE.fullmatch(where):
        raise ValueError(f"device is {device!r}; expected auto, cpu, cuda, or one of several as cuda:1")
    if where.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device}, but torch sees no CUDA device")
    chosen, kv = check_weights(weights, where), _check_kv(kv_dtype, where)
    kind = _auto_dtype(config, where, chosen) if dtype == "auto" else getattr(torch, dtype)
    page_bytes = kv_token_bytes(config, kind, kv) * PAGE_TOKENS
    wanted = max_running * pages_for(config.max_position_embeddings)
    pages = (
        min(wanted, int(free_bytes(where) * _MEMORY_SHARE) // page_bytes)
        if kv_bytes is None
        else (kv_bytes // page_bytes)
    )
    if pages < 1:
        room = "a quarter of the free memory" if kv_bytes is None else f"a cache of {kv_bytes} bytes"
        raise ValueError(f"{room} holds no page of cache; one takes {page_bytes} bytes")
    panels: Panelled = "no"
    if where == "cpu" and can_panel(config, kind, in_int4=chosen == "int4"):
        panels = _panels(config, kind, chosen)
    return Placement(where, kind, chosen, kv, pages, panels)


def _auto_dtype(config: HrmConfig, device: str, weights: Weights) -> torch.dtype:
    own: torch.dtype = getattr(torch, config.dtype)
    if device != "cpu" or config.parameters >= SMALL_PARAMETERS:
        return own
    # In fp32 rounded weights are multiplied by torch alone, which takes more than ten times as long for few rows.
    is_read = weights != "auto" and can_panel(config, own, in_int4=weights == "int4")
    return own if is_read else torch.float32


def _panels(config: HrmConfig, dtype: torch.dtype, weights: Weights) -> Panelled:
    """Choose where the compiled step takes a network, from what is free and who is faster."""
    if not torch_reads_faster(weights, dtype):
        return "alone"
    return "beside" if _panel_bytes(config, weights) <= free_bytes("cpu") * _MEMORY_SHARE else "no"


def _check_kv(kv_dtype: str, device: str) -> KvDtype:
    if kv_dtype == "auto":
        return "auto"
    if kv_dtype != "int8":
        raise ValueError(f"kv_dtype is {kv_dtype!r}; expected one of auto, int8")
    if not device.startswith("cpu"):
        raise ValueError(f"kv_dtype is int8, which runs on a CPU only; device is {device}")
    return "int8"


def free_bytes(device: str) -> int:
    """Memory of a device that could be taken now."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()
