"""Attention over cached pages for sequences of different lengths, without padding.

Keys and values are read where they lie. Sequences that write one token each, are equally long and lie evenly spaced
(choices of one request, or requests of one size that came together) share a kernel; the others are read one by one,
which costs less than gathering them into a padded batch (DECISIONS.md, "Keys and values are read where they lie").
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hrm_model.cache import KvCache
from hrm_model.mask import prefix_lm_mask
from hrm_model.pages import rows_of
from hrm_model.sequence import Sequence


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
        return self.start == 0 and self.end == self.sequence.prompt_len


class PagedAttention:
    """The `Attend` of one forward: where each sequence's keys lie, and who may read them."""

    def __init__(self, cache: KvCache, spans: Items[Span], device: str) -> None:
        self._cache = cache
        written = [rows_of(span.sequence.pages, span.start, span.end) for span in spans]
        # One prompt or one answer, in neighbouring pages, is written as one piece.
        self._written: slice | Tensor
        if len(written) == 1 and isinstance(written[0], range):
            self._written = slice(written[0].start, written[0].stop)
        else:
            self._written = torch.tensor([row for rows in written for row in rows], device=device)
        self._parts = list(_parts(cache, spans, device))

    def __call__(self, slot: int, query_TNK: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> Tensor:
        self._cache.write(slot, self._written, key_TNK, value_TNK)
        if len(self._parts) == 1:
            return self._parts[0](slot, query_TNK, key_TNK, value_TNK)
        return torch.cat([part(slot, query_TNK, key_TNK, value_TNK) for part in self._parts])


def _parts(cache: KvCache, spans: Items[Span], device: str) -> "list[_Singles | _Block]":
    """What is attended to in one go each, in the order of the batch."""
    parts: list[_Singles | _Block] = []
    lanes: list[_Lane] = []

    def close() -> None:
        if lanes:
            parts.append(_Singles(cache, lanes))
            lanes.clear()

    for span in spans:
        rows = rows_of(span.sequence.pages, 0, span.end)
        if span.end - span.start > 1 or not isinstance(rows, range):
            close()
            parts.append(_Block(cache, span, rows, device))
            continue
        lane = _Lane(span.at, rows.start, span.end)
        if not _share_a_kernel([*lanes[-2:], lane]):
            close()
        lanes.append(lane)
    close()
    return parts


class _Lane(NamedTuple):
    """A sequence with one new token, whose pages are neighbours."""

    at: int  # its place in the batch
    row: int  # where its keys begin
    length: int


def _share_a_kernel(lanes: Items[_Lane]) -> bool:
    """Say whether up to three lanes are equally long and evenly spaced, which is what one strided tensor can name."""
    steps = {late.row - early.row for early, late in pairwise(lanes)}
    return len(steps) <= 1 and min(steps, default=1) > 0 and len({lane.length for lane in lanes}) == 1


class _Singles:
    """Sequences with one new token each, equally long and evenly spaced: they meet all of their keys."""

    def __init__(self, cache: KvCache, lanes: Items[_Lane]) -> None:
        first = lanes[0]
        step = lanes[1].row - first.row if len(lanes) > 1 else first.length
        self._tokens = slice(first.at, first.at + len(lanes))
        self._key, self._value = cache.lanes(first.row, step, len(lanes), first.length)

    def __call__(self, slot: int, query_TNK: Tensor, _key_TNK: Tensor, _value_TNK: Tensor) -> Tensor:
        query_BNQK = query_TNK[self._tokens].unsqueeze(2)
        return functional.scaled_dot_product_attention(query_BNQK, self._key[slot], self._value[slot]).squeeze(2)


class _Block:
    """A sequence with several new tokens (a prompt, given answer tokens, a draft), or with pages here and there."""

    def __init__(self, cache: KvCache, span: Span, rows: range | list[int], device: str) -> None:
        self._cache, self._tokens = cache, slice(span.at, span.at + span.end - span.start)
        self._rows: slice | Tensor | None = None
        self._mask: Tensor | None = None
        if span.is_whole_prompt:
            return
        self._rows = slice(rows.start, rows.stop) if isinstance(rows, range) else torch.tensor(rows, device=device)
        if span.end - span.start > 1:
            position_BQ = torch.arange(span.start, span.end, device=device)[None]
            prefix_B = torch.tensor([span.sequence.prompt_len], device=device)
            self._mask = prefix_lm_mask(position_BQ, prefix_B, span.end)

    def __call__(self, slot: int, query_TNK: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> Tensor:
        if self._rows is None:
            key_SNK, value_SNK = key_TNK[self._tokens], value_TNK[self._tokens]
        else:
            key_SNK, value_SNK = self._cache.read(slot, self._rows)
        query, key, value = (x.transpose(0, 1)[None] for x in (query_TNK[self._tokens], key_SNK, value_SNK))
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=self._mask)
        return out[0].transpose(0, 1)
