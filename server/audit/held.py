"""What a log holds in the clear, and by right, for who looks through its file for the remains of erased texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrieval.database_rows import SCHEMA, Layout
from server.audit.chain import AuditError
from server.database import Connection, Unreadable, looking

_AT_ONCE = 500  # rows; between them writers carry their records on into the file
# Notes come first: one that becomes a record meanwhile is read as that.
_READABLE = (("begun", "note", "record"), ("audit", "number", "record"), ("private", "number", "request"))


def held(path: Path) -> Iterator[bytes]:
    """Every record, note and request of a log, and its schema; nothing where there is no log.

    Raises:
        AuditError: it is there, and cannot be read.
    """
    if not path.exists():
        return
    try:
        with looking(path) as db:
            layout = Layout(db.execute, SCHEMA)
            schema: list[Any] = db.execute(f"SELECT name, {layout.columns} FROM {SCHEMA}").fetchall()
            yield from (stretch for _, *row in schema for stretch in layout.stretches(row))
            names = {name for name, *_ in schema}
            for table, number, column in _READABLE:
                if table in names:  # the log may be of an earlier version, with recording switched off since
                    yield from _values(db, table, number, column)
    except Unreadable as error:
        raise AuditError(f"{path} cannot be read: {error}") from error


def _values(db: Connection, table: str, number: str, column: str) -> Iterator[bytes]:
    # As bytes: a damaged file may hold anything.
    query = (
        f"SELECT {number}, CAST({column} AS BLOB) FROM {table} WHERE {number} > ? ORDER BY {number} LIMIT {_AT_ONCE}"
    )
    last: Any = -(2**63)
    while rows := db.execute(query, (last,)).fetchall():
        last = rows[-1][0]
        yield from (value for _, value in rows if isinstance(value, bytes))
