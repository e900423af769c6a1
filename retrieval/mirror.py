"""The vector index as a mirror of the store: built from it, caught up with it at each search, saved beside it."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors
from retrieval.index import SnapshotRefused, Snapshots, VectorIndex, Visible
from retrieval.store import meta, passages
from retrieval.store.database import Database, Transaction
from retrieval.store.scope import Scope

log = logging.getLogger(__name__)

# Vectors moved from the store to the index at a time: 6 MB, so that a rebuild of a million needs no second copy.
BATCH = 4096
# A snapshot saves time at the next start alone, so it is written when a tenth has changed, or at the end.
DUE_SHARE = 0.1
DUE_ROWS = 1000


class Mirror:
    """Owns the index and the lock around it."""

    def __init__(self, database: Database, snapshots: Snapshots, *, embedder: str, dims: int) -> None:
        self._database = database
        self._snapshots = snapshots
        self._embedder = embedder
        self._dims = dims
        self._lock = threading.RLock()
        self._index = VectorIndex(dims)
        self._generation, self._stamp = meta.BEFORE_ANYTHING
        # The store and the document of each chunk by the chunk's number; 0: there is no such chunk. Grows by doubling.
        self._places: NDArray[np.int32] = np.zeros((2, 1024), np.int32)
        self._last = 0
        self._unsaved = 0

    def open(self) -> None:
        """Start from the snapshot if it can be trusted, else from the store."""
        with self._lock, self._database.read() as tx:
            try:
                self._resume(tx)
            except SnapshotRefused as problem:
                log.warning("index snapshot refused, rebuilding from the store: %s", problem)
                self._snapshots.clear()
                self._rebuild(tx)

    @contextmanager
    def view(self) -> Iterator[Transaction]:
        """The store at one moment, with the index caught up to that very moment.

        One view at a time: a scan keeps all cores busy by itself.
        """
        with self._lock, self._database.read() as tx:
            self._catch_up(tx)
            yield tx

    def nearest(self, query: Vectors, k: int, scope: Scope) -> list[int]:
        """The `k` chunks within the scope that are nearest to `query`; inside a `view`."""
        stores, documents = self._places[:, : self._last + 1]
        if scope.document_nos is None:
            return self._index.search(query, k, _within(stores, scope.store_nos))
        return self._index.search(query, k, _within(documents, scope.document_nos))

    def forget(self) -> None:
        """After a removal: drop every snapshot on disk, and take what is gone out of memory."""
        self._snapshots.clear()
        with self.view():
            pass

    def save_if_due(self) -> None:
        with self._lock:
            due = self._unsaved >= max(DUE_ROWS, DUE_SHARE * self._index.rows)
        if due:
            self.save()

    def save(self) -> None:
        """Write a snapshot, unless the last one says the same."""
        with self.view():
            if not self._unsaved:
                return
            try:
                name, manifest = self._snapshots.stage(
                    self._index, generation=self._generation, stamp=self._stamp, embedder=self._embedder
                )
            except FileNotFoundError:
                log.info("index snapshot given up: another process cleared the folder")
                return
            unsaved, self._unsaved = self._unsaved, 0
        # No removal can be committed while this holds the write lock, so nothing removed gets published.
        with self._database.write() as tx:
            is_clean = passages.last_removal(tx) <= manifest.generation
            published = is_clean and self._snapshots.publish(name, manifest)
        if not published:
            with self._lock:
                self._unsaved += unsaved
            if not is_clean:
                self._snapshots.clear()

    def _resume(self, tx: Transaction) -> None:
        loaded = self._snapshots.load(self._embedder, self._dims)
        if loaded is None:
            self._rebuild(tx)
            return
        index, manifest = loaded
        if meta.stamp_of(tx, manifest.generation) != manifest.stamp:
            raise SnapshotRefused(f"generation {manifest.generation} is of another history")
        if passages.last_removal(tx) > manifest.generation:
            # The process that removed something died before it could drop the snapshot.
            self._snapshots.clear()
        self._index, self._generation, self._stamp = index, manifest.generation, manifest.stamp
        held = set(index.numbers.tolist())
        stored = passages.places_of_chunks(tx)
        self._last = max(held, default=0)
        self._reserve(self._last)
        for number in held & stored.keys():
            self._places[:, number] = stored[number]
        self._unsaved = 0
        gone = set(passages.removed(tx, manifest.generation))
        if not held <= stored.keys() | gone:
            raise SnapshotRefused("it holds chunks that the store never removed")
        self._catch_up(tx)
        if self._index.rows != len(stored):
            raise SnapshotRefused(f"the store has {len(stored)} vectors, the index {self._index.rows}")

    def _rebuild(self, tx: Transaction) -> None:
        self._index = VectorIndex(self._dims)
        self._places = np.zeros((2, 1024), np.int32)
        self._last = 0
        self._add(tx)
        self._generation, self._stamp = meta.generation(tx)

    def _catch_up(self, tx: Transaction) -> None:
        now = meta.generation(tx)
        if now == (self._generation, self._stamp):
            return
        if meta.stamp_of(tx, self._generation) != self._stamp:
            log.warning("the store was replaced under the index, rebuilding")
            self._rebuild(tx)
            return
        gone = [number for number in passages.removed(tx, self._generation) if number <= self._last]
        self._index.remove(gone)
        self._places[:, gone] = 0
        self._unsaved += len(gone)
        self._add(tx)
        self._generation, self._stamp = now

    def _add(self, tx: Transaction) -> None:
        added = passages.vectors(tx, after=self._last)
        while batch := list(islice(added, BATCH)):
            numbers, stores, documents, blobs = zip(*batch, strict=True)
            self._reserve(numbers[-1])
            vectors = np.frombuffer(b"".join(blobs), np.dtype("<f4")).reshape(len(batch), self._dims)
            self._index.add(numbers, vectors)
            self._places[:, list(numbers)] = stores, documents
            self._last = numbers[-1]
            self._unsaved += len(batch)

    def _reserve(self, number: int) -> None:
        room = self._places.shape[1]
        if number >= room:
            grown = np.zeros((2, max(2 * room, number + 1)), np.int32)
            grown[:, :room] = self._places
            self._places = grown


def _within(places: NDArray[np.int32], allowed: Sequence[int]) -> Visible:
    """Say of each chunk whether its place is one of those allowed."""
    flags = np.zeros(max(int(places.max()), *allowed, 0) + 1, np.bool_)
    flags[list(allowed)] = True
    flags[0] = False
    return flags[places]
