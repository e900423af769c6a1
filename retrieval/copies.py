"""Which chunks say the same to the letter, in memory, so that a search can leave all copies of a text out at once.

Filled when a search first meets more copies than it goes through, and only as far as that search needs.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index import Visible
from retrieval.store import passages
from retrieval.store.database import Transaction

# Texts that one search reads, others waiting: half a second. What is beyond is read by the next one.
READ = 100_000


class Copies:
    """By chunk number a digest of its text; 0: not read yet, or gone. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of no text."""
        self._digests: NDArray[np.int64] = np.zeros(0, np.int64)

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget these chunks' texts."""
        held = [number for number in numbers if number < len(self._digests)]
        self._digests[held] = 0

    def without(self, tx: Transaction, visible: Visible, texts: Iterable[str], *, is_first: bool = True) -> Visible:
        """Flag the visible chunks that say none of `texts`; one that was not read yet stays.

        Args:
            is_first: whether the search asks for the first time, and may read texts.
        """
        if len(self._digests) < len(visible):
            self._digests = np.append(self._digests, np.zeros(len(visible) - len(self._digests), np.int64))
        unread = np.flatnonzero(visible & (self._digests[: len(visible)] == 0))[: READ if is_first else 0]
        for number, text in passages.each_text(tx, unread.tolist()):
            self._digests[number] = self._digest(text)
        said = np.fromiter({self._digest(text) for text in texts}, np.int64)
        return visible & ~np.isin(self._digests[: len(visible)], said)

    def _digest(self, text: str) -> int:
        # Python's own hash is fast, and salted anew in each process; 0 stands for no text.
        return hash(text) or 1
