"""Vectors of length one, an index of them beside what it was made of, and its snapshots."""

import numpy as np

from retrieval.embedder import Vectors
from retrieval.index import Numbers, VectorIndex, Visible
from retrieval.snapshots import Snapshots

DIMS = 8


def unit(count: int, seed: int = 0, dims: int = DIMS) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, dims)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


class Filled:
    """An index of chunks from number 1 on, or of the given numbers, beside their vectors as stored."""

    def __init__(self, vectors: Vectors, numbers: list[int] | None = None) -> None:
        self.vectors = vectors
        self.numbers = np.asarray(numbers or range(1, len(vectors) + 1))
        self.index = VectorIndex(DIMS)
        self.index.add(self.numbers.tolist(), vectors)
        self.asked = 0

    def exact(self, numbers: Numbers) -> Vectors:
        self.asked += len(numbers)
        return self.vectors[np.searchsorted(self.numbers, numbers)]

    def all(self) -> Visible:
        flags = np.zeros(int(self.numbers[-1]) + 1, np.bool_)
        flags[self.numbers] = True
        return flags

    def search(self, query: Vectors, k: int, visible: Visible | None = None) -> list[int]:
        return self.index.search(query, k, self.all() if visible is None else visible, self.exact)

    def ranked(self, query: Vectors, visible: Visible | None = None) -> list[int]:
        """What comparing every vector finds."""
        order = np.lexsort((self.numbers, -(self.vectors @ query)))
        seen = self.all() if visible is None else visible
        return [int(number) for number in self.numbers[order] if seen[number]]


def held(index: VectorIndex) -> list[int]:
    """The chunk numbers that an index holds, block by block."""
    return [int(number) for block in index.blocks.values() for number in block.numbers]


def publish(snapshots: Snapshots, filled: Filled, generation: int = 3) -> None:
    last = int(filled.numbers[-1])
    assert snapshots.publish(snapshots.stage(filled.index, generation=generation, stamp="s", embedder="e", last=last))
