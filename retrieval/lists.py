"""Which documents have lists of their own, and which of those each name may read: in memory, for a search at once.

Asking the store about each document would take as long as there are documents with lists. Here a search adds up what
is kept by name: the store is asked about a name once, and afterwards about the documents that came since. Nothing is
kept past a change of a list: the store counts those (triggers in `retrieval/store/schema.py`), and each search looks.
"""

import time
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from retrieval.store import scope
from retrieval.store.database import Transaction
from retrieval.store.filters import Flags
from retrieval.types import EVERYONE, Reader

Documents = NDArray[np.int32]

# Entries kept in all: 32 MB. Groups that may read most of a large store have many, people few.
KEPT = 8_000_000
# What keeping a name costs besides its documents, in entries: there are people who may read nothing.
NAME = 100


class AccessLists:
    """The documents with limits, and those of each name asked for lately. Not thread-safe: used inside a view alone."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[str, Documents] = OrderedDict()
        self.forget()

    def forget(self) -> None:
        """Drop everything; for when the store was replaced."""
        self._known.clear()
        self._entries = 0
        self._changes = 0
        self._newest = 0  # everything here goes up to this document
        self._have_lists = np.zeros(1, np.bool_)  # by document number
        self._expiring = np.zeros((2, 0), np.int64)  # documents, and when they expire

    def hidden(self, tx: Transaction, reader: Reader) -> Flags | None:
        """Say of each document number whether it is hidden from a reader of its store; None: none has limits.

        Where an application acts for the reader, what is hidden from either is.
        """
        self._catch_up(tx)
        if not self._have_lists.any() and not self._expiring.size:
            return None
        hidden = np.zeros(self._newest + 1, np.bool_)
        for one in reader.each():
            if not one.is_admin:
                closed = self._have_lists.copy()
                for name in {*one.names, EVERYONE}:
                    closed[self._readable(tx, name)] = False
                hidden |= closed
        numbers, moments = self._expiring
        hidden[numbers[moments <= int(time.time())]] = True
        return hidden

    def _catch_up(self, tx: Transaction) -> None:
        changes = scope.changes_of_lists(tx)
        if changes != self._changes:
            self.forget()
            self._changes = changes
        newest, after = scope.newest(tx), self._newest
        if newest <= after:
            return
        # All is read before any of it counts: a look that fails half-way must not leave documents without their limits.
        closed, expiring = scope.with_lists(tx, after), scope.expiring(tx, after)
        added = scope.readers_above(tx, after) if self._known else {}
        self._have_lists = np.pad(self._have_lists, (0, newest - after))
        self._have_lists[closed] = True
        self._expiring = np.concatenate([self._expiring, expiring], axis=1)
        for name in added.keys() & self._known.keys():
            self._known[name] = np.concatenate([self._known[name], np.array(added[name], np.int32)])
            self._entries += len(added[name])
        self._newest = newest

    def _readable(self, tx: Transaction, name: str) -> Documents:
        """The documents that have lists with this name on them, or are this name's own."""
        documents = self._known.pop(name, None)
        if documents is None:
            documents = scope.readable(tx, name)
            self._entries += NAME + len(documents)
        self._known[name] = documents
        while self._entries > self._kept and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._entries -= NAME + len(dropped)
        return documents
