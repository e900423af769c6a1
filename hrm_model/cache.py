"""K/V in pages, one pool for all recurrence steps: a page holds its tokens in every slot.

HRM caches each token once per layer and pass (128 slots in the 1B model, 768 KiB a token in bf16), so what the
scheduler reserves is tokens, and a page number is valid in every slot alike.
"""

import torch
from torch import Tensor

from hrm_model.config import HrmConfig
from hrm_model.pages import PAGE_TOKENS


class PagedCache:
    """Storage for `pages` pages. It knows nothing of sequences: whoever holds a page number owns the page."""

    def __init__(self, config: HrmConfig, pages: int, *, dtype: torch.dtype, device: str) -> None:
        shape = (config.slots, pages * PAGE_TOKENS, config.num_heads, config.head_dim)
        # zeros, not empty: a masked key still enters a product, and 0 * NaN would be NaN.
        self.key = torch.zeros(shape, dtype=dtype, device=device)
        self.value = torch.zeros(shape, dtype=dtype, device=device)
        self.pages = pages

    @property
    def bytes(self) -> int:
        """Bytes of keys and values together."""
        return 2 * self.key.numel() * self.key.element_size()

    def write(self, slot: int, row_T: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> None:
        """Put the keys and values of T tokens into rows `row_T` of `slot`."""
        self.key[slot].index_copy_(0, row_T, key_TNK.to(self.key.dtype))
        self.value[slot].index_copy_(0, row_T, value_TNK.to(self.value.dtype))

    def read(self, slot: int, row_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, S, N, K) of rows `row_BS` of `slot`."""
        return self.key[slot][row_BS], self.value[slot][row_BS]

    def copy(self, source_rows: list[int], target_rows: list[int]) -> None:
        """Give rows `target_rows` what `source_rows` hold, in every slot."""
        source_T, target_T = (torch.tensor(rows, device=self.key.device) for rows in (source_rows, target_rows))
        for stored in (self.key, self.value):
            stored.index_copy_(1, target_T, stored.index_select(1, source_T))
