"""Loss on the response, on the evidence where it is told, and exact match by teacher forcing."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hrm_model.config import HrmConfig
from hrm_model.model import HrmText
from hrm_model.training.packing import IGNORED, PackedBatch
from hrm_model.training.pairs import EVIDENCE, UNTOLD


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


class Marker(nn.Module):
    """Reads off z_H, after each H pass, whether a token of the prompt is evidence. Needed in training only.

    A response of a few tokens says little about how a passage should be read; the evidence says it of every token.
    After the first cycle it says so in time: the second reads what the first has marked.
    """

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        self.weight_CD = nn.Parameter(torch.zeros(config.H_cycles, config.hidden_size))
        self.bias_C = nn.Parameter(torch.zeros(config.H_cycles))

    def loss(self, slow_CTD: list[Tensor], evidence_T: Tensor) -> Tensor:
        """Mean binary cross-entropy in nats over tokens of which it is told, and over cycles; 0 if of none."""
        at = (evidence_T != UNTOLD).nonzero().squeeze(1)
        if not len(at):
            return torch.zeros((), device=evidence_T.device)
        told_A = (evidence_T[at] == EVIDENCE).float()
        # Multiplied and summed, as under autocast a product of matrices would be in 16 bits.
        scores = [
            (slow_TD[at].float() * weight_D).sum(-1) + bias
            for slow_TD, weight_D, bias in zip(slow_CTD, self.weight_CD, self.bias_C, strict=True)
        ]
        return torch.stack([
            functional.binary_cross_entropy_with_logits(score_A, told_A) for score_A in scores
        ]).mean()  # fmt: skip


def answer_logits(model: HrmText, batch: PackedBatch) -> tuple[Tensor, Tensor]:
    """Logits (A, V) fp32 and targets (A,) of the A answer tokens in a batch, in order."""
    return _answers(model, batch, _read(model, batch, None)[-1])


def _read(model: HrmText, batch: PackedBatch, gradient_steps: int | None) -> list[Tensor]:
    attend = PackedAttention(batch.bias_BTT)
    return model.cycles(batch.ids_T, batch.position_T, attend, gradient_steps=gradient_steps)


def _answers(model: HrmText, batch: PackedBatch, slow_TD: Tensor) -> tuple[Tensor, Tensor]:
    at = (batch.target_T != IGNORED).nonzero().squeeze(1)
    return model.logits(slow_TD[at]).float(), batch.target_T[at]


def losses(
    model: HrmText, batch: PackedBatch, gradient_steps: int, marker: Marker | None = None
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy in nats over the batch's answer tokens, and the marker's loss, 0 without one."""
    slow_CTD = _read(model, batch, gradient_steps)
    response = functional.cross_entropy(*_answers(model, batch, slow_CTD[-1]))
    return response, torch.zeros_like(response) if marker is None else marker.loss(slow_CTD, batch.evidence_T)


@torch.no_grad()
def exact_match(model: HrmText, batches: Iterable[PackedBatch]) -> float:
    """The share of answers whose every token, the closing one included, is the likeliest one.

    With the answer itself as the past this equals the exact match of greedy decoding: the first token that
    differs would end both.
    """
    right = total = 0
    for batch in batches:
        logits_AV, target_A = answer_logits(model, batch)
        wrong_A = logits_AV.argmax(-1) != target_A
        at = (batch.target_T != IGNORED).nonzero().squeeze(1)
        # An answer starts where the token before it predicts none: a pair begins with its prompt.
        first_A = torch.ones_like(at, dtype=torch.bool)
        first_A[1:] = at[1:] != at[:-1] + 1
        answer_A = first_A.cumsum(0) - 1
        missed = torch.zeros(int(first_A.sum()), dtype=torch.int64, device=at.device).index_add_(
            0, answer_A, wrong_A.to(torch.int64)
        )
        right += int((missed == 0).sum())
        total += len(missed)
    return right / total if total else 0.0
