"""An exact vector index in memory, in blocks of half-precision vectors.

It knows chunk numbers and vectors, not documents, and it holds nothing that the store does not. Scanning half precision
reads half the bytes; what it finds is compared again in full precision, until nothing else can come before it, or
nothing that is nearer by more than the rounding.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors

Numbers = NDArray[np.int64]
Visible = NDArray[np.bool_]
T = TypeVar("T", int, Numbers)
# The stored vectors of some chunks, in the given order: (n,) chunk numbers to (n, dims) float32.
Exact = Callable[[Numbers], Vectors]

# Chunk numbers in one block: 12 MB of MiniLM's vectors, so that a change rewrites milliseconds' worth of snapshot.
BLOCK = 16_384
# Half precision moves a component by at most 2^-11 of itself (2^-25 where it is tiny), so the product of two unit
# vectors by 0.00049 at most; the rest is for sums in single precision.
ROUNDING = 0.0005
# Compared again at most, where there are more that half precision cannot tell apart: copies, as a rule.
TIED = 8192
# Blocks are scanned side by side, a core for each: faiss splits work by queries, and there is one. Without the threads
# of its own that it would start all the same.
_SCANNERS = ThreadPoolExecutor(
    os.cpu_count(), thread_name_prefix="scan", initializer=faiss.omp_set_num_threads, initargs=(1,)
)


class SnapshotRefused(Exception):
    """A snapshot that cannot be trusted; the message says why."""


class Block:
    """The vectors of `BLOCK` successive chunk numbers, as far as those chunks exist."""

    def __init__(self, dims: int) -> None:
        self.saved: str | None = None  # the file that holds exactly this
        self._index = faiss.IndexIDMap(
            faiss.IndexScalarQuantizer(dims, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        )

    @property
    def rows(self) -> int:
        return int(self._index.ntotal)

    @property
    def numbers(self) -> Numbers:
        """Its chunk numbers, in the order of its rows."""
        held: Numbers = faiss.vector_to_array(self._index.id_map)
        return held

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        self.saved = None
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)

    def remove(self, numbers: Numbers) -> None:
        self.saved = None
        self._index.remove_ids(faiss.IDSelectorBatch(numbers))

    def nearest(self, query: Vectors, k: int, selector: faiss.IDSelector | None) -> tuple[Vectors, Numbers]:
        """(n,) products in falling order and (n,) chunk numbers, of at most `k` chunks that the selector lets pass."""
        params = None if selector is None else faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        scores, numbers = self._index.search(query[None], min(k, self.rows), params=params)
        found = numbers[0] >= 0
        return scores[0][found], numbers[0][found]

    def image(self) -> NDArray[np.uint8]:
        """The bytes of a file that `read` reads: a copy, which later changes leave alone."""
        copied: NDArray[np.uint8] = faiss.serialize_index(self._index)
        return copied

    @classmethod
    def read(cls, path: Path, dims: int) -> "Block":
        """Read a file of an `image`.

        Raises:
            SnapshotRefused: it is no block of this kind.
        """
        try:
            loaded = faiss.read_index(str(path))
        except RuntimeError as error:
            raise SnapshotRefused(f"{path.name}: {error}") from error
        if not isinstance(loaded, faiss.IndexIDMap) or loaded.d != dims:
            raise SnapshotRefused(f"{path.name}: not a block of {dims} dimensions")
        block = cls(dims)
        block._index, block.saved = loaded, path.name
        return block


class VectorIndex:
    """Vectors of unit length by chunk number. Not thread-safe: its owner holds a lock."""

    def __init__(self, dims: int) -> None:
        self._dims = dims
        self.blocks: dict[int, Block] = {}  # by `block_of`; none is empty

    @property
    def rows(self) -> int:
        return sum(block.rows for block in self.blocks.values())

    def other_than(self, stored: Numbers) -> list[int]:
        """The blocks that do not hold exactly what belongs there of these chunks; numbers in rising order."""
        wanted = {at: stored[start:end] for at, start, end in _runs(stored)}
        nothing = np.zeros(0, np.int64)
        held = {at: np.sort(block.numbers) for at, block in self.blocks.items()}
        return [at for at in {*wanted, *held} if not np.array_equal(held.get(at, nothing), wanted.get(at, nothing))]

    def add(self, numbers: Sequence[int], vectors: Vectors) -> None:
        """Add chunks that it does not hold yet; numbers in rising order."""
        added = np.asarray(numbers, np.int64)
        for at, start, end in _runs(added):
            self.blocks.setdefault(at, Block(self._dims)).add(added[start:end], vectors[start:end])

    def remove(self, numbers: Sequence[int]) -> set[int]:
        """Forget these chunks; those that it does not hold are no error. Returns the blocks that numbers fall into."""
        gone = np.unique(np.asarray(numbers, np.int64))
        touched = set()
        for at, start, end in _runs(gone):
            touched.add(at)
            if block := self.blocks.get(at):
                block.remove(gone[start:end])
                if not block.rows:
                    del self.blocks[at]
        return touched

    def search(self, query: Vectors, k: int, visible: Visible, exact: Exact) -> list[int]:
        """The `k` nearest chunks among the visible ones, nearest first; of equals, the lower number first.

        Where thousands lie within the rounding of the `k`th, the order within the rounding is that of those compared.

        Args:
            query: (dims,) float32 of unit length.
            visible: one flag per chunk number. Access, store and deletion act here, inside the scan,
                so that `k` are found wherever `k` are visible.
            exact: the vectors as stored.
        """
        if k < 1:
            return []
        depth, most = 2 * k, max(2 * k, TIED)
        while True:
            scores, numbers = self._scan(query, depth, visible)
            products = exact(numbers) @ query
            order = np.lexsort((numbers, -products))[:k]
            # Whatever the scan left out lies at most the rounding above the last that it brought.
            if len(numbers) < depth or depth == most or products[order[-1]] > scores[-1] + ROUNDING:
                return [int(number) for number in numbers[order]]
            depth = min(4 * depth, most)

    def _scan(self, query: Vectors, depth: int, visible: Visible) -> tuple[Vectors, Numbers]:
        """(n,) products in half precision in falling order, and the (n,) chunks; fewer than `depth`: all there are."""
        bits = np.packbits(visible, bitorder="little")
        # faiss replaces the constructors that its stubs describe (class_wrappers.py).
        selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        scans: list[tuple[Block, faiss.IDSelector | None]] = []
        for at, block in self.blocks.items():
            if count := int(np.count_nonzero(visible[at * BLOCK : (at + 1) * BLOCK])):
                # Without a selector the scan does not ask for each row; removed chunks are not in it anyway.
                scans.append((block, None if count == block.rows else selector))
        found = [(np.zeros(0, np.float32), np.zeros(0, np.int64))]
        found += _SCANNERS.map(lambda scan: scan[0].nearest(query, depth, scan[1]), scans)
        scores = np.concatenate([scores for scores, _ in found])
        numbers = np.concatenate([numbers for _, numbers in found])
        best = np.lexsort((numbers, -scores))[:depth]
        return scores[best], numbers[best]


def block_of(number: T) -> T:
    """The block that a chunk number belongs to; of an array, each one's."""
    return number // BLOCK


def _runs(numbers: Numbers) -> list[tuple[int, int, int]]:
    """(block, start, end) of each run of rising numbers that fall into one block."""
    blocks = block_of(numbers)
    borders = (np.flatnonzero(np.diff(blocks)) + 1).tolist()
    return [(int(blocks[start]), start, end) for start, end in pairwise([0, *borders, len(numbers)]) if start < end]
