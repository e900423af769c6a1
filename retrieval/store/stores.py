"""Stores, and who may read or write them. What a reader may not see is reported as missing."""

import json
import re
import time
from collections.abc import Sequence
from secrets import token_hex
from typing import Literal

from retrieval.errors import StoreNameRefused, StoreNotFound
from retrieval.store.database import Transaction
from retrieval.store.meta import advance
from retrieval.types import EVERYONE, Access, Reader, Store

Mode = Literal["read", "write"]

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

# ?1: the reader is an admin; ?2: the reader's names, as a JSON list. Owners are granted whatever the lists say.
GRANTED = """
    (?1 OR stores.owner IN (SELECT value FROM json_each(?2)) OR EXISTS (
        SELECT 1 FROM access
        WHERE access.store_no = stores.store_no AND access.mode = ?3
            AND access.name IN (SELECT value FROM json_each(?2))))
"""
_COLUMNS = """
    stores.store_no, stores.store_id, stores.name, stores.owner, stores.created_at,
    (SELECT count(*) FROM documents WHERE documents.store_no = stores.store_no AND documents.status = 'completed')
"""


def grants(reader: Reader, mode: Mode) -> tuple[bool, str, Mode]:
    """The bindings ?1 to ?3 of a query that asks for what `reader` may see."""
    return reader.is_admin, json.dumps(sorted({*reader.names, EVERYONE})), mode


def number(tx: Transaction, name_or_id: str, reader: Reader, mode: Mode = "read") -> int:
    """The row number of one store.

    Raises:
        StoreNotFound: it does not exist, or `reader` may not use it in this way.
    """
    found = tx.row(
        f"SELECT store_no FROM stores WHERE (store_id = ?4 OR name = ?4) AND {GRANTED}",
        *grants(reader, mode),
        name_or_id,
    )
    if found is None:
        raise StoreNotFound(name_or_id)
    return int(found[0])


def exists(tx: Transaction, name_or_id: str) -> bool:
    """Say whether there is such a store, whoever asks; only for deciding whether a name is free."""
    return bool(tx.rows("SELECT 1 FROM stores WHERE store_id = ?1 OR name = ?1", name_or_id))


def listing(tx: Transaction, reader: Reader) -> list[Store]:
    rows = tx.rows(f"SELECT {_COLUMNS} FROM stores WHERE {GRANTED} ORDER BY stores.name", *grants(reader, "read"))
    return [_store(tx, *row) for row in rows]


def one(tx: Transaction, store_no: int) -> Store:
    (row,) = tx.rows(f"SELECT {_COLUMNS} FROM stores WHERE store_no = ?", store_no)
    return _store(tx, *row)


def create(tx: Transaction, name: str, reader: Reader, access: Access | None) -> int:
    """Add a store; without `access` only its owner may use it.

    Raises:
        StoreNameRefused: the name is not a slug, or would read as an id or as "no store".
    """
    # A name that reads as an id would make "either is accepted" ambiguous; `model@none` means no store.
    if not _SLUG.fullmatch(name) or name.startswith("vs_") or name == "none":
        raise StoreNameRefused(name)
    owner = principal(reader)
    store_no = tx.insert(
        "INSERT INTO stores (store_id, name, owner, created_at) VALUES (?, ?, ?, ?)",
        f"vs_{token_hex(12)}",
        name,
        owner,
        int(time.time()),
    )
    grant(tx, store_no, access or Access(read=(owner,), write=(owner,)))
    return store_no


def grant(tx: Transaction, store_no: int, access: Access) -> None:
    """Replace a store's access lists."""
    advance(tx)
    tx.run("DELETE FROM access WHERE store_no = ?", store_no)
    lists: Sequence[tuple[Mode, tuple[str, ...]]] = (("read", access.read), ("write", access.write))
    tx.many(
        "INSERT OR IGNORE INTO access (store_no, mode, name) VALUES (?, ?, ?)",
        [(store_no, mode, name) for mode, names in lists for name in names],
    )


def remove(tx: Transaction, store_no: int) -> None:
    """Remove a store in which no search finds anything, with the documents that could not be read."""
    advance(tx)
    tx.run("DELETE FROM stores WHERE store_no = ?", store_no)


def principal(reader: Reader) -> str:
    """The `user:` name that owns what this reader creates."""
    names = sorted(name for name in reader.names if name.startswith("user:"))
    if not names:
        raise ValueError("a reader without a user: name cannot own a store")
    return names[0]


def _store(
    tx: Transaction, store_no: int, store_id: str, name: str, owner: str, created_at: int, documents: int
) -> Store:
    lists: dict[str, list[str]] = {"read": [], "write": []}
    for mode, granted in tx.rows("SELECT mode, name FROM access WHERE store_no = ? ORDER BY name", store_no):
        lists[mode].append(granted)
    return Store(
        store_id=store_id,
        name=name,
        owner=owner,
        access=Access(read=tuple(lists["read"]), write=tuple(lists["write"])),
        documents=documents,
        created_at=created_at,
    )
