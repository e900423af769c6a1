"""Whether steps run compiled, which the log says."""

import logging

import torch

from hrm_model.cache import KvCache, PagedCache
from hrm_model.compiled.step import CompiledStep, loaded, objection
from hrm_model.model import HrmText
from hrm_model.placement import SMALL_PARAMETERS

MOST_THREADS = 8  # a small network's matrices have no work for more, and all wait for each other many times a step

log = logging.getLogger(__name__)


def compiled_step(model: HrmText, cache: KvCache) -> CompiledStep | None:
    """The compiled step for a small network in fp32, on torch's number of threads or 8; None leaves steps to torch.

    A large network's steps are spent in its products, and its weights would be held twice: once for torch.
    """
    reason = objection(model, cache)
    if reason is None and model.config.parameters >= SMALL_PARAMETERS:
        reason = "the network is large"
    if reason is None:
        try:
            loaded()
        except OSError as error:
            reason = str(error)
    if reason is not None:
        log.info("steps run on torch: %s", reason)
        return None
    assert isinstance(cache, PagedCache)
    threads = min(torch.get_num_threads(), MOST_THREADS)
    step = CompiledStep(model, cache, threads=threads)
    log.info("steps run compiled, on %d threads, in vectors of %d bits", threads, 512 if step.is_wide else 256)
    return step
