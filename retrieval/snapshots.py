"""The index's snapshot on disk: one file for each block, and a manifest that makes them valid together.

A block that changes is written anew, the others stay; a block that is missing or damaged costs reading its vectors
from the store again, and nothing else.
"""

import hashlib
import json
import logging
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex

import numpy as np
from numpy.typing import NDArray

from retrieval.disk import sync_folder
from retrieval.index import Block, SnapshotRefused, VectorIndex

log = logging.getLogger(__name__)

UNREADABLE = (OSError, ValueError, TypeError, KeyError)  # of a manifest that is gone, cut, or of another version


@dataclass(frozen=True, slots=True)
class Saved:
    """One block's file."""

    block: int
    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot claims to be."""

    generation: int
    stamp: str
    embedder: str
    last: int  # the highest chunk number that it could hold
    blocks: tuple[Saved, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a block was at one moment, and the file that is to hold it."""

    name: str
    image: NDArray[np.uint8]


class Snapshots:
    """The folder of snapshots: `<block>-<token>.faiss`, and the manifest `<generation>-<token>.json`, written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[str, str] = {}  # of files written or verified by this process
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def stage(self, index: VectorIndex, *, generation: int, stamp: str, embedder: str, last: int) -> Manifest:
        """Write the blocks that changed; nothing reads them before `publish`."""
        return Manifest(
            generation, stamp, embedder, last, tuple(self._stage(at, block) for at, block in index.blocks.items())
        )

    def copy(self, at: int, block: Block) -> Copied | None:
        """Copy a block that no file holds, to be written while the block may change; None: there is such a file."""
        if block.saved in self._digests and (self.folder / block.saved).exists():
            return None
        block.saved = f"{at}-{token_hex(4)}.faiss"
        return Copied(block.saved, block.image())

    def write(self, copied: Copied) -> None:
        """Write a file, synced to disk."""
        with (self.folder / copied.name).open("wb") as file:
            file.write(copied.image.data)
            file.flush()
            os.fsync(file.fileno())
        self._digests[copied.name] = hashlib.sha256(copied.image.data).hexdigest()

    def withdraw(self, copied: Copied) -> None:
        """Remove a file whose block has changed since it was copied."""
        self._digests.pop(copied.name, None)
        (self.folder / copied.name).unlink(missing_ok=True)

    def publish(self, manifest: Manifest) -> bool:
        """Make a staged snapshot the one to load, and drop all other files; False if one of its files was dropped."""
        if not all((self.folder / saved.file).exists() for saved in manifest.blocks):
            return False
        name = f"{manifest.generation}-{token_hex(4)}"
        aside = self.folder / f"{name}.aside"
        with aside.open("w") as file:
            json.dump(asdict(manifest), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.folder / f"{name}.json")
        sync_folder(self.folder)
        self.clear(keep={f"{name}.json", *(saved.file for saved in manifest.blocks)})
        return True

    def load(self, embedder: str, dims: int) -> tuple[VectorIndex, Manifest] | None:
        """The newest snapshot with those of its blocks that are as they were written; None: there is none.

        Raises:
            SnapshotRefused: its manifest cannot be read, or it is of another embedder.
        """
        try:
            manifest = newest(self.folder)
        except UNREADABLE as error:
            raise SnapshotRefused(f"a manifest cannot be read: {error}") from error
        if manifest is None:
            return None
        if manifest.embedder != embedder:
            raise SnapshotRefused(f"vectors of {manifest.embedder}")
        index = VectorIndex(dims)
        for saved in manifest.blocks:
            try:
                index.blocks[saved.block] = self._read(saved, dims)
            except FileNotFoundError:
                log.info("block %d of the index snapshot was dropped; reading it from the store", saved.block)
            except (OSError, SnapshotRefused) as problem:
                log.warning("block of the index snapshot refused, reading it from the store: %s", problem)
        return index, manifest

    def drop(self, blocks: Collection[int]) -> None:
        """Remove every file of these blocks, and every file that no manifest names: both may hold what is gone."""
        try:
            named = {saved.file for path in self.folder.glob("*.json") for saved in _read_manifest(path).blocks}
        except UNREADABLE:
            named = set()
        for path in self.folder.iterdir():
            is_kept = path.name in named and int(path.name.partition("-")[0]) not in blocks
            if path.suffix != ".json" and not is_kept:
                path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def clear(self, keep: Collection[str] = ()) -> None:
        """Remove every file of every snapshot but those to keep, those being written included."""
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)
        self._digests = {name: digest for name, digest in list(self._digests.items()) if name in keep}
        sync_folder(self.folder)

    def _stage(self, at: int, block: Block) -> Saved:
        if copied := self.copy(at, block):
            self.write(copied)
        assert block.saved is not None, "a block that was written names its file"
        return Saved(at, block.saved, block.rows, self._digests[block.saved])

    def _read(self, saved: Saved, dims: int) -> Block:
        path = self.folder / saved.file
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != saved.sha256:
            raise SnapshotRefused(f"{path.name}: expected sha256 {saved.sha256}, found {found}")
        block = Block.read(path, dims)
        if block.rows != saved.rows:
            raise SnapshotRefused(f"{path.name}: expected {saved.rows} rows, found {block.rows}")
        self._digests[saved.file] = found
        return block


def newest(folder: Path) -> Manifest | None:
    """What the newest snapshot claims to be; None: there is none. What goes wrong is one of `UNREADABLE`."""
    return max(map(_read_manifest, folder.glob("*.json")), key=lambda manifest: manifest.generation, default=None)


def _read_manifest(path: Path) -> Manifest:
    claims = json.loads(path.read_text())
    return Manifest(**claims | {"blocks": tuple(Saved(**saved) for saved in claims["blocks"])})
