"""A graph over the vectors of one store (HNSW), which finds most of the nearest chunks without looking at each.

It holds nothing that the store does not, lies in memory alone, and may lack chunks: whatever it does not hold, others
look through. faiss cannot take a row out of such a graph, so a removed chunk leaves an empty row behind.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors
from retrieval.index import Numbers, Visible

# Neighbours of each row, rows looked at to choose them, and rows looked at by a walk. With these, recall@10 was 0.998
# of 30,000 chunks (`python -m tests.bench.graph --chunks 30000`).
NEIGHBOURS = 16
BUILD_STEPS = 100
STEPS = 200
# A step of a walk takes as long as scanning so many rows: 10 microseconds, and 0.16 (the same bench).
ROWS_PER_STEP = 50


class Graph:
    """Vectors of unit length by chunk number. Safe to share between threads."""

    def __init__(self, dims: int, rows_per_step: int = ROWS_PER_STEP) -> None:
        """Make an empty graph; `rows_per_step` 0 walks it however few rows are visible."""
        # faiss replaces the constructors that its stubs describe (class_wrappers.py), here and below.
        half = faiss.ScalarQuantizer.QT_fp16
        self._index = faiss.IndexHNSWSQ(dims, half, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)  # type: ignore[arg-type]
        self._index.hnsw.efConstruction = BUILD_STEPS
        self._rows_per_step = rows_per_step
        self._numbers = np.zeros(0, np.int64)  # by row, those of removed chunks too
        self._holds = np.zeros(0, np.bool_)  # by row
        self._missed: set[int] = set()  # removed while their vectors were on the way here
        self._lock = threading.Lock()
        self.last = 0  # the highest chunk number that was given to it or passed over; whether or not it was taken

    @property
    def rows(self) -> int:
        """How many chunks it holds."""
        return int(np.count_nonzero(self._holds))

    @property
    def empty_share(self) -> float:
        """How much of the graph is rows of removed chunks, of 1."""
        return 1 - self.rows / len(self._holds) if len(self._holds) else 0.0

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Add chunks, in rising order; those up to `last` and those removed since they were read are left out."""
        with self._lock:
            wanted = (numbers > self.last) & ~np.isin(numbers, list(self._missed))
            self._missed.clear()
            # Half of the cores: searches go on meanwhile.
            faiss.omp_set_num_threads(max(1, (os.cpu_count() or 1) // 2))
            self._index.add(np.ascontiguousarray(vectors[wanted], np.float32))
            self._numbers = np.concatenate([self._numbers, numbers[wanted]])
            self._holds = np.concatenate([self._holds, np.ones(np.count_nonzero(wanted), np.bool_)])
            self.last = int(numbers[-1])

    def reach(self, number: int) -> None:
        """Note that up to this chunk there is nothing to be added."""
        with self._lock:
            self._missed.clear()
            self.last = max(self.last, number)

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget these chunks, and overwrite their vectors; those that it does not hold are no error.

        A row of zeros is near to no query, so that walks hardly ever pass it.
        """
        with self._lock:
            self._missed.update(number for number in numbers if number > self.last)
            gone = np.flatnonzero(np.isin(self._numbers, numbers))
            if len(gone):
                self._holds[gone] = False
                self._codes()[gone] = 0

    def nearest(self, query: Vectors, k: int, visible: Visible) -> tuple[Numbers, Numbers]:
        """Find about the `k` nearest of the visible chunks that it holds.

        Args:
            query: (dims,) float32 of unit length.
            visible: one flag per chunk number; access, filters and deletions act here, during the walk.

        Returns:
            (n,) chunks found, at least `k`, and (m,) chunks that it holds and answers for. Both empty: looking at each
            visible chunk is quicker, or the walk has found fewer than `k` although there are more.
        """
        nothing = np.zeros(0, np.int64)
        with self._lock:
            passing = self._holds.copy()
            passing[passing] = visible[self._numbers[passing]]
            count = int(np.count_nonzero(passing))
            # A walk that may keep one row of ten has to be ten times as long to find as many.
            steps = max(STEPS, 2 * k) * len(passing) // max(1, count)
            if count <= k or count < steps * self._rows_per_step:
                return nothing, nothing
            bits = np.packbits(passing, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
            params = faiss.SearchParametersHNSW(sel=selector, efSearch=steps)  # type: ignore[attr-defined]
            # Half precision may order two otherwise than the stored vectors do, so twice as many are compared again.
            _, rows = self._index.search(query[None], min(2 * k, count), params=params)
            found = self._numbers[rows[0][rows[0] >= 0]]
            return (found, self._numbers[self._holds]) if len(found) >= k else (nothing, nothing)

    def _codes(self) -> NDArray[np.uint8]:
        """(rows, bytes) of the vectors where faiss holds them; writable."""
        storage: Any = faiss.downcast_index(self._index.storage)  # whose stubs have no `codes`
        held: NDArray[np.uint8] = faiss.rev_swig_ptr(storage.codes.data(), storage.codes.size())
        return held.reshape(-1, storage.code_size)
