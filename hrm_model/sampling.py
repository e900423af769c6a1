"""Logits to ids. A draw depends on (seed, choice, position) alone, so that no batch can change it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hrm_model.types import Sampling


@dataclass(frozen=True, slots=True)
class Draw:
    """What one row of logits is asked for. `position` counts the answer's tokens from 0."""

    sampling: Sampling
    seed: int
    choice: int
    position: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token, and, where asked for, log-probabilities (natural log, before temperature and filters)."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class NotFinite(ArithmeticError):
    """A row of logits that holds NaN or infinity, or nothing but minus infinity."""


def draw(logits_BV: Tensor, draws: Sequence[Draw]) -> list[Drawn | NotFinite]:
    """Draw one token per row.

    Args:
        logits_BV: (B, V) of any float dtype; read as fp32.
        draws: B of them.

    Returns:
        B results in order; a row that cannot be drawn from yields its error and leaves the others alone.
    """
    logits_BV = logits_BV.float().cpu()
    finite_B = torch.isfinite(logits_BV).all(-1).tolist()
    greedy_B = logits_BV.argmax(-1).tolist()
    results: list[Drawn | NotFinite] = []
    for row, (one, finite, likeliest) in enumerate(zip(draws, finite_B, greedy_B, strict=True)):
        if not finite:
            results.append(NotFinite("the model's logits are not finite"))
            continue
        token = likeliest if one.sampling.temperature == 0 else _sample(logits_BV[row], one)
        results.append(_with_logprobs(logits_BV[row], token, one.sampling))
    return results


def uniform(seed: int, choice: int, position: int) -> float:
    """A number in [0, 1) that is a function of its three arguments (Philox, a counter-based generator)."""
    # Without the dtype, numpy casts a list with a number past 2**63 through float64, and neighbouring seeds collide.
    key = np.array([seed & (2**64 - 1), choice], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key, counter=position))
    return float(generator.random())


def _sample(logits_V: Tensor, one: Draw) -> int:
    """Temperature, then top_k, then top_p, then the inverse of the cumulative distribution."""
    sampling = one.sampling
    # The largest becomes 0 first, so that dividing by a temperature next to 0 gives minus infinity and never NaN.
    below_V = logits_V.double() - logits_V.max()
    scaled_V, order_V = torch.sort(below_V / sampling.temperature, descending=True, stable=True)
    if sampling.top_k:
        scaled_V, order_V = scaled_V[: sampling.top_k], order_V[: sampling.top_k]
    cumulative_V = torch.softmax(scaled_V, -1).cumsum(-1)
    if sampling.top_p < 1:
        # The likeliest tokens whose mass reaches top_p, and always one.
        kept = int((cumulative_V < sampling.top_p).sum()) + 1
        cumulative_V = cumulative_V[:kept]
    aim = uniform(one.seed, one.choice, one.position) * float(cumulative_V[-1])
    at = min(int(torch.searchsorted(cumulative_V, aim, right=True)), len(cumulative_V) - 1)
    return int(order_V[at])


def _with_logprobs(logits_V: Tensor, token: int, sampling: Sampling) -> Drawn:
    if sampling.logprobs is None:
        return Drawn(token)
    logprob_V = torch.log_softmax(logits_V, -1)
    values, indices = torch.topk(logprob_V, min(sampling.logprobs, len(logprob_V)))
    return Drawn(token, float(logprob_V[token]), tuple(zip(indices.tolist(), values.tolist(), strict=True)))
