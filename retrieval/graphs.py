"""The graphs of all stores that are to have one: which serve, which are being built, and what is to be done next.

Nothing depends on a graph being there or complete: chunks that no graph answers for are looked through one by one.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors
from retrieval.graph import ROWS_PER_STEP, STEPS, Graph
from retrieval.index import Numbers, Visible

log = logging.getLogger(__name__)

# Chunks added at a time: a tenth of a second, for which a search of that store may have to wait.
BATCH = 256
# A graph is built anew when that much of it are rows of removed chunks. Up to there it lost no recall
# (`python -m tests.bench.graph`); a walk is the longer by as much.
EMPTY_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """Below which sizes a graph is not worth it."""

    # Any search of fewer chunks is quicker without one.
    least_rows: int = STEPS * ROWS_PER_STEP
    rows_per_step: int = ROWS_PER_STEP


class Graphs:
    """Not thread-safe but for the graphs: their owner holds a lock."""

    def __init__(self, dims: int, limits: GraphLimits = GraphLimits()) -> None:
        self._dims = dims
        self._limits = limits
        self._wanted: frozenset[int] = frozenset()
        self._serving: dict[int, Graph] = {}
        self._coming: dict[int, Graph] = {}

    def rows(self, store_no: int) -> int:
        """How many chunks of a store its serving graph holds."""
        graph = self._serving.get(store_no)
        return 0 if graph is None else graph.rows

    def want(self, store_nos: Collection[int]) -> None:
        """Say which stores are to have a graph; those of other stores are dropped."""
        self._wanted = frozenset(store_nos)
        for graphs in (self._serving, self._coming):
            for store_no in graphs.keys() - self._wanted:
                del graphs[store_no]

    def clear(self) -> None:
        """Drop all graphs, to be built anew."""
        self._serving.clear()
        self._coming.clear()

    def remove(self, numbers: Sequence[int]) -> None:
        """Take chunks out of all graphs, also of those being built."""
        for graph in (*self._serving.values(), *self._coming.values()):
            graph.remove(numbers)

    def nearest(self, query: Vectors, k: int, visible: Visible) -> tuple[Numbers, Visible]:
        """The chunks that graphs found, and flags of the visible ones that no graph answers for."""
        found = [np.zeros(0, np.int64)]
        rest = visible
        for graph in self._serving.values():
            near, answered = graph.nearest(query, k, visible)
            if len(near):
                rest = rest.copy() if rest is visible else rest
                rest[answered] = False
                found.append(near)
        return np.concatenate(found), rest

    def next_step(self, stores: NDArray[np.int32]) -> tuple[Graph, Numbers] | None:
        """A graph and the next chunks to be added to it; None: there is nothing to do.

        Args:
            stores: the store of each chunk by the chunk's number; 0: there is no such chunk.
        """
        for store_no in sorted(self._wanted):
            graph = self._one_to_fill(store_no, stores)
            if graph is None:
                continue
            first = graph.last + 1
            missing = np.flatnonzero(stores[first:] == store_no)[:BATCH] + first
            if len(missing):
                return graph, missing
            graph.reach(len(stores) - 1)
            if graph is self._coming.get(store_no):
                self._serving[store_no] = self._coming.pop(store_no)
                log.info("store %d is searched by a graph of %d chunks", store_no, graph.rows)
        return None

    def _one_to_fill(self, store_no: int, stores: NDArray[np.int32]) -> Graph | None:
        serving, coming = self._serving.get(store_no), self._coming.get(store_no)
        if coming is None and (serving is None or serving.empty_share > EMPTY_SHARE):
            if np.count_nonzero(stores == store_no) < self._limits.least_rows:
                self._serving.pop(store_no, None)
                return None
            coming = self._coming[store_no] = Graph(self._dims, self._limits.rows_per_step)
        return coming or serving
