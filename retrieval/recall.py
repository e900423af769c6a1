"""What a graph would find of a store, beside what there is to be found: measured on the store itself."""

import time
from collections.abc import Callable, Sequence

import anyio.to_thread
import numpy as np

from retrieval.embedder import Embedder
from retrieval.graphs import BATCH
from retrieval.mirror import Mirror
from retrieval.retriever import CANDIDATES
from retrieval.store import passages, scope, stores
from retrieval.store.scope import Scope
from retrieval.types import Reader, Recall

# Told how many chunks are in the graph so far, and how many there are.
Report = Callable[[int, int], None]

QUESTIONS = 200
# Without questions of their own, stores are asked with the first words of their passages.
_FIRST_WORDS = 12


class Trial:
    """Builds graphs to measure them. Not where searches are served: they would have to share the time."""

    def __init__(self, mirror: Mirror, embedder: Embedder) -> None:
        self._mirror = mirror
        self._embedder = embedder

    async def measure(
        self, store: str, reader: Reader, questions: Sequence[str] = (), report: Report = lambda done, total: None
    ) -> Recall:
        """Search a store by a graph, whatever its own choice is, and compare that with looking at every chunk.

        Args:
            questions: what to ask; none: the first words of passages drawn at random, with a fixed seed.
            report: called from a worker thread while the graph is being built.

        Raises:
            StoreNotFound: the store does not exist, or `reader` may not read it.
        """
        return await anyio.to_thread.run_sync(self._measure, store, reader, questions, report)

    def _measure(self, store: str, reader: Reader, questions: Sequence[str], report: Report) -> Recall:
        with self._mirror.view() as tx:
            store_no = stores.number(tx, store, reader)
            found_in = scope.resolve(tx, [store_no], None, self._mirror.lists.hidden(tx, reader))
        chunks = self._mirror.try_graph(store_no)
        done = 0
        while self._mirror.grow_graphs():
            done += BATCH
            report(min(done, chunks), chunks)
        if not self._mirror.rows_in_graph(store_no):
            return Recall(chunks, 0, 1.0, 0.0, 0.0)
        asked = self._embedder.embed(questions or self._drawn(found_in))
        shares, by_graph, exactly = [], [], []
        for query in asked:
            with self._mirror.view() as tx:
                visible = self._mirror.visible(found_in)
                began = time.perf_counter()
                # As deep as a search goes: a walk that is to find more finds more of the first ten.
                near = self._mirror.nearest(tx, query, CANDIDATES, visible)
                between = time.perf_counter()
                nearest = self._mirror.nearest_exactly(tx, query, CANDIDATES, visible)
                ended = time.perf_counter()
            shares.append(len({*near[:10]} & {*nearest[:10]}) / len(nearest[:10]) if nearest else 1.0)
            by_graph.append(between - began)
            exactly.append(ended - between)
        graph_ms, exact_ms = (float(np.median(seconds)) * 1000 for seconds in (by_graph, exactly))
        return Recall(chunks, len(asked), float(np.mean(shares)), graph_ms, exact_ms)

    def _drawn(self, found_in: Scope) -> list[str]:
        with self._mirror.view() as tx:
            numbers = np.flatnonzero(self._mirror.visible(found_in))
            drawn = np.random.default_rng(0).choice(numbers, min(QUESTIONS, len(numbers)), replace=False)
            loaded = passages.load(tx, np.sort(drawn).tolist())
        return [" ".join(stored.text.split()[:_FIRST_WORDS]) for stored in loaded]
