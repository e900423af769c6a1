"""Who may use what, as SQL: owners and lists of names. Access is denied by default. Who may write may read as well."""

import json
from collections.abc import Sequence
from typing import Literal

from retrieval.errors import NotTheOwner
from retrieval.store.database import Transaction
from retrieval.types import EVERYONE, Access, Reader

Mode = Literal["read", "write"]

# Of these bindings, both JSON lists with a place for a reader and one for the application that acts for it:
# ?1: the only stores that each may use, null where there is no such limit; NULL where neither has one.
# ?2: the names of each, null for an admin. ?3: the mode.
_PLACES = range(2)


def for_each_reader(rule: str) -> str:
    """A condition that holds if `rule` does for each reader. `NAMES` in it becomes a query of that reader's names.

    Nothing in that query depends on a row, so SQLite evaluates it once for a statement.
    """
    parts = [
        f"(json_extract(?2, '$[{at}]') IS NULL OR "
        + rule.replace("NAMES", f"SELECT value FROM json_each(?2, '$[{at}]')")
        + ")"
        for at in _PLACES
    ]
    return f"({' AND '.join(parts)})"


# Of `stores`. Owners are granted whatever the lists say.
MAY_USE = """
    (stores.owner IN (NAMES) OR EXISTS (
        SELECT 1 FROM access
        WHERE access.store_no = stores.store_no AND access.mode IN (?3, 'write') AND access.name IN (NAMES)))
"""
ALLOWED = " AND ".join(
    f"""
    (json_extract(?1, '$[{at}]') IS NULL
        OR stores.store_id IN (SELECT value FROM json_each(?1, '$[{at}]'))
        OR stores.name IN (SELECT value FROM json_each(?1, '$[{at}]')))
    """
    for at in _PLACES
)
# What was removed is there for nobody, though documents may still be in it.
THERE = "stores.removed_by IS NULL"
GRANTED = f"({THERE} AND {ALLOWED} AND {for_each_reader(MAY_USE)})"


def grants(reader: Reader, mode: Mode) -> tuple[str | None, str, Mode]:
    """The bindings ?1 to ?3 of a query that asks for what `reader` may see."""
    each = reader.each()
    allowed = [None if one.stores is None else sorted(one.stores) for one in each]
    names = [None if one.is_admin else sorted({*one.names, EVERYONE}) for one in each]
    return None if allowed == [None] * len(each) else json.dumps(allowed), json.dumps(names), mode


def principal(reader: Reader) -> str:
    """The `user:` name that owns what this reader creates."""
    names = sorted(name for name in reader.names if name.startswith("user:"))
    if not names:
        raise ValueError("a reader without a user: name cannot own a store or a file")
    return names[0]


def refuse_sharing(tx: Transaction, table: str, column: str, number: int, reader: Reader) -> None:
    """Refuse a change of who may use a store or a file, unless it is the owner's, or an admin's.

    An application that acts for one need not own it: that it may write it is asked elsewhere.

    Raises:
        NotTheOwner: it is somebody else's.
    """
    if not owns(tx, table, column, number, reader):
        raise NotTheOwner


def owns(tx: Transaction, table: str, column: str, number: int, reader: Reader) -> bool:
    """Whether a store or a file is a reader's, or the reader an admin."""
    ((owner,),) = tx.rows(f"SELECT owner FROM {table} WHERE {column} = ?", number)
    return reader.is_admin or owner in reader.names


def replace(tx: Transaction, table: str, column: str, number: int, access: Access) -> None:
    """Replace the lists of a store or a file."""
    tx.run(f"DELETE FROM {table} WHERE {column} = ?", number)
    lists: Sequence[tuple[Mode, tuple[str, ...]]] = (("read", access.read), ("write", access.write))
    tx.many(
        f"INSERT OR IGNORE INTO {table} ({column}, mode, name) VALUES (?, ?, ?)",
        [(number, mode, name) for mode, names in lists for name in names],
    )


def listed(tx: Transaction, table: str, column: str, number: int) -> Access:
    """The lists of a store or a file."""
    lists: dict[str, list[str]] = {"read": [], "write": []}
    for mode, granted in tx.rows(f"SELECT mode, name FROM {table} WHERE {column} = ? ORDER BY name", number):
        lists[mode].append(granted)
    return Access(read=tuple(lists["read"]), write=tuple(lists["write"]))


def readers_of_store(tx: Transaction, store_no: int) -> tuple[str, ...]:
    """The names that may read a store."""
    return tuple(
        row[0]
        for row in tx.rows(
            "SELECT owner FROM stores WHERE store_no = ?1 UNION SELECT name FROM access WHERE store_no = ?1",
            store_no,
        )
    )
