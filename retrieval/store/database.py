"""Connections and transactions: the store's only way to SQLite. It knows no table."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from retrieval.database_file import bring_forward, copy, keep_beside, place_of, transaction
from retrieval.errors import StoreFailed
from retrieval.store.schema import MIGRATIONS, TOKENIZER, refuse_newer

Value = str | bytes | int | float | None

# Longest wait for another process's write. Writes here are one document each, so more means that something hangs.
BUSY_MS = 15_000
# A checkpoint waits for readers only as long as a caller can wait for its deletion.
CHECKPOINT_MS = 1_000
# Connections kept open for the next caller. Each holds up to 2 MB of pages for as long as it lives, so that a crowd's
# would never be given back; opening one more takes less than a millisecond.
KEPT = 8


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
            self._place = place_of(path)
            with self._connection() as connection:
                keep_beside(path, connection)
                bring_forward(
                    path, connection, migrations, lambda found: refuse_newer(path, found=found, known=len(migrations))
                )

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
            keep_beside(self.path, connection)
            connection.execute("VACUUM").fetchall()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced, without the free space; others may write meanwhile."""
        with _translated(self.path), self._connection() as connection:
            copy(connection, path)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with _translated(self.path), self._connection() as connection, transaction(connection, begin):
            yield Transaction(connection)

    @contextmanager
    def _connection(self) -> Iterator[apsw.Connection]:
        with self._lock:
            if self._closed:
                raise StoreFailed(self.path, "it is closed")
            # Connections stay with the file that they opened, and would serve and write what nobody else sees.
            if place_of(self.path) != self._place:
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


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise StoreFailed(path, str(error)) from error
