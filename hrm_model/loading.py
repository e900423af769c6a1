"""From a checkpoint folder to a running native engine."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hrm_model.cache import KvCache
from hrm_model.compiled.choose import compiled_step
from hrm_model.compiled.step import CompiledStep
from hrm_model.config import HrmConfig, read_config
from hrm_model.engine import NativeEngine
from hrm_model.errors import CheckpointError
from hrm_model.graphed import GraphedStep
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS
from hrm_model.placement import Placement, default_slice_tokens, place
from hrm_model.projections.choose import projections
from hrm_model.runner import Runner
from hrm_model.scheduler import Scheduler
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.types import Limits
from hrm_model.weights import load_model

DEFAULT_MAX_TOKENS = 512
DRAFT_TOKENS = 8  # guessed ahead for one sequence in one step
PREFILL_TOKENS = 4096  # of prompts that are read together while nobody writes
KEPT_SHARE = 0.5  # of the cache, for prompts that may be asked again, unless a size is given


def load_engine(
    folder: Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    kv_bytes: int | None = None,
    max_running: int = 64,
    max_waiting: int = 256,
    draft_tokens: int = DRAFT_TOKENS,
    slice_tokens: int | None = None,
    kept_bytes: int | None = None,
    weights: str = "auto",
    kv_dtype: str = "auto",
) -> NativeEngine:
    """Load a checkpoint and build its engine; `start()` begins serving.

    Args:
        slice_tokens: prompt tokens whose reading may hold up one step of those who write; None takes what suits the
            network's size.
        kept_bytes: of the cache, for prompts that may be asked again; they make way for whoever needs pages. None
            takes half of it, 0 keeps nothing.
        weights, kv_dtype: see `place`, as of `dtype`, `device`, `kv_bytes` and `max_running`.

    Raises:
        CheckpointError: the folder cannot be served.
        ValueError: see `place`.
    """
    config = read_config(folder)
    tokenizer = load_tokenizer(folder)
    check_vocabulary(folder, config, tokenizer)
    placement = place(
        config,
        dtype=dtype,
        device=device,
        kv_bytes=kv_bytes,
        max_running=max_running,
        weights=weights,
        kv_dtype=kv_dtype,
    )
    # In a thread that ends. OpenMP counts the workers of every thread that ever computed, and once they are more than
    # there are cores, all of them sleep between two operations; a small network's steps then take three times as long.
    with ThreadPoolExecutor(1) as apart:
        model = apart.submit(load_placed, folder, placement).result()
        cache = placement.cache(config)
        compiled = apart.submit(compiled_step, model, cache).result()
    return build_engine(
        model,
        cache,
        compiled,
        tokenizer,
        placement,
        max_running=max_running,
        max_waiting=max_waiting,
        draft_tokens=draft_tokens,
        slice_tokens=slice_tokens or default_slice_tokens(config, placement.panels),
        kept_pages=_kept_pages(config, placement, kept_bytes),
    )


def load_placed(folder: Path, placement: Placement) -> HrmText:
    """Load a checkpoint's network as it was placed.

    Raises:
        CheckpointError: see `load_model`.
    """
    project = projections(placement.weights, placement.dtype, placement.device, placement.panels)
    return load_model(folder, dtype=placement.dtype, device=placement.device, project=project)


def build_engine(
    model: HrmText,
    cache: KvCache,
    compiled: CompiledStep | GraphedStep | None,
    tokenizer: Tokenizer,
    placement: Placement,
    *,
    max_running: int,
    max_waiting: int,
    draft_tokens: int,
    slice_tokens: int,
    kept_pages: int,
) -> NativeEngine:
    """Put scheduler, runner and engine together around a loaded network and its cache."""
    config = model.config
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
    runner = Runner(model, cache, placement.device, compiled)
    return NativeEngine(runner, scheduler, tokenizer, limits, draft_tokens=draft_tokens)


def check_vocabulary(folder: Path, config: HrmConfig, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer with ids that the embedding does not have; padding beyond the tokenizer's is fine."""
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            folder, f"the tokenizer has {tokenizer.vocab_size} ids, the embedding only {config.vocab_size} rows"
        )


def _kept_pages(config: HrmConfig, placement: Placement, kept_bytes: int | None) -> int:
    if kept_bytes is None:
        return int(KEPT_SHARE * placement.pages)
    return kept_bytes // (placement.kv_token_bytes(config) * PAGE_TOKENS)
