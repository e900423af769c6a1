"""A database of the server's own: opened, read and written. Its only file that talks to SQLite."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from retrieval.database_file import bring_forward, copy, keep_beside, place_of, transaction
from retrieval.database_rows import SCHEMA, Layout

Connection = apsw.Connection
BUSY = apsw.BusyError  # another process writes for longer than one waits
FAILED = apsw.Error  # whatever else keeps a statement from being carried out

_LOOKING_MS = 5_000
PIECE_ROWS = 500  # read at once of what may have any number


class Displaced(apsw.Error):
    """Its file is not the one any more that others find under its name."""


class Unreadable(Exception):
    """A database that cannot even be looked at."""


@contextmanager
def looking(path: Path) -> Iterator[apsw.Connection]:
    """A database that is neither created, nor migrated, nor written.

    Raises:
        Unreadable: SQLite cannot read it.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(_LOOKING_MS)
            yield connection
        finally:
            connection.close()
    except (apsw.Error, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error


class Database:
    """One connection, for one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        purpose: str,
        refusal: type[Exception],
        busy_timeout_ms: int,
        migrations: Sequence[str],
        survives_power_cuts: bool = True,
        keeps_no_log: bool = False,
    ) -> None:
        """Open the file, creating it or bringing it forward to the last of `migrations`, one per schema version.

        Args:
            purpose: what it is, as a person is told who cannot use it: "the audit log".
            refusal: what is raised where it cannot be used.
            survives_power_cuts: a commit is on the disk when it returns; without it, with the operating system, which
                a killed process does not lose.
            keeps_no_log: each commit goes on into the database file itself, so that what a damaged write-ahead log
                would lose is what was being written; a second sync for each commit.

        Raises:
            `refusal`: it is of a newer version than this program, or SQLite cannot use it; the message says why.
        """
        self._path, self._refusal = path, refusal
        self._busy_timeout_ms = busy_timeout_ms
        self._migrations = migrations
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(busy_timeout_ms)
            keep_beside(path, self._db)
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", "full" if survives_power_cuts else "normal")
            self._db.pragma("secure_delete", True)
            if keeps_no_log:
                self._db.wal_autocheckpoint(1)
            bring_forward(path, self._db, migrations, self._refuse_newer)
            self._place = place_of(path)
        except apsw.Error as error:
            self._db.close()
            raise refusal(f"{path} cannot be used as {purpose}: {error}") from error
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """The connection, for statements that stand alone.

        Raises:
            Displaced: the file was replaced or removed under this process.
        """
        with self._lock:
            self.check_place()
            yield self._db

    @contextmanager
    def writing(self, *, waits: bool = True) -> Iterator[apsw.Connection]:
        """The connection in a transaction; an exception undoes everything.

        Args:
            waits: for other processes that write; without it they are a failure at once.

        Raises:
            Displaced: as above.
        """
        with self._lock:
            self.check_place()
            if not waits:
                self._db.set_busy_timeout(0)
            try:
                with transaction(self._db):
                    yield self._db
            finally:
                if not waits:
                    self._db.set_busy_timeout(self._busy_timeout_ms)

    @contextmanager
    def trying(self) -> Iterator[apsw.Connection]:
        """A transaction that begins at once or not at all, to find out whether one can be written.

        Raises:
            FAILED: somebody else writes, or it cannot be written.
        """
        if not self._lock.acquire(blocking=False):
            raise BUSY("another thread uses it")
        try:
            self.check_place()
            self._db.set_busy_timeout(0)
            with transaction(self._db):
                yield self._db
        finally:
            self._db.set_busy_timeout(self._busy_timeout_ms)
            self._lock.release()

    def check_place(self) -> None:
        """Look whether others find this very file under its name.

        Raises:
            Displaced: they find another one, or none; what is written here would be nowhere.
        """
        if place_of(self._path) != self._place:
            raise Displaced("it was replaced or removed under this process; restart it")

    def empty_log(self) -> bool:
        """Move what the write-ahead log holds into the file, and cut the log off; False: readers are in the way."""
        with self._lock:
            try:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                return False
        return True

    def stretches(self) -> Iterator[bytes]:
        """All that it holds, as it lies in the file; read in pieces, between which others have their turn."""
        with self._lock:
            tables = [name for (name,) in self._db.execute(f"SELECT name FROM {SCHEMA} WHERE type = 'table'")]
        for table in (SCHEMA, *tables):
            with self._lock:
                layout = Layout(self._db.execute, table)
            last = -(2**63)
            while rows := self._rows_after(table, layout.columns, last):
                last = rows[-1][0]
                yield from (stretch for row in rows for stretch in layout.stretches(row))

    def _rows_after(self, table: str, columns: str, row: int) -> list[Any]:
        with self._lock:
            return self._db.execute(
                f"SELECT {columns} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {PIECE_ROWS}", (row,)
            ).fetchall()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced."""
        with self._lock:
            copy(self._db, path)

    def close(self) -> None:
        """Close the database; nothing may be asked afterwards."""
        with self._lock:
            self._db.close()

    def _refuse_newer(self, version: int) -> None:
        if version > len(self._migrations):
            raise self._refusal(
                f"{self._path} is of version {version}; this program knows up to {len(self._migrations)}."
            )
