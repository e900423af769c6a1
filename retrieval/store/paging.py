"""Lists by the page: a cursor is an object's id, and goes on meaning its place after the object was deleted
or has expired, for those who could see it until then."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retrieval.errors import CursorUnknown, DocumentNotFound, StoreNotFound
from retrieval.store.database import Transaction, Value
from retrieval.types import EVERYONE, Cursor, Reader

# How long a deleted object's id still says where a list goes on: who deletes page by page needs it for seconds.
REMEMBERED_S = 86_400
# A moment at which nothing has expired yet: what expires is cleared away later, and must not lose its place meanwhile.
WHENEVER = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """Who could see an object until it was deleted: the same names that its list asked for."""

    names: tuple[str, ...]  # of those who could by themselves
    stores: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()  # it was in: id and slug, and who could by it

    def by(self, reader: Reader) -> bool:
        """Whether `reader` could. Who is limited to stores needs one of those that held it, if any did."""
        each = reader.each()
        reached = [
            readers
            for store, readers in self.stores
            if all(one.stores is None or not one.stores.isdisjoint(store) for one in each)
        ]
        names = {*self.names, *(name for readers in reached for name in readers)}
        return (bool(reached) or not self.stores) and all(
            one.is_admin or not names.isdisjoint({*one.names, EVERYONE}) for one in each
        )


def page(
    tx: Transaction,
    select: str,
    values: tuple[Value, ...],
    *,
    column: str,
    cursor: Cursor,
    kind: str,
    reader: Reader,
    find: Callable[[str], int],
) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows of one page, and whether the list goes on behind it (before it, for `before` alone).

    Args:
        select: a query with a WHERE clause and without ORDER BY; its placeholders are numbered.
        column: the row number that the list is ordered by.
        kind: what `depart` calls the objects of this list.
        find: the row number of the object with an id; raises a NotFound if the reader may not see it.

    Raises:
        CursorUnknown: `after` or `before` is no object of this list.
    """
    is_backwards = cursor.before is not None and cursor.after is None
    is_descending = cursor.is_descending != is_backwards
    for param, place, is_later in (("after", cursor.after, True), ("before", cursor.before, False)):
        if place is not None:
            number = _place(tx, param, place, kind, reader, find)
            select += f" AND {column} {'<' if cursor.is_descending == is_later else '>'} {number}"
    order = "DESC" if is_descending else "ASC"
    rows = tx.rows(f"{select} ORDER BY {column} {order} LIMIT {cursor.limit + 1}", *values)
    shown = rows[: cursor.limit]
    return (shown[::-1] if is_backwards else shown), len(rows) > cursor.limit


def depart(tx: Transaction, kind: str, object_id: str, number: int, seen: Seen) -> None:
    """Remember where in its list a deleted object was, and for whom."""
    now = int(time.time())
    tx.run("DELETE FROM departed WHERE left_at < ?", now - REMEMBERED_S)
    tx.run(
        "INSERT OR REPLACE INTO departed (kind, id, number, left_at, seen) VALUES (?, ?, ?, ?, ?)",
        kind,
        object_id,
        number,
        now,
        json.dumps([seen.names, seen.stores]),
    )


def _place(tx: Transaction, param: str, object_id: str, kind: str, reader: Reader, find: Callable[[str], int]) -> int:
    try:
        return find(object_id)
    except (DocumentNotFound, StoreNotFound) as error:
        found = tx.row("SELECT number, seen FROM departed WHERE kind = ? AND id = ?", kind, object_id)
        if found is None or not Seen(*json.loads(found[1])).by(reader):
            raise CursorUnknown(param, object_id) from error
        return int(found[0])
