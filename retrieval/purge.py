"""After a removal: clear its remains from the data directory, and look into every file for what is left.

SQLite zeroes what it frees, but not what it has moved before (a page rebuilt, a word cut for the top of the lexical
index). So nothing is taken for granted: all files are read for runs of the removed texts, and where any are found that
nothing still stored accounts for, larger and larger parts are written anew, until none are found.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from stat import S_ISREG

import numpy as np

from retrieval.database_file import BACKUP
from retrieval.disk import reported, sync_folder
from retrieval.erasure import Erasure, Purge, Scan
from retrieval.locks import PURGE, trying
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.runs import Hashes, Sought, contents, in_rooms
from retrieval.store import erasures, files, leaving
from retrieval.store.database import Database

log = logging.getLogger(__name__)

READERS = "a long search kept the write-ahead log from being emptied"
_SNAPSHOTS = "the index's snapshots"
ELSEWHERE = "another process is purging"
# Small values are read together: a call for each word would take longer than reading them.
_JOINED_BYTES = 1 << 20
_NONE: Hashes = np.zeros(0, np.uint64)
_APART = b"\0\xff" * 6
_Remedy = tuple[str, Callable[[], None]]


class Purger:
    """Clears and looks. One process at a time does; the others say so and leave it to that one."""

    def __init__(self, database: Database, originals: Originals, mirror: Mirror, data_dir: Path) -> None:
        self._database = database
        self._originals = originals
        self._mirror = mirror
        self._data_dir = data_dir

    def purge(
        self, known: Callable[[], Iterable[str | bytes]] = tuple, besides: Collection[str] = frozenset()
    ) -> Purge:
        """Clear away what is left of removed documents, and look for it in every file of the data directory.

        Args:
            known: texts and blobs that other files of the data directory hold by right.
            besides: erasures that are not looked for now.
        """
        with trying(self._data_dir / PURGE) as is_ours:
            if not is_ours:
                return Purge(problem=ELSEWHERE)
            with self._database.read() as tx:
                pending = erasures.next_purge(tx, besides)
                stored = files.known(tx)
            # Afterwards: what is removed meanwhile leaves words that this may pass over, and is not among these.
            leaving.take_out(self._database)
            if not pending:
                return Purge()
            self._clear(stored)
            scan, left = None, _NONE
            rewrites, remedies = list[str](), self._remedies()
            for sought in self._parts(pending):
                try:
                    looked = self._cleared(sought, known, rewrites, remedies)
                except OSError as error:
                    return Purge(problem=_in_words(error), waiting=tuple(pending))
                if looked is None:
                    return Purge(problem=READERS, waiting=tuple(pending))
                scan = looked[0] if scan is None else scan.followed_by(looked[0])
                left = np.union1d(left, looked[1])
            assert scan is not None, "there is a part, if only an empty one"
            if scan.is_clean:
                return Purge(tuple(pending), scan)
            # What a file of somebody's says of one keeps no other one open.
            waiting = tuple(erasure for erasure in pending if self._has_any(erasure, left))
            proven = tuple(erasure for erasure in pending if erasure not in waiting)
            return Purge(proven, scan, f"remains in {', '.join(scan.traces)}", waiting)

    def _parts(self, pending: Sequence[Erasure]) -> Iterator[Sought]:
        """All runs of what was removed, so many at a time as memory has room for."""

        with self._database.read() as tx:
            key = erasures.run_key(tx, pending[0].erasure_id)  # they share it
        for part in in_rooms(chain.from_iterable(map(self._hashes, pending)), erasures.MOST_TOGETHER):
            yield Sought(part, key)

    def _hashes(self, erasure: Erasure) -> Iterator[Hashes]:
        with self._database.read() as tx:  # no longer than that: a log that is read cannot be emptied
            removed = erasures.removed(tx, erasure.erasure_id)
        yield from removed.hashes()

    def _has_any(self, erasure: Erasure, hashes: Hashes) -> bool:
        return any(np.isin(part, hashes).any() for part in self._hashes(erasure))

    def _cleared(
        self,
        sought: Sought,
        known: Callable[[], Iterable[str | bytes]],
        rewrites: list[str],
        remedies: Iterator[_Remedy],
    ) -> tuple[Scan, Hashes] | None:
        """Look, and rewrite until nothing is found or nothing is left to be rewritten; None: a reader is in the way.

        Returns:
            What was found, and the hashes of the runs that are left.
        """
        while self._database.checkpoint():
            scan, left = self._scan(sought, known, rewrites)
            if scan.is_clean or (remedy := self._remedy(scan, remedies)) is None:
                return scan, left
            name, rewrite = remedy
            log.info("remains of removed documents in %s: rewriting %s", ", ".join(scan.traces), name)
            rewrite()
            rewrites.append(name)
        return None

    def _clear(self, stored: set[str]) -> None:
        """Unlink what belongs to removed documents, or may hold them: a process may have died before it could.

        It stays gone, whatever becomes of the machine: a certificate says so.
        """
        with self._database.write():
            # Under the write lock nobody adopts a file, so one that the store does not know belongs to nobody.
            with self._database.read() as tx:
                stored |= files.known(tx)
            self._originals.sweep(stored)
        self._originals.sync()
        self._mirror.forget()
        with reported(self._data_dir):
            for path in self._data_dir.glob(f"{self._database.path.name}.v*{BACKUP}*"):
                log.info("the copy %s, made before a migration, goes with what was removed since", path.name)
                path.unlink(missing_ok=True)
            sync_folder(self._data_dir)

    def _remedy(self, scan: Scan, remedies: Iterator[_Remedy]) -> _Remedy | None:
        if any(name.startswith("index/") for name in scan.traces) and _SNAPSHOTS not in scan.rewrites:
            return _SNAPSHOTS, self._mirror.discard
        database = self._database.path.name
        if {database, f"{database}-wal", f"{database}-shm"}.isdisjoint(scan.traces):
            return None  # no rewriting of the store takes a copy out of somebody else's file
        return next(remedies, None)

    def _remedies(self) -> Iterator[_Remedy]:
        # Of documents that were removed since the purge began, and said the same.
        yield "what is on its way out of the lexical index", partial(leaving.take_out, self._database)
        yield "the lexical index's parts", partial(self._respell, wholly=False)
        yield "the lexical index", partial(self._respell, wholly=True)
        yield "the database", self._database.vacuum

    def _respell(self, *, wholly: bool) -> None:
        with self._database.write() as tx:
            erasures.respell(tx, wholly=wholly)

    def _scan(
        self, sought: Sought, known: Callable[[], Iterable[str | bytes]], rewrites: list[str]
    ) -> tuple[Scan, Hashes]:
        found: dict[str, Hashes] = {}
        read = 0
        count = 0
        for path in self._suspects():
            count += 1
            for block in contents(path):
                read += len(block)
                if len(hits := sought.within(block)):
                    name = path.relative_to(self._data_dir).as_posix()
                    found[name] = np.union1d(found[name], hits) if name in found else hits
        remains = Sought(np.concatenate([_NONE, *found.values()]), sought.key)
        unexplained = self._unexplained(remains, known)
        traces = tuple(name for name, hits in found.items() if len(np.intersect1d(hits, unexplained.hashes)))
        scan = Scan(count, read, len(sought), len(remains) - len(unexplained), tuple(rewrites), traces)
        return scan, unexplained.hashes

    def _suspects(self) -> Iterator[Path]:
        """The files of the data directory, less those that hold what they hold by right.

        Those are the originals of what is stored, and what is being handed in: it is no remain of anything, even where
        it says the same as what was removed. What was handed in to a process that has died was unlinked before.
        """
        with self._database.read() as tx:
            stored = files.known(tx)
        for folder, _, names in os.walk(self._data_dir, onerror=_refuse):
            for name in sorted(names):
                path = Path(folder, name)
                if _is_file(path) and not self._originals.is_held(path, stored):
                    yield path

    def _unexplained(self, remains: Sought, known: Callable[[], Iterable[str | bytes]]) -> Sought:
        """The runs among `remains` that nothing holds by right; looked at after the files, which grow meanwhile."""
        with self._database.read() as tx:
            manifests = (path.read_bytes() for path in (self._data_dir / "index").glob("*.json"))
            by_right: Iterable[Iterable[str | bytes]] = (
                erasures.still_stored(tx),
                known(),
                manifests,
                erasures.vectors_still_stored(tx),
                erasures.words_still_stored(tx),
                self._stored_files(files.known(tx)),
            )
            for block in _joined(chain.from_iterable(by_right)):
                if not len(remains):
                    break
                remains = remains.without(remains.within(block))
        return remains

    def _stored_files(self, file_ids: set[str]) -> Iterator[bytes]:
        for file_id in file_ids:
            with suppress(FileNotFoundError):  # removed meanwhile: another purge's business
                yield self._originals.read(file_id)


def _refuse(error: OSError) -> None:
    """What cannot be listed may hold anything, unless it is gone."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_file(path: Path) -> bool:
    """As `Path.is_file`, which takes what it may not look at for something else."""
    try:
        return S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _in_words(error: OSError) -> str:
    return str(error) if error.filename is None else f"{error.filename} cannot be read: {error.strerror}"


def _joined(values: Iterable[str | bytes]) -> Iterator[bytes]:
    """Values in larger blocks, apart by what no text has: runs across two of them mean nothing."""
    block = bytearray()
    for value in values:
        block += _APART + (value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        if len(block) >= _JOINED_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)
