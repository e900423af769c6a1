"""hrm_model.runner: a step reads what its own sequences have written, and nothing else of the cache.

Its numbers are held against transformers in tests/parity/test_transformers.py.
"""

import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.runner import Runner
from hrm_model.scheduler import Sequence
from hrm_model.types import Sampling
from tests.engines import CONFIG, Tiny

PAGES = 12


def logits_of_three_steps(tiny: Tiny, left_behind: float) -> Tensor:
    """Three sequences of different lengths, one of them with given answer tokens, in a cache that was in use before."""
    cache = PagedCache(CONFIG, PAGES, dtype=torch.float32, device="cpu")
    cache.key.fill_(left_behind)
    cache.value.fill_(left_behind)
    runner = Runner(tiny.model, cache, "cpu")
    # Page 0 is nobody's: padding that pointed there would meet what was left behind.
    shapes = ((5, 5, [3, 9]), (40, 40, [7, 1, 5]), (30, 21, [2, 8, 4]))
    batch = [
        Sequence(number, 0, [9 + number] * length, length, prefix, Sampling(), 8, pages)
        for number, (length, prefix, pages) in enumerate(shapes)
    ]
    steps: list[Tensor] = []
    with torch.inference_mode():
        for token in (20, 21, 22):
            steps.append(runner.forward(batch))
            for sequence in batch:
                sequence.ids.append(token)
    return torch.stack(steps)


def test_what_others_have_left_in_the_cache_is_never_read(tiny: Tiny) -> None:
    clean = logits_of_three_steps(tiny, 0.0)

    assert torch.equal(logits_of_three_steps(tiny, float("nan")), clean)
    assert clean.std() > 0.1
