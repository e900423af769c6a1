"""K/V in pages, one pool for all recurrence steps: a page holds its tokens in every slot.

HRM caches each token once per layer and pass (128 slots in the 1B model, 768 KiB a token in bf16), so what the
scheduler reserves is tokens, and a page number is valid in every slot alike.
"""

from collections.abc import Sequence as Items
from math import prod
from mmap import mmap
from typing import Protocol

import torch
from torch import Tensor

from hrm_model.config import HrmConfig
from hrm_model.pages import PAGE_TOKENS


class PerSlot(Protocol):
    """A tensor for each slot."""

    def __getitem__(self, slot: int, /) -> Tensor: ...


class KvCache(Protocol):
    """What attention and the runner need of a cache; see `PagedCache` for what each of it does."""

    pages: int

    @property
    def bytes(self) -> int: ...

    def write(self, slot: int, rows: slice | Tensor, key_TNK: Tensor, value_TNK: Tensor) -> None: ...

    def read(self, slot: int, rows: slice | Tensor) -> tuple[Tensor, Tensor]: ...

    def lanes(self, first_row: int, step: int, count: int, length: int) -> tuple[PerSlot, PerSlot]: ...

    def copy(self, source_rows: Items[int], target_rows: Items[int]) -> None: ...

    def clear(self, rows: list[int]) -> None: ...


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> Tensor:
    """Zeros, which on a CPU take memory only where they are written to: a cache is seldom full.

    Not an empty tensor: a masked key still enters a product, and 0 * NaN would be NaN.
    """
    if device != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.frombuffer(mmap(-1, prod(shape) * dtype.itemsize), dtype=dtype).view(shape)


class PagedCache:
    """Storage for `pages` pages. It knows nothing of sequences: whoever holds a page number owns the page."""

    def __init__(self, config: HrmConfig, pages: int, *, dtype: torch.dtype, device: str) -> None:
        shape = (config.slots, pages * PAGE_TOKENS, config.num_heads, config.head_dim)
        self.key, self.value = zeros(shape, dtype, device), zeros(shape, dtype, device)
        self.pages = pages
        self._keys, self._values = self.key.unbind(0), self.value.unbind(0)

    @property
    def bytes(self) -> int:
        """Bytes of keys and values together."""
        return 2 * self.key.numel() * self.key.element_size()

    def write(self, slot: int, rows: slice | Tensor, key_TNK: Tensor, value_TNK: Tensor) -> None:
        """Put the keys and values of T tokens into `rows` of `slot`: neighbours, or (T,) int64 row numbers."""
        for stored, new_TNK in ((self._keys[slot], key_TNK), (self._values[slot], value_TNK)):
            if isinstance(rows, slice):
                stored[rows].copy_(new_TNK)
            else:
                stored.index_copy_(0, rows, new_TNK.to(stored.dtype))

    def read(self, slot: int, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (S, N, K) of `rows` of `slot`: in place where they are neighbours, else gathered."""
        if isinstance(rows, slice):
            return self._keys[slot][rows], self._values[slot][rows]
        return self._keys[slot].index_select(0, rows), self._values[slot].index_select(0, rows)

    def lanes(self, first_row: int, step: int, count: int, length: int) -> tuple[PerSlot, PerSlot]:
        """Keys and values of evenly spaced sequences, in place.

        Args:
            first_row: of the first sequence.
            step: rows from one sequence to the next.
            count: sequences, B.
            length: tokens of each, S.

        Returns:
            Per slot a view (B, N, S, K) of the keys, and one of the values.
        """
        slots, _, heads, head_dim = self.key.shape
        per_slot, per_row, per_head, one = self.key.stride()
        shape = (slots, count, heads, length, head_dim)
        stride = (per_slot, step * per_row, per_head, per_row, one)
        keys, values = (x.as_strided(shape, stride, first_row * per_row).unbind(0) for x in (self.key, self.value))
        return keys, values

    def copy(self, source_rows: Items[int], target_rows: Items[int]) -> None:
        """Give rows `target_rows` what `source_rows` hold, in every slot."""
        source_T, target_T = (torch.tensor(rows, device=self.key.device) for rows in (source_rows, target_rows))
        for stored in (self.key, self.value):
            stored.index_copy_(1, target_T, stored.index_select(1, source_T))

    def clear(self, rows: list[int]) -> None:
        """Overwrite what rows `rows` hold, in every slot."""
        row_T = torch.tensor(rows, dtype=torch.long, device=self.key.device)
        for stored in (self.key, self.value):
            stored.index_fill_(1, row_T, 0.0)
