"""The rows of a SQLite file as they lie in it, for who has to tell what it holds by right from what is left in it.

The values of a row stand side by side, with nothing between them, in the table and again in each index. So the file
says what two of them say together, though no value does (sqlite.org/fileformat2.html).
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

# Each file begins with it.
MAGIC = b"SQLite format 3\0"
# The table of tables, indexes and triggers; it is not listed in itself.
SCHEMA = "sqlite_schema"
_INTEGER_BYTES = (1, 2, 3, 4, 6, 8)

Query = Callable[[str], Iterable[tuple[Any, ...]]]


class Layout:
    """Where the columns of one table lie: in the table, and once more in each of its indexes."""

    def __init__(self, query: Query, table: str) -> None:
        """Learn it from the schema.

        Args:
            query: rows of a statement.
        """
        columns = list(query(f'PRAGMA main.table_xinfo("{table}")'))
        indexes = list(query(f'PRAGMA main.index_list("{table}")'))
        has_rowid = not any(is_without for *_, is_without, _ in query(f'PRAGMA main.table_list("{table}")'))
        # What `stretches` reads of a row, the row's number first.
        self.columns = ", ".join(("rowid" if has_rowid else "NULL", *(f'"{column[1]}"' for column in columns)))
        self._orders = [_places(query, index) for _, index, *_ in indexes]
        # A primary key without an index is the row's number, which is no part of the row. Of a table without numbers,
        # the index of the primary key is all there is.
        if has_rowid:
            has_key = any(origin == "pk" for *_, origin, _ in indexes)
            self._orders.append([place for place, column in enumerate(columns, 1) if has_key or not column[5]])

    def stretches(self, row: Sequence[Any]) -> Iterator[bytes]:
        """What stands side by side of a row that was read as `columns`: once in the table, once in each index."""
        for order in self._orders:
            yield b"".join(_spelled(row[place]) for place in order)


def _places(query: Query, index: str) -> list[int]:
    # By their place in the table from 0; -1 is the row's number.
    return [column + 1 for _, column, *_ in query(f'PRAGMA main.index_xinfo("{index}")')]


def _spelled(value: str | bytes | float | None) -> bytes:
    """A value as a row has it; its length and kind stand at the row's beginning."""
    match value:
        case str():
            return value.encode("utf-8", "surrogatepass")
        case bytes():
            return value
        case float():
            return struct.pack(">d", value)
        case None | 0 | 1:  # said by their kind
            return b""
        case _:
            size = next(size for size in _INTEGER_BYTES if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1)
            return value.to_bytes(size, "big", signed=True)
