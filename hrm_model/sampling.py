"""Logits to ids. A draw is a function of its row and of what was asked for it, so that no batch can change it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_model.endings import Allowed, Mask
from hrm_model.types import Sampling


@dataclass(frozen=True, slots=True)
class Draw:
    """What one row of logits is asked for. `position` counts the answer's tokens from 0.

    `prompt` and `answer` are the ids so far, `position` of them in the answer; the penalties look at them.
    `allowed` is what a grammar lets follow, of the tokenizer's tokens: ids beyond are padding, and not allowed.
    `given` is a token that stands in this place whatever is asked for; how likely it is can be told all the same.
    """

    sampling: Sampling
    seed: int
    choice: int
    position: int
    prompt: Sequence[int] = ()
    answer: Sequence[int] = ()
    allowed: Allowed | None = None
    given: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token, and, where asked for, log-probabilities.

    Those are natural logarithms of what the model itself said: before bias, penalties, temperature and filters.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class NotFinite(ArithmeticError):
    """A row of logits that holds NaN or infinity, or in which every token is forbidden."""


def draw(logits_BV: Tensor, draws: Sequence[Draw]) -> list[Drawn | NotFinite]:
    """Draw one token per row.

    Args:
        logits_BV: (B, V) of any float dtype; read as fp32.
        draws: B of them.

    Returns:
        B results in order; a row that cannot be drawn from yields its error and leaves the others alone.
    """
    logits_BV = logits_BV.float().cpu()
    finite_B = _are_finite(logits_BV)
    greedy_B = logits_BV.numpy().argmax(-1).tolist()  # ten times as fast as torch's
    return [
        _one(logits_BV[row], one, likeliest) if finite else NotFinite("the model's logits are not finite")
        for row, (one, finite, likeliest) in enumerate(zip(draws, finite_B, greedy_B, strict=True))
    ]


def uniforms(seed: int, choice: int, position: int, count: int) -> NDArray[np.float64]:
    """(count,) numbers in [0, 1), each a function of the first three arguments and of its place in them (Philox, a
    counter-based generator)."""
    # Without the dtype, numpy casts a list with a number past 2**63 through float64, and neighbouring seeds collide.
    key = np.array([seed & (2**64 - 1), choice], dtype=np.uint64)
    # The lowest word counts the numbers of one place.
    return np.random.Generator(np.random.Philox(key=key, counter=[0, position, 0, 0])).random(count)


def _are_finite(logits_BV: Tensor) -> list[bool]:
    """Say of each row whether all of it is finite. A finite sum says so at once; another may be an overflow."""
    sum_B = logits_BV.sum(-1).tolist()
    return [math.isfinite(total) or bool(logits_BV[row].isfinite().all()) for row, total in enumerate(sum_B)]


def _one(logits_V: Tensor, one: Draw, likeliest: int) -> Drawn | NotFinite:
    """Draw from a row whose largest logit stands at `likeliest`."""
    if one.given is not None:
        return _with_logprobs(logits_V, one.given, one.sampling)
    if _stays_likeliest(one, likeliest):
        return _with_logprobs(logits_V, likeliest, one.sampling)
    wished_V = _wished(logits_V, one)
    if wished_V is not logits_V:
        likeliest = int(wished_V.argmax())
        if wished_V[likeliest] == -torch.inf:
            return NotFinite("every token is forbidden")
    token = likeliest if one.sampling.temperature == 0 else _sample(wished_V, one)
    return _with_logprobs(logits_V, token, one.sampling)


def _stays_likeliest(one: Draw, likeliest: int) -> bool:
    """Whether a greedy draw can be seen without computing: all that is asked for lowers other tokens."""
    sampling = one.sampling
    if sampling.temperature != 0 or sampling.looks_back or one.allowed is not None:
        return False
    is_banned = one.position < sampling.min_tokens and likeliest in sampling.stop_token_ids
    return not is_banned and all(bias <= 0 and token != likeliest for token, bias in sampling.logit_bias)


def _wished(logits_V: Tensor, one: Draw) -> Tensor:
    """The logits after bias, penalties and bans, in double precision; the very same tensor where none are asked for."""
    sampling = one.sampling
    bans = one.position < sampling.min_tokens and bool(sampling.stop_token_ids) and not _has_to_close(one)
    repeats = sampling.repetition_penalty != 1
    if not (bans or sampling.looks_back or sampling.logit_bias or one.allowed is not None):
        return logits_V
    wished_V = logits_V.double()
    if sampling.logit_bias:
        tokens, biases = zip(*sampling.logit_bias, strict=True)
        wished_V.index_add_(0, torch.tensor(tokens), torch.tensor(biases, dtype=torch.float64))
    if sampling.looks_back:
        assert len(one.answer) == one.position, "penalties count the answer so far"
        counts_V = torch.bincount(torch.tensor(one.answer, dtype=torch.long), minlength=len(wished_V))
        if repeats:
            seen_V = counts_V + torch.bincount(torch.tensor(one.prompt, dtype=torch.long), minlength=len(wished_V)) > 0
            penalty = sampling.repetition_penalty
            wished_V = torch.where(seen_V, torch.where(wished_V > 0, wished_V / penalty, wished_V * penalty), wished_V)
        wished_V -= sampling.frequency_penalty * counts_V.double() + sampling.presence_penalty * (counts_V > 0).double()
    if bans:
        wished_V[torch.tensor(sampling.stop_token_ids)] = -torch.inf
    if one.allowed is not None:
        _keep_to(wished_V, one.allowed)
    return wished_V


def _keep_to(wished_V: Tensor, allowed: Allowed) -> None:
    """Forbid what a grammar does not let follow, in place, once its heirs have got what it had."""
    known = len(allowed.open)
    refused_V = ~torch.from_numpy(allowed.open)
    if allowed.leaning is not None:
        tokens, bias = allowed.leaning
        wished_V[tokens] += bias
    for heirs, had in (
        (allowed.enders, wished_V[allowed.end].clone()),
        (allowed.leavers, wished_V[:known][refused_V].max(dim=-1).values if refused_V.any() else None),
    ):
        if heirs is not None and had is not None:
            ids = torch.from_numpy(heirs).nonzero()[:, 0]
            likeliest = ids[wished_V[ids].argmax()]
            wished_V[likeliest] = torch.maximum(wished_V[likeliest], had)
    wished_V[:known].masked_fill_(refused_V, -torch.inf)
    wished_V[known:] = -torch.inf


def _has_to_close(one: Draw) -> bool:
    """Whether a grammar lets only closing tokens follow, which no ban can hold up."""
    if one.allowed is None:
        return False
    open_V: Mask = one.allowed.open.copy()
    open_V[[token for token in one.sampling.stop_token_ids if token < len(open_V)]] = False
    return not open_V.any()


def _sample(logits_V: Tensor, one: Draw) -> int:
    """Temperature, then min_p, top_k and top_p, then a race: each token comes in after a time that is exponential with
    its likelihood as the rate, and so is first as often as it is likely.

    The times are each token's own. In the cumulative distribution a token has its place between others, by likelihood
    above all; and far down there are thousands that change places with the last bits of their logits, and so with the
    batch.
    """
    # The largest becomes 0 first, so that dividing by a temperature next to 0 gives minus infinity and never NaN.
    scaled_V = (logits_V.double() - logits_V.max()) / one.sampling.temperature
    number_V = torch.from_numpy(uniforms(one.seed, one.choice, one.position, len(scaled_V)))
    # Not 0: who never comes in is behind what has no chance.
    lead_V = scaled_V - number_V.clamp_(min=torch.finfo(torch.float64).tiny).log_().neg_().log_()
    if (kept := _kept(scaled_V, one.sampling)) is not None:
        return int(kept[lead_V[kept].argmax()])
    return int(lead_V.argmax())


def _kept(scaled_V: Tensor, sampling: Sampling) -> Tensor | None:
    """Ids of the tokens that min_p, top_k and top_p leave, of logits whose largest is 0; None: all of them."""
    if not sampling.min_p and sampling.top_k <= 0 and sampling.top_p >= 1:
        return None
    scaled_V, order_V = torch.sort(scaled_V, descending=True, stable=True)
    kept = len(order_V)
    if sampling.min_p:
        kept = int((scaled_V >= math.log(sampling.min_p)).sum())
    if sampling.top_k > 0:
        kept = min(kept, sampling.top_k)
    if sampling.top_p < 1:
        # The likeliest tokens whose mass reaches top_p, and always one.
        cumulative_V = torch.softmax(scaled_V[:kept], -1).cumsum(-1)
        kept = min(kept, int((cumulative_V < sampling.top_p).sum()) + 1)
    return order_V[:kept]


def _with_logprobs(logits_V: Tensor, token: int, sampling: Sampling) -> Drawn:
    if sampling.logprobs is None:
        return Drawn(token)
    logprob_V = torch.log_softmax(logits_V, -1)
    values, indices = torch.topk(logprob_V, min(sampling.logprobs, len(logprob_V)))
    return Drawn(token, float(logprob_V[token]), tuple(zip(indices.tolist(), values.tolist(), strict=True)))
