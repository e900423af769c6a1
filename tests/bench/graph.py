"""A graph beside the exact index: recall@10 and processor time, by how much may be seen and how much was removed.

    python -m tests.bench.graph [--chunks 20000]

Vectors are synthetic: mixtures of two of `chunks / 50` directions, with noise, as passages gather in subjects. For real
ones there is `hrm-serve recall STORE`. A row of 0 walked means that the graph left the search to the exact index.
"""

import argparse
import json
import time

import faiss
import numpy as np

from retrieval.embedder import DIMS, Vectors
from retrieval.graph import Graph
from retrieval.graphs import BATCH
from retrieval.index import Numbers, VectorIndex, Visible

QUERIES = 100
DEPTH = 50  # candidates, as a search takes from the index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=20_000)
    count = parser.parse_args().chunks
    chance = np.random.default_rng(0)
    directions = _unit(chance.standard_normal((max(2, count // 50), DIMS)))
    vectors, queries = _drawn(chance, directions, count), _drawn(chance, directions, QUERIES)
    numbers = np.arange(1, count + 1)
    graph, exact = Graph(DIMS), VectorIndex(DIMS)
    began = time.process_time()
    for first in range(0, count, BATCH):
        graph.add(numbers[first : first + BATCH], vectors[first : first + BATCH])
    figures = {"chunks": float(count), "build_cpu_ms_per_chunk": (time.process_time() - began) / count * 1000}
    figures["bytes_per_chunk"] = len(faiss.serialize_index(graph._index)) / count
    exact.add(numbers.tolist(), vectors)
    for share in (1.0, 0.5, 0.2, 0.05, 0.01):
        visible = np.concatenate([[False], chance.random(count) < share])
        figures |= _compared(f"visible_{share:.0%}", graph, exact, vectors, queries, visible)
    order = chance.permutation(numbers)
    for before, share in ((0.0, 0.1), (0.1, 0.2), (0.2, 0.5)):
        gone = order[int(before * count) : int(share * count)]
        graph.remove(gone.tolist())
        exact.remove(gone.tolist())
        visible = np.isin(np.arange(count + 1), order[int(share * count) :])
        figures |= _compared(f"removed_{share:.0%}", graph, exact, vectors, queries, visible)
    for name, value in figures.items():
        print(f"{name:32} {value:.3f}")
    print(json.dumps(figures))


def _compared(
    name: str, graph: Graph, exact: VectorIndex, vectors: Vectors, queries: Vectors, visible: Visible
) -> dict[str, float]:
    def stored(numbers: Numbers) -> Vectors:
        return vectors[numbers - 1]

    graph_s, exact_s, recalls = 0.0, 0.0, []
    for query in queries:
        began = time.process_time()
        near, _ = graph.nearest(query, DEPTH, visible)
        near = near[np.argsort(-(stored(near) @ query))]
        between = time.process_time()
        nearest = exact.search(query, DEPTH, visible, stored)
        exact_s += time.process_time() - between
        if len(near):
            graph_s += between - began
            recalls.append(len({*near[:10].tolist()} & {*nearest[:10]}) / 10)
    figures = {f"{name}_exact_cpu_ms": exact_s / len(queries) * 1000, f"{name}_walked": float(len(recalls))}
    if recalls:
        figures |= {
            f"{name}_graph_cpu_ms": graph_s / len(recalls) * 1000,
            f"{name}_recall_at_10": float(np.mean(recalls)),
        }
    return figures


def _drawn(chance: np.random.Generator, directions: Vectors, count: int) -> Vectors:
    one, other = (directions[chance.integers(len(directions), size=count)] for _ in range(2))
    return _unit(one + 0.5 * other + 0.045 * chance.standard_normal((count, DIMS), np.float32))


def _unit(rows: np.ndarray[tuple[int, int], np.dtype[np.floating]]) -> Vectors:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows, np.float32)


if __name__ == "__main__":
    main()
