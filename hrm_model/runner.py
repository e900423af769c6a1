"""A step's decisions -> tensors -> logits -> ids. No policy, no threads."""

from collections.abc import Sequence as Items
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_model.attention import PagedAttention, Span
from hrm_model.cache import PagedCache
from hrm_model.model import HrmText
from hrm_model.pages import rows_of
from hrm_model.sampling import Draw, Drawn, NotFinite, draw
from hrm_model.scheduler import Sequence


class Runner:
    """Owns the network and the cache; every mutable tensor is touched from the thread that calls it."""

    def __init__(self, model: HrmText, cache: PagedCache, device: str) -> None:
        self._model, self._cache, self._device = model, cache, device

    @torch.inference_mode()
    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        """Read each sequence's pending ids, cache them, and draw its next token, or several where its draft is right.

        A drafted token is kept exactly when it equals the draw in its place, so drafts change no answer. Choices of
        one request that begin together read their prompt once.
        """
        leaders = _leaders(sequences)
        read = [sequence for sequence, leader in zip(sequences, leaders, strict=True) if leader is sequence]
        logits_RV = self.forward(read)
        ends = accumulate(len(sequence.draft) + 1 for sequence in read)
        first_row = {id(sequence): end - len(sequence.draft) - 1 for sequence, end in zip(read, ends, strict=True)}
        for sequence, leader in zip(sequences, leaders, strict=True):
            if leader is not sequence:
                self._cache.copy(
                    rows_of(leader.pages, 0, len(leader.ids)), rows_of(sequence.pages, 0, len(sequence.ids))
                )
        chosen = [
            (sequence, first_row[id(leader)] + ahead, ahead)
            for sequence, leader in zip(sequences, leaders, strict=True)
            for ahead in range(len(sequence.draft) + 1)
        ]
        # Between the forward, which a GPU still works on, and the draws, which wait for it.
        masks = {id(one): one.matching.masks(one.draft) for one in sequences if one.matching is not None}
        draws = [
            _draw_of(sequence, sequence.draft[:ahead], masks[id(sequence)][ahead] if sequence.matching else None)
            for sequence, _, ahead in chosen
        ]
        rows = iter(draw(logits_RV[torch.tensor([row for _, row, _ in chosen], device=self._device)], draws))
        results: list[list[Drawn | NotFinite]] = []
        for sequence in sequences:
            kept = _kept([next(rows) for _ in range(len(sequence.draft) + 1)], sequence.draft)
            # Keys and values of what was drafted wrongly are written over by what comes in its place.
            sequence.cached = len(sequence.ids) + len(kept) - 1
            sequence.draft = []
            results.append(kept)
        return results

    def forward(self, sequences: Items[Sequence]) -> Tensor:
        """Read pending ids into the cache.

        Returns:
            (R, V) logits after each sequence's last id and each token of its draft, in order; R is B without drafts.
        """
        spans: list[Span] = []
        at = 0
        for sequence in sequences:
            end = len(sequence.ids) + len(sequence.draft)
            spans.append(Span(sequence, at, sequence.cached, end))
            at += end - sequence.cached
        ids_T = torch.tensor([token for s in sequences for token in s.pending], device=self._device)
        position_T = torch.tensor([p for span in spans for p in range(span.start, span.end)], device=self._device)
        attend = PagedAttention(self._cache, spans, self._device)
        slow_TD = self._model(ids_T, position_T, attend, gradient_steps=0)
        last_R = [
            row
            for span in spans
            for row in range(
                span.at + span.end - span.start - 1 - len(span.sequence.draft), span.at + span.end - span.start
            )
        ]
        for sequence in sequences:
            sequence.cached = len(sequence.ids)
        return self._model.logits(slow_TD[torch.tensor(last_R, device=self._device)])


def _leaders(sequences: Items[Sequence]) -> list[Sequence]:
    """For each sequence the one that reads its pending ids: itself, or the first choice of a request that begins."""
    begun: dict[int, Sequence] = {}
    return [one if one.cached else begun.setdefault(one.request, one) for one in sequences]


def _kept(rows: list[Drawn | NotFinite], draft: list[int]) -> list[Drawn | NotFinite]:
    """The draws up to the first that is not what was drafted after it; a row after a wrong guess means nothing."""
    for right, (row, guess) in enumerate(zip(rows, draft, strict=False)):
        if isinstance(row, NotFinite) or row.token != guess:
            return rows[: right + 1]
    return rows


def _draw_of(sequence: Sequence, ahead: Items[int], allowed: NDArray[np.bool_] | None) -> Draw:
    """The draw in the place after `ahead`, tokens beyond the sequence's own."""
    seed = sequence.sampling.seed
    assert seed is not None, "the engine decides a seed at admission"
    prompt, answer = sequence.ids[: sequence.prompt_len], [*sequence.ids[sequence.prompt_len :], *ahead]
    return Draw(sequence.sampling, seed, sequence.choice, len(answer), prompt, answer, allowed)
