"""A step's decisions -> tensors -> logits -> ids. No policy, no threads."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hrm_model.cache import PagedCache
from hrm_model.mask import prefix_lm_mask
from hrm_model.model import HrmText
from hrm_model.pages import rows_of
from hrm_model.sampling import Draw, Drawn, NotFinite, draw
from hrm_model.scheduler import Sequence


@dataclass(frozen=True, slots=True)
class Span:
    """The tokens that one sequence has in a forward: `[start, end)` of its own positions, `at` in the batch."""

    sequence: Sequence
    at: int
    start: int
    end: int

    @property
    def is_whole_prompt(self) -> bool:
        """Every query may read every key: no mask, and nothing to fetch from the cache."""
        return self.start == 0 and self.end == self.sequence.prefix_len


class PagedAttention:
    """Attention over cached pages for sequences of different lengths, without padding the rest of the network."""

    def __init__(self, cache: PagedCache, spans: Items[Span], device: str) -> None:
        self._cache = cache
        rows = [rows_of(span.sequence.pages, span.end) for span in spans]
        self._written_T = torch.tensor(
            [row for span, mine in zip(spans, rows, strict=True) for row in mine[span.start :]], device=device
        )
        single = [(span, mine) for span, mine in zip(spans, rows, strict=True) if span.end - span.start == 1]
        self._single = _Singles(single, device) if single else None
        self._blocks = [
            _Block(span, mine, device) for span, mine in zip(spans, rows, strict=True) if span.end - span.start > 1
        ]

    def __call__(self, slot: int, query_TNK: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> Tensor:
        self._cache.write(slot, self._written_T, key_TNK, value_TNK)
        out_TNK = torch.empty_like(query_TNK)
        if self._single is not None:
            key_BSNK, value_BSNK = self._cache.read(slot, self._single.row_BS)
            query_BNQK = query_TNK[self._single.at_B].unsqueeze(2)
            out_TNK[self._single.at_B] = _attend(query_BNQK, key_BSNK, value_BSNK, self._single.mask)[:, :, 0]
        for block in self._blocks:
            query_BNQK = query_TNK[block.tokens].transpose(0, 1).unsqueeze(0)
            if block.row_BS is None:
                key_BSNK, value_BSNK = key_TNK[block.tokens].unsqueeze(0), value_TNK[block.tokens].unsqueeze(0)
            else:
                key_BSNK, value_BSNK = self._cache.read(slot, block.row_BS)
            out_TNK[block.tokens] = _attend(query_BNQK, key_BSNK, value_BSNK, block.mask)[0].transpose(0, 1)
        return out_TNK


class _Singles:
    """Sequences with one new token each: one batched attention, keys padded to the longest."""

    def __init__(self, members: Items[tuple[Span, list[int]]], device: str) -> None:
        longest = max(len(rows) for _, rows in members)
        self.at_B = torch.tensor([span.at for span, _ in members], device=device)
        self.row_BS = torch.tensor([rows + [rows[0]] * (longest - len(rows)) for _, rows in members], device=device)
        position_BQ = torch.tensor([[span.start] for span, _ in members], device=device)
        prefix_B = torch.tensor([span.sequence.prefix_len for span, _ in members], device=device)
        self.mask = prefix_lm_mask(position_BQ, prefix_B, longest) if len(members) > 1 else None


class _Block:
    """A sequence with several new tokens: a prompt, or given answer tokens."""

    def __init__(self, span: Span, rows: list[int], device: str) -> None:
        self.tokens = slice(span.at, span.at + span.end - span.start)
        self.mask: Tensor | None = None
        self.row_BS: Tensor | None = None
        if not span.is_whole_prompt:
            position_BQ = torch.arange(span.start, span.end, device=device)[None]
            prefix_B = torch.tensor([span.sequence.prefix_len], device=device)
            self.mask = prefix_lm_mask(position_BQ, prefix_B, span.end)
            self.row_BS = torch.tensor([rows], device=device)


def _attend(query_BNQK: Tensor, key_BSNK: Tensor, value_BSNK: Tensor, mask: Tensor | None) -> Tensor:
    return functional.scaled_dot_product_attention(
        query_BNQK, key_BSNK.transpose(1, 2), value_BSNK.transpose(1, 2), attn_mask=mask
    )


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
                self._cache.copy(rows_of(leader.pages, len(leader.ids)), rows_of(sequence.pages, len(sequence.ids)))
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
