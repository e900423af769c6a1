"""An exact vector index in memory, and its snapshot on disk: the only file that imports faiss.

It knows chunk numbers and vectors, not documents, and it holds nothing that the store does not.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors

Numbers = NDArray[np.int64]
Visible = NDArray[np.bool_]


class SnapshotRefused(Exception):
    """A snapshot that cannot be trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot claims to be."""

    generation: int
    stamp: str
    embedder: str
    rows: int
    sha256: str


class VectorIndex:
    """Vectors of unit length by chunk number. Not thread-safe: its owner holds a lock."""

    def __init__(self, dims: int) -> None:
        self._dims = dims
        self._index = faiss.IndexIDMap(faiss.IndexFlatIP(dims))

    @property
    def rows(self) -> int:
        return int(self._index.ntotal)

    @property
    def numbers(self) -> Numbers:
        """The chunk numbers that it holds, in the order of its rows."""
        held: Numbers = faiss.vector_to_array(self._index.id_map)
        return held

    def add(self, numbers: Sequence[int], vectors: Vectors) -> None:
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.asarray(numbers, np.int64))

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget these chunks; those that it does not hold are no error."""
        if len(numbers):
            self._index.remove_ids(faiss.IDSelectorBatch(np.asarray(numbers, np.int64)))

    def search(self, query: Vectors, k: int, visible: Visible) -> list[int]:
        """The `k` nearest chunks among the visible ones, nearest first.

        Args:
            query: (dims,) float32 of unit length.
            visible: one flag per chunk number. Access, store and deletion act here, inside the scan,
                so that `k` are found wherever `k` are visible.
        """
        bits = np.packbits(visible, bitorder="little")
        # faiss replaces the constructors that its stubs describe (class_wrappers.py).
        selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        params = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        _, found = self._index.search(query[None], min(k, max(1, self.rows)), params=params)
        return [int(number) for number in found[0] if number >= 0]

    def write(self, path: Path) -> str:
        """Write the index to `path`, synced to disk, and return the file's sha256."""
        faiss.write_index(self._index, str(path))
        with path.open("rb") as file:
            os.fsync(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest()

    @classmethod
    def read(cls, path: Path, dims: int) -> "VectorIndex":
        """Read what `write` wrote.

        Raises:
            SnapshotRefused: it is no index of this kind.
        """
        try:
            loaded = faiss.read_index(str(path))
        except RuntimeError as error:
            raise SnapshotRefused(f"{path.name}: {error}") from error
        if not isinstance(loaded, faiss.IndexIDMap) or loaded.d != dims:
            raise SnapshotRefused(f"{path.name}: not a flat index of {dims} dimensions")
        index = cls(dims)
        index._index = loaded
        return index


class Snapshots:
    """The folder of snapshots: `<name>.faiss` beside `<name>.json`, which is written last and so makes it valid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def stage(self, index: VectorIndex, *, generation: int, stamp: str, embedder: str) -> tuple[str, Manifest]:
        """Write the vectors aside; nothing reads them before `publish`."""
        name = f"{generation}-{token_hex(4)}"
        sha256 = index.write(self._folder / f"{name}.faiss")
        return name, Manifest(generation, stamp, embedder, index.rows, sha256)

    def publish(self, name: str, manifest: Manifest) -> bool:
        """Make a staged snapshot the one to load, and drop the others; False if it was cleared meanwhile."""
        if not (self._folder / f"{name}.faiss").exists():
            return False
        aside = self._folder / f"{name}.aside"
        with aside.open("w") as file:
            json.dump(asdict(manifest), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._folder / f"{name}.json")
        _sync_folder(self._folder)
        self.clear(keep=name)
        return True

    def load(self, embedder: str, dims: int) -> tuple[VectorIndex, Manifest] | None:
        """The newest snapshot, verified; None: there is none.

        Raises:
            SnapshotRefused: it is damaged, or of another embedder.
        """
        try:
            manifests = {path: Manifest(**json.loads(path.read_text())) for path in self._folder.glob("*.json")}
        except (OSError, ValueError, TypeError) as error:
            raise SnapshotRefused(f"a manifest cannot be read: {error}") from error
        if not manifests:
            return None
        path, manifest = max(manifests.items(), key=lambda item: item[1].generation)
        if manifest.embedder != embedder:
            raise SnapshotRefused(f"{path.name}: vectors of {manifest.embedder}")
        try:
            with path.with_suffix(".faiss").open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SnapshotRefused(f"{path.name}: {error}") from error
        if found != manifest.sha256:
            raise SnapshotRefused(f"{path.name}: expected sha256 {manifest.sha256}, found {found}")
        index = VectorIndex.read(path.with_suffix(".faiss"), dims)
        if index.rows != manifest.rows:
            raise SnapshotRefused(f"{path.name}: expected {manifest.rows} rows, found {index.rows}")
        return index, manifest

    def clear(self, keep: str | None = None) -> None:
        """Remove every file of every snapshot but `keep`, those being written included."""
        for path in self._folder.iterdir():
            if path.stem != keep:
                path.unlink(missing_ok=True)
        _sync_folder(self._folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
