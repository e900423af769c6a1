"""From a checkpoint folder to a running native engine: dtype, cache size and limits are decided here."""

from dataclasses import dataclass
from pathlib import Path

import torch

from hrm_model.cache import PagedCache
from hrm_model.config import HrmConfig, read_config
from hrm_model.engine import NativeEngine
from hrm_model.errors import CheckpointError
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.runner import Runner
from hrm_model.scheduler import Scheduler
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.types import Limits
from hrm_model.weights import load_model

DEFAULT_MAX_TOKENS = 512
DRAFT_TOKENS = 8  # guessed ahead for one sequence in one step
PREFILL_TOKENS = 4096  # of prompts that are read together while nobody writes
SLICE_TOKENS = 64  # of prompts whose reading may hold up one step of those who write
KEPT_SHARE = 0.5  # of the cache, for prompts that may be asked again, unless a size is given
_SMALL_PARAMETERS = 100_000_000  # below this, fp32 on a CPU costs little memory and no time, and is exact
_MEMORY_SHARE = 0.25  # of free memory, for the cache, unless a size is given


@dataclass(frozen=True, slots=True)
class Placement:
    """How a checkpoint will be held: where, in which dtype, with how many pages of cache."""

    device: str
    dtype: torch.dtype
    pages: int

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.pages * PAGE_TOKENS


def place(config: HrmConfig, *, dtype: str, device: str, kv_bytes: int | None, max_running: int) -> Placement:
    """Decide dtype, device and cache size.

    Args:
        dtype: "auto", "bfloat16", "float16" or "float32". Auto is fp32 for small networks on a CPU, else the
            checkpoint's own.
        device: "auto", "cpu" or "cuda". Auto is CUDA where torch sees one.
        kv_bytes: the cache's size; None takes what `max_running` full contexts need, at most a quarter of the
            memory that is free now.

    Raises:
        ValueError: the device is not there, or the cache would not hold a single page.
    """
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if where.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device}, but torch sees no CUDA device")
    if dtype == "auto":
        is_small = where == "cpu" and config.parameters < _SMALL_PARAMETERS
        kind = torch.float32 if is_small else getattr(torch, config.dtype)
    else:
        kind = getattr(torch, dtype)
    page_bytes = config.kv_bytes_per_token(kind.itemsize) * PAGE_TOKENS
    wanted = max_running * pages_for(config.max_position_embeddings)
    pages = (
        min(wanted, int(_free_bytes(where) * _MEMORY_SHARE) // page_bytes)
        if kv_bytes is None
        else (kv_bytes // page_bytes)
    )
    if pages < 1:
        room = "a quarter of the free memory" if kv_bytes is None else f"a cache of {kv_bytes} bytes"
        raise ValueError(f"{room} holds no page of cache; one takes {page_bytes} bytes")
    return Placement(where, kind, pages)


def load_engine(
    folder: Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    kv_bytes: int | None = None,
    max_running: int = 64,
    max_waiting: int = 256,
    draft_tokens: int = DRAFT_TOKENS,
    slice_tokens: int = SLICE_TOKENS,
    kept_bytes: int | None = None,
) -> NativeEngine:
    """Load a checkpoint and build its engine; `start()` begins serving.

    Args:
        slice_tokens: prompt tokens whose reading may hold up one step of those who write.
        kept_bytes: of the cache, for prompts that may be asked again; they make way for whoever needs pages. None
            takes half of it, 0 keeps nothing.

    Raises:
        CheckpointError: the folder cannot be served.
        ValueError: see `place`.
    """
    config = read_config(folder)
    tokenizer = load_tokenizer(folder)
    check_vocabulary(folder, config, tokenizer)
    placement = place(config, dtype=dtype, device=device, kv_bytes=kv_bytes, max_running=max_running)
    model = load_model(folder, dtype=placement.dtype, device=placement.device)
    return build_engine(
        model,
        tokenizer,
        placement,
        max_running=max_running,
        max_waiting=max_waiting,
        draft_tokens=draft_tokens,
        slice_tokens=slice_tokens,
        kept_pages=_kept_pages(config, placement, kept_bytes),
    )


def build_engine(
    model: HrmText,
    tokenizer: Tokenizer,
    placement: Placement,
    *,
    max_running: int,
    max_waiting: int,
    draft_tokens: int,
    slice_tokens: int,
    kept_pages: int,
) -> NativeEngine:
    """Put scheduler, runner and engine together around a loaded network."""
    config = model.config
    cache = PagedCache(config, placement.pages, dtype=placement.dtype, device=placement.device)
    scheduler = Scheduler(
        placement.pages,
        max_running=max_running,
        max_waiting=max_waiting,
        prefill_tokens=PREFILL_TOKENS,
        slice_tokens=slice_tokens,
        kept_pages=kept_pages,
    )
    context = config.max_position_embeddings
    limits = Limits(
        context_tokens=context,
        kv_tokens=placement.kv_tokens,
        default_max_tokens=min(DEFAULT_MAX_TOKENS, context),
        max_context_tokens=config.max_context_tokens or context // 2,
        kv_bytes=cache.bytes,
    )
    return NativeEngine(Runner(model, cache, placement.device), scheduler, tokenizer, limits, draft_tokens=draft_tokens)


def check_vocabulary(folder: Path, config: HrmConfig, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer with ids that the embedding does not have; padding beyond the tokenizer's is fine."""
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            folder, f"the tokenizer has {tokenizer.vocab_size} ids, the embedding only {config.vocab_size} rows"
        )


def _kept_pages(config: HrmConfig, placement: Placement, kept_bytes: int | None) -> int:
    if kept_bytes is None:
        return int(KEPT_SHARE * placement.pages)
    return kept_bytes // (config.kv_bytes_per_token(placement.dtype.itemsize) * PAGE_TOKENS)


def _free_bytes(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    # Memory that only caches files counts as free: a checkpoint that was just copied here fills it.
    with Path("/proc/meminfo").open(encoding="ascii") as lines:
        available = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(available.split()[1]) * 1024
