"""K/V as int8, with a scale for each token and head: half of bf16's memory. Rounded as written, widened as read."""

from collections.abc import Sequence as Items

import torch
from torch import Tensor

from hrm_model.cache import PerSlot, zeros
from hrm_model.config import HrmConfig
from hrm_model.pages import PAGE_TOKENS
from hrm_model.projections.rounding import round_rows

SCALE = torch.bfloat16  # what divides is what multiplies, so that its 8 bits cost nothing


class Int8Cache:
    """Does as `PagedCache`, but for what rounding loses."""

    def __init__(self, config: HrmConfig, pages: int, *, dtype: torch.dtype, device: str) -> None:
        """Take memory for so many pages; keys and values go in and come out in `dtype`."""
        self.pages = pages
        self.key, self.value = (Rounded(config, pages, dtype, device) for _ in range(2))

    @property
    def bytes(self) -> int:
        """Bytes of keys and values together, their scales included."""
        return self.key.bytes + self.value.bytes

    def write(self, slot: int, rows: slice | Tensor, key_TNK: Tensor, value_TNK: Tensor) -> None:
        """Put the keys and values of T tokens into `rows` of `slot`: neighbours, or (T,) int64 row numbers."""
        self.key.write(slot, rows, key_TNK)
        self.value.write(slot, rows, value_TNK)

    def read(self, slot: int, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (S, N, K) of `rows` of `slot`."""
        return self.key.read(slot, rows), self.value.read(slot, rows)

    def lanes(self, first_row: int, step: int, count: int, length: int) -> tuple[PerSlot, PerSlot]:
        """Keys and values (B, N, S, K) of evenly spaced sequences, per slot, as `PagedCache.lanes` has them."""
        where = (first_row, step, count, length)
        return _Lanes(self.key, *where), _Lanes(self.value, *where)

    def copy(self, source_rows: Items[int], target_rows: Items[int]) -> None:
        """Give rows `target_rows` what `source_rows` hold, in every slot."""
        for stored in (*self.key.parts, *self.value.parts):
            source_T, target_T = (torch.tensor(rows, device=stored.device) for rows in (source_rows, target_rows))
            stored.index_copy_(1, target_T, stored.index_select(1, source_T))

    def clear(self, rows: list[int]) -> None:
        """Overwrite what rows `rows` hold, in every slot."""
        for stored in (*self.key.parts, *self.value.parts):
            stored.index_fill_(1, torch.tensor(rows, dtype=torch.long, device=stored.device), 0)


class Rounded:
    """All keys, or all values: (slots, rows, N, K) whole numbers, and (slots, rows, N, 1) what one of them is worth."""

    def __init__(self, config: HrmConfig, pages: int, dtype: torch.dtype, device: str) -> None:
        shape = (config.slots, pages * PAGE_TOKENS, config.num_heads)
        self._dtype = dtype
        self.whole = zeros((*shape, config.head_dim), torch.int8, device)
        self.scale = zeros((*shape, 1), SCALE, device)
        self.parts = (self.whole, self.scale)

    @property
    def bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in self.parts)

    def write(self, slot: int, rows: slice | Tensor, x_TNK: Tensor) -> None:
        rounded = round_rows(x_TNK.flatten(0, 1), kind=SCALE)
        for part, new in zip(self.parts, rounded, strict=True):
            new_TNx = new.view(*x_TNK.shape[:2], -1)
            if isinstance(rows, slice):
                part[slot, rows].copy_(new_TNx)
            else:
                part[slot].index_copy_(0, rows, new_TNx)

    def read(self, slot: int, rows: slice | Tensor) -> Tensor:
        whole, scale = (
            part[slot, rows] if isinstance(rows, slice) else part[slot].index_select(0, rows) for part in self.parts
        )
        return whole.to(self._dtype).mul_(scale)

    def spaced(self, slot: int, first_row: int, step: int, count: int, length: int) -> Tensor:
        """(B, N, S, K), in the memory order in which it is stored."""
        whole, scale = (
            part[slot].as_strided(
                (count, length, *part.shape[2:]),
                (step * part.stride(1), *part.stride()[1:]),
                part[slot, first_row].storage_offset(),
            )
            for part in self.parts
        )
        return whole.to(self._dtype).mul_(scale).transpose(1, 2)


class _Lanes:
    """Evenly spaced sequences of one of the two, widened for one slot at a time."""

    def __init__(self, stored: Rounded, first_row: int, step: int, count: int, length: int) -> None:
        self._stored, self._where = stored, (first_row, step, count, length)

    def __getitem__(self, slot: int) -> Tensor:
        return self._stored.spaced(slot, *self._where)
