"""The files as they came, by document id. The store says which of them belong to a document."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from retrieval.disk import reported, sync_folder
from retrieval.store import personal
from retrieval.store.database import Database

_ASIDE = ".aside-"


class StagedFile:
    """A file that is still coming; see `retrieval.types.Staged`."""

    def __init__(self, file: FileIO, path: Path, adopt: Callable[[str], None]) -> None:
        self._file = file
        self._path = path
        self._adopt = adopt
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add a piece.

        Raises:
            StoreFailed: the disk is full, or fails.
        """
        with reported(self._path):
            _write(self._file, data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def adopt(self, file_id: str) -> None:
        """Sync it to disk and give it its id.

        Raises:
            StoreFailed: the disk is full, or fails.
        """
        with reported(self._path):
            os.fsync(self._file.fileno())
        self._adopt(file_id)


class Originals:
    """A folder of files named by document id. Methods raise StoreFailed where the disk is full, or fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_held(self, path: Path, known: set[str]) -> bool:
        """Say whether a file is here for a document that is known, or for one that is being handed in."""
        return path.parent == self._folder and (path.name in known or path.name.startswith(_ASIDE))

    @contextmanager
    def staged(self, data: bytes) -> Iterator[Callable[[str], None]]:
        """Write `data` to disk, synced, and yield what gives it its id; without an id it is dropped again."""
        with self._aside() as (aside, file):
            with reported(aside):
                _write(file, data)
                os.fsync(file.fileno())
            yield lambda file_id: self._adopt(aside, file_id)

    def path(self, file_id: str) -> Path:
        return self._folder / file_id

    def open(self, file_id: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            FileNotFoundError: there is none with this id.
        """
        path = self.path(file_id)
        with reported(path):
            try:
                return path.open("rb")
            except FileNotFoundError as error:
                missing = error
        raise missing

    @contextmanager
    def staging(self) -> Iterator[StagedFile]:
        """A file that is still coming, to be written piece by piece; unless it is adopted, it is dropped again."""
        with self._aside() as (aside, file):
            yield StagedFile(file, aside, lambda file_id: self._adopt(aside, file_id))

    def read(self, file_id: str) -> bytes:
        """A file's bytes.

        Raises:
            FileNotFoundError: there is none with this id.
        """
        with self.open(file_id) as file, reported(self.path(file_id)):
            return file.read()

    def remove(self, file_id: str) -> None:
        path = self.path(file_id)
        with reported(path):
            path.unlink(missing_ok=True)

    def drop_redacted(self, database: Database) -> None:
        """Remove what is kept no longer, since its text is stored redacted.

        In a transaction of its own: undone together with the one that stores the text, a file would be gone that is
        still to be read. In a writer's, so that nobody hands such a file in again meanwhile.
        """
        with database.read() as tx:
            if not personal.going(tx):
                return
        with database.write() as tx:
            gone = personal.going(tx)
            for file_id in gone:
                self.remove(file_id)
            personal.are_gone(tx, gone)

    def sweep(self, known: set[str]) -> None:
        """Remove what belongs to no document: left by a process that died between the store and the folder."""
        with reported(self._folder):
            for path in self._folder.iterdir():
                if path.name.startswith(_ASIDE):
                    _drop_abandoned(path)
                elif path.name not in known:
                    self.remove(path.name)

    def sync(self) -> None:
        """Make last what was removed, which a power cut could bring back until then."""
        with reported(self._folder):
            sync_folder(self._folder)

    @contextmanager
    def _aside(self) -> Iterator[tuple[Path, FileIO]]:
        """A file aside, held until it has its id: one that nobody holds was left by a process that died."""
        while True:
            path = self._folder / f"{_ASIDE}{token_hex(8)}"
            with reported(path):
                # Without a buffer, which a full disk would refuse only when the file is closed.
                file = path.open("wb", buffering=0)
            with file:
                with reported(path):
                    fcntl.flock(file, fcntl.LOCK_EX)
                    if not os.fstat(file.fileno()).st_nlink:
                        continue  # a sweep came between the two
                try:
                    yield path, file
                finally:
                    with reported(path):
                        path.unlink(missing_ok=True)
                return

    def _adopt(self, aside: Path, file_id: str) -> None:
        path = self.path(file_id)
        with reported(path):
            aside.rename(path)
            sync_folder(self._folder)


def _write(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _drop_abandoned(path: Path) -> None:
    # Unlinked while it is held: whoever waits to hold it sees then that it has gone.
    with suppress(BlockingIOError, FileNotFoundError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
