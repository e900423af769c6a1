"""Whether steps run compiled, or as CUDA graphs, which the log says."""

import logging

import torch

from hrm_model.cache import KvCache, PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.library import library
from hrm_model.compiled.step import CompiledStep, objection
from hrm_model.graphed import MOST_TOKENS, GraphedStep
from hrm_model.model import HrmText
from hrm_model.placement import SMALL_PARAMETERS

MOST_THREADS = 8  # a small network's matrices have no work for more, and all wait for each other many times a step
MOST_BESIDE_TILES = 8  # tokens: so many wait for the weights, more for products, which AMX makes several times as fast

log = logging.getLogger(__name__)


def compiled_step(model: HrmText, cache: KvCache) -> CompiledStep | GraphedStep | None:
    """The step that `step_and_reason` gives; the log says which, and why."""
    step, how = step_and_reason(model, cache)
    log.info("%s", how)
    return step


def step_and_reason(model: HrmText, cache: KvCache) -> tuple[CompiledStep | GraphedStep | None, str]:
    """CUDA graphs; on a CPU the compiled step for a small network in fp32, or one in bf16 in panels; or torch alone.

    The compiled step has as many threads as torch, a small network's at most 8. A large network in fp32 would be held
    twice, and in fp32.

    Returns:
        The step, and in words how steps run.
    """
    if model.model.embed_tokens.weight.is_cuda and type(cache) is PagedCache:
        return GraphedStep(model, cache), f"steps of up to {MOST_TOKENS} tokens run as CUDA graphs, others on torch"
    is_small, dtype = model.config.parameters < SMALL_PARAMETERS, model.model.embed_tokens.weight.dtype
    reason = objection(model, cache)
    if reason is None and not is_small and dtype is torch.float32:
        reason = "the network is large"
    if reason is not None:
        return None, f"steps run on torch: {reason}"
    assert isinstance(cache, PagedCache | Int8Cache)
    threads = min(torch.get_num_threads(), MOST_THREADS) if is_small else torch.get_num_threads()
    few = MOST_BESIDE_TILES if library().hrm_has_tiles() and dtype is torch.bfloat16 else None
    step = CompiledStep(model, cache, threads=threads, most_tokens=few)
    what = "steps run" if step.reads_prompts else "answers are written"
    return step, f"{what} compiled, on {threads} threads, in vectors of {512 if step.is_wide else 256} bits"
