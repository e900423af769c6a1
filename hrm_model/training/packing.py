"""Pairs laid end to end in rows of one length, so that a batch has one shape and little padding."""

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_model.training.pairs import UNTOLD, EncodedPairs

IGNORED = -100
_WINDOW = 512  # pairs among which rows are filled: more fill them no better, and would sort what chance should order
_NEVER = -1e4  # added to a score that must not count; large enough for bf16, and finite, so that padding stays finite


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """B rows of T tokens.

    Attributes:
        ids_T: (B*T,) int64.
        position_T: (B*T,) int64, counted from the start of each pair.
        target_T: (B*T,) int64, the next token where it belongs to a response, else IGNORED.
        evidence_T: (B*T,) int8, pairs.EVIDENCE, NO_EVIDENCE or UNTOLD.
        bias_BTT: (B, 1, T, T) to add to attention scores: PrefixLM within a pair, nothing across pairs.
        tokens: tokens that belong to a pair; the rest is padding.
    """

    ids_T: Tensor
    position_T: Tensor
    target_T: Tensor
    evidence_T: Tensor
    bias_BTT: Tensor
    tokens: int

    def to(self, device: str) -> "PackedBatch":
        """The same batch on `device`."""
        return PackedBatch(
            self.ids_T.to(device),
            self.position_T.to(device),
            self.target_T.to(device),
            self.evidence_T.to(device),
            self.bias_BTT.to(device),
            self.tokens,
        )


def densely(pairs: EncodedPairs, order: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Reorder `order` so that `pack` leaves little of its rows of `length` tokens empty.

    Within each window of pairs a row gets the longest pair that is left, then whatever longest one still fits. Rows
    stand in the order of the earliest pair of each, so that short and long ones stay mixed.
    Source: best-fit decreasing, the usual rule of thumb for filling bins.
    """
    filled: list[int] = []
    for begin in range(0, len(order), _WINDOW):
        window = order[begin : begin + _WINDOW]
        left = sorted((pairs.length(int(index)), place) for place, index in enumerate(window))
        rows: list[list[int]] = []
        while left:
            room, row = length, list[int]()
            while (fits := bisect_right(left, (room, _WINDOW))) > 0:
                need, place = left.pop(fits - 1)
                insort(row, place)
                room -= need
            rows.append(row)
        filled += [int(window[place]) for row in sorted(rows) for place in row]
    return np.array(filled, dtype=np.int64)


def pack(pairs: EncodedPairs, order: NDArray[np.int64], rows: int, length: int) -> Iterator[tuple[PackedBatch, int]]:
    """Yield batches of `rows` x `length` tokens, first fit in `order`, with the number of pairs used so far.

    Every batch but the last is full: a pair that fits no open row starts the next batch.
    Source: the first-fit rule is the usual one for packed pretraining; tests/hrm_model/training/test_packing.py pins
    that no pair reads another.
    """
    open_rows: list[list[int]] = [[] for _ in range(rows)]
    room = [length] * rows
    for used, index in enumerate(order):
        need = pairs.length(int(index))
        row = next((r for r in range(rows) if room[r] >= need), None)
        if row is None:
            yield _batch(pairs, open_rows, length), used
            open_rows, room, row = [[] for _ in range(rows)], [length] * rows, 0
        open_rows[row].append(int(index))
        room[row] -= need
    if any(open_rows):
        yield _batch(pairs, open_rows, length), len(order)


def _batch(pairs: EncodedPairs, rows: list[list[int]], length: int) -> PackedBatch:
    shape = (len(rows), length)
    ids, position = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    target = np.full(shape, IGNORED, dtype=np.int64)
    evidence = np.full(shape, UNTOLD, dtype=np.int8)
    segment = np.full(shape, -1, dtype=np.int32)
    in_prompt = np.zeros(shape, dtype=bool)
    tokens = 0
    for r, members in enumerate(rows):
        at = 0
        for number, index in enumerate(members):
            pair, prefix = pairs.pair(index), int(pairs.prefix[index])
            end = at + len(pair)
            ids[r, at:end] = pair
            position[r, at:end] = np.arange(len(pair))
            # The prompt's closing token predicts the first answer token; the last answer token predicts nothing.
            target[r, at + prefix - 1 : end - 1] = pair[prefix:]
            evidence[r, at:end] = pairs.evidence_of(index)
            segment[r, at:end] = number
            in_prompt[r, at : at + prefix] = True
            at = end
        tokens += at
    return PackedBatch(
        torch.from_numpy(ids).flatten(),
        torch.from_numpy(position).flatten(),
        torch.from_numpy(target).flatten(),
        torch.from_numpy(evidence).flatten(),
        attention_bias(torch.from_numpy(segment), torch.from_numpy(in_prompt)),
        tokens,
    )


def attention_bias(segment_BT: Tensor, in_prompt_BT: Tensor) -> Tensor:
    """(B, 1, T, T) bfloat16, 0 where a query may read a key, else a large negative number."""
    length = segment_BT.shape[1]
    same_BTT = segment_BT[:, :, None] == segment_BT[:, None, :]
    causal_TT = torch.ones(length, length, dtype=torch.bool, device=segment_BT.device).tril()
    both_BTT = in_prompt_BT[:, :, None] & in_prompt_BT[:, None, :]
    allowed_BTT = same_BTT & (causal_TT | both_BTT)
    return torch.where(allowed_BTT, 0.0, _NEVER).to(torch.bfloat16)[:, None]
