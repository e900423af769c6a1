"""The vector index as a mirror of the store: built from it, caught up with it at each search, saved beside it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np

from retrieval.copies import Copies
from retrieval.disk import reported
from retrieval.embedder import Vectors
from retrieval.errors import EmbedderMismatch, StoreFailed
from retrieval.graphs import GraphLimits, Graphs
from retrieval.index import BLOCK, Numbers, SnapshotRefused, VectorIndex, Visible, block_of
from retrieval.lists import AccessLists
from retrieval.places import Places
from retrieval.postings import LexicalIndex
from retrieval.snapshots import Snapshots
from retrieval.store import meta, passages, stores
from retrieval.store.database import Database, Transaction
from retrieval.store.scope import Scope

log = logging.getLogger(__name__)

# Vectors moved from the store to the index at a time: 6 MB, so that a rebuild of a million needs no second copy.
BATCH = 4096
# A snapshot saves time at the next start alone, so it is written when that many chunks have changed, or at the end.
DUE_ROWS = 1000


class Mirror:
    """Owns the index and the lock around it. What writes or drops files raises StoreFailed where the disk refuses."""

    def __init__(
        self,
        database: Database,
        snapshots: Snapshots,
        *,
        embedder: str,
        dims: int,
        graph_limits: GraphLimits = GraphLimits(),
    ) -> None:
        self._database = database
        self._snapshots = snapshots
        self._embedder = embedder
        self._dims = dims
        self._lock = threading.RLock()
        self.words = LexicalIndex()  # for use inside a `view`
        self.lists = AccessLists()  # likewise
        self.copies = Copies()  # likewise
        self._index = VectorIndex(dims)
        self._graphs = Graphs(dims, graph_limits)
        self._tried: set[int] = set()  # stores that have a graph here although they did not ask for one
        self._generation, self._stamp = meta.BEFORE_ANYTHING
        self.held = (0, 0)  # rows and generation, readable without waiting for a search to end
        self._places = Places()
        self._last = 0
        self._unsaved = 0
        self._due = DUE_ROWS
        self._stale: set[int] = set()  # blocks whose files may hold what is gone
        # Of one block written ahead, of publishing, and of dropping files. Taken after the store's write lock, and
        # before the other one.
        self._writing = threading.Lock()

    def open(self) -> None:
        """Start from the snapshot if it can be trusted, else from the store."""
        with reported(self._snapshots.folder), self._lock, self._database.read() as tx:
            try:
                self._resume(tx)
            except SnapshotRefused as problem:
                log.warning("index snapshot refused, rebuilding from the store: %s", problem)
                self._snapshots.clear()
                self._rebuild(tx)
            self._say_held()

    @contextmanager
    def view(self) -> Iterator[Transaction]:
        """The store at one moment, and the index caught up with it; one at a time, as a scan keeps all cores busy."""
        with self._lock, self._database.read() as tx:
            self._catch_up(tx)
            self._say_held()
            yield tx

    def visible(self, scope: Scope) -> Visible:
        """Say of each chunk number whether the scope holds that chunk; inside a `view`."""
        return self._places.visible(scope, self._last)

    def nearest_exactly(self, tx: Transaction, query: Vectors, k: int, visible: Visible) -> list[int]:
        """The `k` visible chunks that are nearest to `query`, nearest first; inside the `view` that gave `tx`."""
        return self._index.search(query, k, visible, lambda numbers: self._stored(tx, numbers))

    def nearest(self, tx: Transaction, query: Vectors, k: int, visible: Visible) -> list[int]:
        """As `nearest_exactly`, but of stores that are searched by a graph nearly all of the nearest; `k` all told."""
        near, rest = self._graphs.nearest(query, k, visible)
        found = self.nearest_exactly(tx, query, k, rest)
        if not len(near):
            return found
        candidates = np.concatenate([near, np.asarray(found, np.int64)])
        order = np.lexsort((candidates, -(self._stored(tx, candidates) @ query)))[:k]
        return [int(number) for number in candidates[order]]

    def try_graph(self, store_no: int) -> int:
        """Have this process alone search a store by a graph, to measure it; return how many chunks it has."""
        with self.view() as tx:
            self._tried.add(store_no)
            self._want_graphs(tx)
            return int(np.count_nonzero(self._places.stores(self._last) == store_no))

    def rows_in_graph(self, store_no: int) -> int:
        """How many chunks of a store searches find by its graph; 0: it has none, or none yet."""
        with self._lock:
            return self._graphs.rows(store_no)

    def grow_graphs(self) -> bool:
        """Add the next chunks to the graphs of the stores that are to have one; say whether there was something to do.

        Searches go on meanwhile, and find all the same what is not in a graph yet.
        """
        with self.view() as tx:
            step = self._graphs.next_step(self._places.stores(self._last))
            if step is None:
                return False
            graph, numbers = step
            vectors = self._stored(tx, numbers)
        graph.add(numbers, vectors)
        return True

    def forget(self) -> None:
        """After a removal: take what is gone out of memory, and drop the snapshot files that hold it."""
        with self.view():
            stale, self._stale = self._stale, set()
        try:
            with self._writing, reported(self._snapshots.folder):
                self._snapshots.drop(stale)
        except StoreFailed:
            with self._lock:
                self._stale |= stale
            raise

    def discard(self) -> None:
        """Drop every snapshot file; the next saving writes them all."""
        with self._writing, self._lock, reported(self._snapshots.folder):
            self._snapshots.clear()
            self._unsaved += self._index.rows

    def save_if_due(self) -> None:
        """Save when enough has changed. What goes wrong is logged, as nothing but time is lost."""
        with self._lock:
            unsaved = self._unsaved
        if unsaved < self._due:
            return
        try:
            self.save()
            self._due = DUE_ROWS
        except StoreFailed as problem:
            self._due = unsaved + DUE_ROWS  # not after each batch, on a disk that is full
            log.warning("the index was not saved, which costs time at the next start: %s", problem)

    def save(self) -> None:
        """Write what the last snapshot does not say."""
        with reported(self._snapshots.folder):
            self._write_ahead()
            with self.view():
                if not self._unsaved:
                    return
                try:
                    manifest = self._snapshots.stage(
                        self._index,
                        generation=self._generation,
                        stamp=self._stamp,
                        embedder=self._embedder,
                        last=self._last,
                    )
                except FileNotFoundError:
                    log.info("index snapshot given up: another process cleared the folder")
                    return
                unsaved, self._unsaved = self._unsaved, 0
            gone, published = list[int](), False
            try:
                # No removal can be committed while this holds the write lock, so nothing removed gets published.
                with self._database.write() as tx, self._writing:
                    gone = passages.removed(tx, manifest.generation)
                    is_known = meta.stamp_of(tx, manifest.generation) == manifest.stamp
                    published = is_known and not gone and self._snapshots.publish(manifest)
            finally:
                if not published:
                    with self._lock:
                        self._unsaved += unsaved
            if not published:
                self._snapshots.drop({block_of(number) for number in gone})

    def _write_ahead(self) -> None:
        """Write the blocks that changed, one by one; searches wait while one is copied, and not while it is written."""
        with self._lock:
            waiting = list(self._index.blocks) if self._unsaved else []
        for at in waiting:
            with self._writing:
                with self._lock:
                    block = self._index.blocks.get(at)
                    copied = None if block is None else self._snapshots.copy(at, block)
                if block is None or copied is None:
                    continue
                self._snapshots.write(copied)
                with self._lock:
                    # It may have lost a chunk meanwhile, whose vector must not stay in a file.
                    if block.saved != copied.name:
                        self._snapshots.withdraw(copied)

    def _say_held(self) -> None:
        self.held = (self._index.rows, self._generation)

    def _resume(self, tx: Transaction) -> None:
        loaded = self._snapshots.load(self._embedder, self._dims)
        if loaded is None:
            self._rebuild(tx)
            return
        index, manifest = loaded
        if meta.stamp_of(tx, manifest.generation) != manifest.stamp:
            raise SnapshotRefused(f"generation {manifest.generation} is of another history, or long past")
        self._index, self._last = index, manifest.last
        self._generation, self._stamp = manifest.generation, manifest.stamp
        self._unsaved = 0
        self._places.read(tx, self._last)
        self._want_graphs(tx)
        self._forget_removed(tx)
        if self._stale:
            # The process that removed something died before it could drop its vectors.
            self._snapshots.drop(self._stale)
            self._stale = set()
        self._repair(tx)
        self._catch_up(tx)

    def _rebuild(self, tx: Transaction) -> None:
        self.words.forget()
        self.lists.forget()
        self.copies.forget()
        self._index = VectorIndex(self._dims)
        self._places.clear()
        self._last = 0
        self._graphs.clear()
        self._want_graphs(tx)
        self._fill(tx, after=self._last, upto=None)
        self._generation, self._stamp = meta.generation(tx)

    def _repair(self, tx: Transaction) -> None:
        """Read again the blocks that do not hold exactly the store's chunks."""
        for at in self._index.other_than(np.flatnonzero(self._places.stores(self._last))):
            if self._index.blocks.pop(at, None) is not None:
                log.warning("block %d of the index snapshot is not what the store holds, reading it again", at)
            self._fill(tx, after=at * BLOCK - 1, upto=min((at + 1) * BLOCK - 1, self._last))

    def _catch_up(self, tx: Transaction) -> None:
        now = meta.generation(tx)
        if now == (self._generation, self._stamp):
            return
        if (stored := meta.embedder(tx)) not in ("", self._embedder):
            raise EmbedderMismatch(stored, self._embedder)
        if meta.stamp_of(tx, self._generation) != self._stamp:
            log.warning("the store was replaced under the index, or has gone far ahead of it: rebuilding")
            self._rebuild(tx)
            return
        self._want_graphs(tx)
        self._forget_removed(tx)
        self._fill(tx, after=self._last, upto=None)
        self._generation, self._stamp = now

    def _want_graphs(self, tx: Transaction) -> None:
        self._graphs.want({*stores.with_graph(tx), *self._tried})

    def _forget_removed(self, tx: Transaction) -> None:
        gone = [number for number in passages.removed(tx, self._generation) if number <= self._last]
        self._stale |= self._index.remove(gone)
        self._graphs.remove(gone)
        self._places.remove(gone)
        self.copies.remove(gone)
        self._unsaved += len(gone)
        if gone:
            self.words.forget()

    def _fill(self, tx: Transaction, *, after: int, upto: int | None) -> None:
        added = passages.vectors(tx, after, upto)
        while batch := list(islice(added, BATCH)):
            numbers, in_stores, in_documents, blobs = zip(*batch, strict=True)
            vectors = np.frombuffer(b"".join(blobs), np.dtype("<f4")).reshape(len(batch), self._dims)
            self._index.add(numbers, vectors)
            self._places.add(numbers, in_stores, in_documents)
            self._last = max(self._last, numbers[-1])
            self._unsaved += len(batch)

    def _stored(self, tx: Transaction, numbers: Numbers) -> Vectors:
        """(n, dims): the vectors as stored."""
        order = np.argsort(numbers)
        blobs = passages.vectors_of(tx, numbers[order].tolist())
        assert len(blobs) == len(numbers), "the index holds a chunk that the store does not"
        vectors = np.empty((len(numbers), self._dims), np.float32)
        vectors[order] = np.frombuffer(b"".join(blobs), np.dtype("<f4")).reshape(-1, self._dims)
        return vectors
