"""Connections and transactions: the only file that imports apsw. It knows no table."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import apsw

from retrieval.errors import StoreFailed
from retrieval.locks import half_copies, migrating
from retrieval.store.schema import MIGRATIONS, TOKENIZER, refuse_newer

log = logging.getLogger(__name__)

Value = str | bytes | int | float | None

# Longest wait for another process's write. Writes here are one document each, so more means that something hangs.
BUSY_MS = 15_000
# A checkpoint waits for readers only as long as a caller can wait for its deletion.
CHECKPOINT_MS = 1_000
# Connections kept open for the next caller. Each holds up to 2 MB of pages for as long as it lives, so that a crowd's
# would never be given back; opening one more takes less than a millisecond.
KEPT = 8
# What a copy made before a migration ends in; one that is being made has more behind it.
BACKUP = ".backup"


class Transaction:
    """One open transaction; valid inside the `with` that made it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Value) -> tuple[Any, ...] | None:
        """The only row, or None."""
        found = self.rows(sql, *values)
        assert len(found) <= 1, "a query for one row found several"
        return found[0] if found else None

    def each(self, sql: str, *values: Value) -> Iterator[Any]:
        """Rows one at a time, for results too large to hold."""
        yield from self._connection.execute(sql, values)

    def run(self, sql: str, *values: Value) -> int:
        """Execute one statement and return how many rows it changed."""
        self._connection.execute(sql, values).fetchall()
        return self._connection.changes()

    def insert(self, sql: str, *values: Value) -> int:
        """Execute an INSERT and return the new row's number."""
        self._connection.execute(sql, values).fetchall()
        return self._connection.last_insert_rowid()

    def many(self, sql: str, rows: Iterable[tuple[Value, ...]]) -> None:
        self._connection.executemany(sql, rows).fetchall()

    def words(self, text: str) -> list[str]:
        """`text` as the lexical index reads it: folded, without accents, stemmed."""
        tokenizer = self._connection.fts5_tokenizer(TOKENIZER[0], list(TOKENIZER[1:]))
        tokens = tokenizer(
            text.encode(), apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False, include_colocated=False
        )
        return [str(token) for token in tokens]


class Database:
    """A file, and the connections to it. Safe to share between threads; several processes may hold the same file."""

    def __init__(self, path: Path, migrations: tuple[str, ...] = MIGRATIONS) -> None:
        """Open the file, and create or migrate it.

        Raises:
            SchemaTooNew: a newer version of this software has written it.
            StoreFailed: it cannot be opened.
        """
        self.path = path
        self._idle: list[apsw.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        with _translated(path):
            path.touch(mode=0o600)  # documents are nobody else's; the log beside the file takes its mode
            self._identity = _identity(path)
            with self._connection() as connection:
                _keep_beside(path, connection)
            self._migrate(migrations)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view: what others commit meanwhile stays out of it."""
        with self._transaction("BEGIN") as transaction:
            yield transaction

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The only writer of all processes, until the block ends; an exception undoes everything."""
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    def checkpoint(self) -> bool:
        """Move the log's content into the file and empty the log; say whether no reader was in the way for long."""
        with _translated(self.path), self._connection() as connection:
            connection.set_busy_timeout(CHECKPOINT_MS)
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
            finally:
                connection.set_busy_timeout(BUSY_MS)
            return not busy

    def vacuum(self) -> None:
        """Write the whole file anew, without free space; nobody else can write meanwhile.

        Side effects: twice the file's room is taken beside it meanwhile, by a copy and by the log.
        """
        with _translated(self.path), self._connection() as connection:
            _keep_beside(self.path, connection)
            connection.execute("VACUUM").fetchall()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced, without the free space; others may write meanwhile."""
        with _translated(self.path), self._connection() as connection:
            _copy(connection, path)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with _translated(self.path), self._connection() as connection:
            connection.execute(begin)
            try:
                yield Transaction(connection)
            except BaseException:
                # SQLite may already have rolled back by itself, on a full disk for instance.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[apsw.Connection]:
        with self._lock:
            if self._closed:
                raise StoreFailed(self.path, "it is closed")
            # Connections stay with the file that they opened, and would serve and write what nobody else sees.
            if _identity(self.path) != self._identity:
                raise StoreFailed(self.path, "it was replaced or removed under this process; restart it")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        finally:
            with self._lock:
                keep = not self._closed and not connection.in_transaction and len(self._idle) < KEPT
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(BUSY_MS)
        # FULL: an acknowledged write survives a power cut. secure_delete: freed pages are zeroed.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def _migrate(self, migrations: tuple[str, ...]) -> None:
        with self._connection() as connection:
            version = _version(connection)
        refuse_newer(self.path, found=version, known=len(migrations))
        if version == len(migrations) and not half_copies(self.path):
            return
        # A large file takes longer to copy than writers wait for each other. A new one is nothing to be copied.
        with migrating(self.path) if version or half_copies(self.path) else nullcontext():
            with self._connection() as connection:
                # Off while tables are rebuilt, or dropping the old one would delete what refers to it.
                connection.execute("PRAGMA foreign_keys = OFF")
            with self._transaction("BEGIN IMMEDIATE") as transaction:
                self._bring_forward(transaction, migrations)
            with self._connection() as connection:
                connection.execute("PRAGMA foreign_keys = ON")

    def _bring_forward(self, transaction: Transaction, migrations: tuple[str, ...]) -> None:
        # Read again: another process may have migrated while this one waited, and may know more than this one.
        (version,) = transaction.rows("PRAGMA user_version")[0]
        refuse_newer(self.path, found=version, known=len(migrations))
        self._drop_unfinished()
        if 0 < version < len(migrations):
            self._keep(version)
        for number, script in enumerate(migrations[version:], start=version + 1):
            transaction.run(script)
            transaction.run(f"PRAGMA user_version = {number}")
            assert not transaction.rows("PRAGMA foreign_key_check"), "a migration left a reference to nothing"

    def _keep(self, version: int) -> None:
        """Copy the file as it is before a migration; by who may write, so that nobody else makes a copy meanwhile."""
        backup = self.path.with_name(f"{self.path.name}.v{version}{BACKUP}")
        aside = backup.with_name(f"{backup.name}.unfinished")
        try:
            self.copy_to(aside)
            aside.replace(backup)
        except BaseException:
            self._drop_unfinished()
            raise
        log.info("store schema %d copied to %s before migrating", version, backup.name)

    def _drop_unfinished(self) -> None:
        for left in half_copies(self.path):
            left.unlink(missing_ok=True)


def sqlite_build() -> tuple[str, bool]:
    """SQLite's version, and whether it can search texts."""
    return apsw.sqlite_lib_version(), "ENABLE_FTS5" in apsw.compile_options


@contextmanager
def looking(path: Path) -> Iterator[Transaction]:
    """A view of a database that is neither created, nor migrated, nor written.

    Raises:
        StoreFailed: it cannot be read.
    """
    with _translated(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(BUSY_MS)
            with connection:
                yield Transaction(connection)
        finally:
            connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _keep_beside(path: Path, connection: apsw.Connection) -> None:
    """Have SQLite put its temporary files beside this one: they hold parts of it, a rewriting all of it.

    It does so for all of the process, until this is said of another file.
    """
    connection.pragma("temp_store_directory", str(path.parent.resolve()))


def _copy(connection: apsw.Connection, path: Path) -> None:
    path.touch(mode=0o600)  # filled by SQLite, which keeps its mode
    connection.execute("VACUUM INTO ?", (str(path),)).fetchall()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _version(connection: apsw.Connection) -> int:
    version = connection.execute("PRAGMA user_version").fetchall()[0][0]
    assert isinstance(version, int), "user_version is an integer"
    return version


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise StoreFailed(path, str(error)) from error
