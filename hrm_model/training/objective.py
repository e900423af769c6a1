"""Loss on the response only, and exact match by teacher forcing."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from hrm_model.model import HrmText
from hrm_model.training.packing import IGNORED, PackedBatch


class PackedAttention:
    """Attention within rows, with a bias that keeps pairs apart. Keeps nothing: training needs no cache.

    Written as two matrix products: on a CPU a training step is a quarter shorter than with
    scaled_dot_product_attention and a mask, at the row lengths used here (DECISIONS.md).
    """

    def __init__(self, bias_BTT: Tensor) -> None:
        self.bias_BTT = bias_BTT

    def __call__(self, slot: int, query_TNK: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> Tensor:
        rows, length = self.bias_BTT.shape[0], self.bias_BTT.shape[-1]
        query, key, value = (
            x.view(rows, length, *x.shape[1:]).transpose(1, 2) for x in (query_TNK, key_TNK, value_TNK)
        )
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + self.bias_BTT
        out = torch.softmax(scores, dim=-1).to(value.dtype) @ value
        return out.transpose(1, 2).reshape(rows * length, *query_TNK.shape[1:])


def answer_logits(model: HrmText, batch: PackedBatch, gradient_steps: int | None) -> tuple[Tensor, Tensor]:
    """Logits (A, V) fp32 and targets (A,) of the A answer tokens in a batch, in order."""
    slow_TD = model(batch.ids_T, batch.position_T, PackedAttention(batch.bias_BTT), gradient_steps=gradient_steps)
    at = (batch.target_T != IGNORED).nonzero().squeeze(1)
    return model.logits(slow_TD[at]).float(), batch.target_T[at]


def response_loss(model: HrmText, batch: PackedBatch, gradient_steps: int) -> tuple[Tensor, int]:
    """Mean cross-entropy in nats over the batch's answer tokens, and their number."""
    logits_AV, target_A = answer_logits(model, batch, gradient_steps)
    return functional.cross_entropy(logits_AV, target_A), len(target_A)


@torch.no_grad()
def exact_match(model: HrmText, batches: Iterable[PackedBatch]) -> float:
    """The share of answers whose every token, the closing one included, is the likeliest one.

    With the answer itself as the past this equals the exact match of greedy decoding: the first token that
    differs would end both.
    """
    right = total = 0
    for batch in batches:
        logits_AV, target_A = answer_logits(model, batch, 0)
        wrong_A = logits_AV.argmax(-1) != target_A
        at = (batch.target_T != IGNORED).nonzero().squeeze(1)
        # An answer starts where the token before it is not an answer token of the same pair.
        first_A = torch.ones_like(at, dtype=torch.bool)
        first_A[1:] = (at[1:] != at[:-1] + 1) | (batch.position_T[at[1:]] != batch.position_T[at[:-1]] + 1)
        answer_A = first_A.cumsum(0) - 1
        missed = torch.zeros(int(first_A.sum()), dtype=torch.int64, device=at.device).index_add_(
            0, answer_A, wrong_A.to(torch.int64)
        )
        right += int((missed == 0).sum())
        total += len(missed)
    return right / total if total else 0.0
