"""Who may use what, as SQL: owners and lists of names. Access is denied by default."""

import json
from collections.abc import Sequence
from typing import Literal

from retrieval.store.database import Transaction
from retrieval.types import EVERYONE, Access, Reader

Mode = Literal["read", "write"]

# Of `stores`. ?1: the reader is an admin; ?2: the reader's names, as a JSON list; ?3: the mode.
# Owners are granted whatever the lists say.
GRANTED = """
    (?1 OR stores.owner IN (SELECT value FROM json_each(?2)) OR EXISTS (
        SELECT 1 FROM access
        WHERE access.store_no = stores.store_no AND access.mode = ?3
            AND access.name IN (SELECT value FROM json_each(?2))))
"""


def grants(reader: Reader, mode: Mode) -> tuple[bool, str, Mode]:
    """The bindings ?1 to ?3 of a query that asks for what `reader` may see."""
    return reader.is_admin, json.dumps(sorted({*reader.names, EVERYONE})), mode


def principal(reader: Reader) -> str:
    """The `user:` name that owns what this reader creates."""
    names = sorted(name for name in reader.names if name.startswith("user:"))
    if not names:
        raise ValueError("a reader without a user: name cannot own a store or a file")
    return names[0]


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
