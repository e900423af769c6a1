"""Which store and document each chunk belongs to, in memory, so that a search can tell what it may find at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index import Visible
from retrieval.store import passages
from retrieval.store.database import Transaction
from retrieval.store.scope import Scope

_ROOM = 1024  # chunks to begin with; it grows by doubling

InStores = NDArray[np.int32]


class Places:
    """By chunk number; 0 in place of a store: there is no such chunk. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Know of no chunk."""
        self._places: NDArray[np.int32] = np.zeros((2, _ROOM), np.int32)

    def read(self, tx: Transaction, last: int) -> None:
        """Know of the chunks up to `last` that the store holds."""
        self._places = np.zeros((2, max(_ROOM, last + 1)), np.int32)
        for places, pairs in zip(self._places, passages.places(tx, last), strict=True):
            places[pairs[1]] = pairs[0]

    def add(self, numbers: Sequence[int], in_stores: Sequence[int], in_documents: Sequence[int]) -> None:
        """Add chunks, with numbers in rising order."""
        room = self._places.shape[1]
        if numbers[-1] >= room:
            grown = np.zeros((2, max(2 * room, numbers[-1] + 1)), np.int32)
            grown[:, :room] = self._places
            self._places = grown
        self._places[:, list(numbers)] = in_stores, in_documents

    def remove(self, numbers: Sequence[int]) -> None:
        self._places[:, list(numbers)] = 0

    def stores(self, last: int) -> InStores:
        """(last + 1,): the store of each chunk up to `last`."""
        return self._places[0, : last + 1]

    def visible(self, scope: Scope, last: int) -> Visible:
        """(last + 1,): whether the scope holds each chunk up to `last`."""
        in_stores, in_documents = self._places[:, : last + 1]
        seen = _within(in_stores, scope.store_nos)
        if scope.matching is not None:
            # A chunk that is gone stands at document 0, in store 0.
            seen &= scope.matching[in_documents]
        if scope.hidden is not None:
            seen &= ~scope.hidden[in_documents]
        return seen


def _within(places: NDArray[np.int32], allowed: Sequence[int]) -> Visible:
    """Say of each chunk whether its place is one of those allowed."""
    if len(allowed) == 1:
        return np.equal(places, allowed[0])  # in a tenth of the time
    flags = np.zeros(max(int(places.max()), *allowed, 0) + 1, np.bool_)
    flags[list(allowed)] = True
    flags[0] = False
    return flags[places]
