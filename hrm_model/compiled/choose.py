"""Whether steps run compiled, which the log says."""

import logging

import torch

from hrm_model.cache import KvCache, PagedCache
from hrm_model.compiled.step import CompiledStep, loaded, objection
from hrm_model.model import HrmText
from hrm_model.placement import SMALL_PARAMETERS

log = logging.getLogger(__name__)


def compiled_step(model: HrmText, cache: KvCache) -> CompiledStep | None:
    """The compiled step for a small network in fp32, on as many threads as torch has; None leaves steps to torch.

    A large network's steps are spent in its products, and its weights would be held twice: torch reads the prompts.
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
    log.info("steps run compiled, on %d threads", torch.get_num_threads())
    return CompiledStep(model, cache, threads=torch.get_num_threads())
