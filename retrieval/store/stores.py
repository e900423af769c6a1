"""Stores, and who may read or write them. What a reader may not see is reported as missing."""

import re
import time
from secrets import token_hex

from retrieval.errors import StoreNameRefused, StoreNotFound
from retrieval.store import documents
from retrieval.store.access import GRANTED, Mode, grants, listed, principal, replace
from retrieval.store.database import Transaction
from retrieval.store.erasures import Occasion
from retrieval.store.meta import advance
from retrieval.store.scope import VISIBLE, visible
from retrieval.types import Access, Counts, Reader, Store

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_COLUMNS = "stores.store_no, stores.store_id, stores.name, stores.owner, stores.created_at"


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
    return [_store(tx, reader, *row) for row in rows]


def one(tx: Transaction, store_no: int, reader: Reader) -> Store:
    """One store, with what it holds of what `reader` may read."""
    (row,) = tx.rows(f"SELECT {_COLUMNS} FROM stores WHERE store_no = ?", store_no)
    return _store(tx, reader, *row)


def counts(tx: Transaction, store_no: int, reader: Reader) -> Counts:
    """How many documents a store holds that `reader` may read, by status."""
    rows = tx.rows(
        f"SELECT status, count(*) FROM documents JOIN files USING (file_no)"
        f" WHERE store_no = ?5 AND {VISIBLE} GROUP BY status",
        *visible(reader),
        store_no,
    )
    return Counts(**dict(rows))


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
    replace(tx, "access", "store_no", store_no, access)


def remove(tx: Transaction, store_no: int, occasion: Occasion) -> list[str]:
    """Remove a store with its documents; return the ids of files that went with it, to be unlinked."""
    held = [row[0] for row in tx.rows("SELECT document_no FROM documents WHERE store_no = ?", store_no)]
    gone = [file_id for document_no in held if (file_id := documents.remove(tx, document_no, occasion))]
    advance(tx)
    tx.run("DELETE FROM stores WHERE store_no = ?", store_no)
    return gone


def _store(
    tx: Transaction, reader: Reader, store_no: int, store_id: str, name: str, owner: str, created_at: int
) -> Store:
    return Store(
        store_id=store_id,
        name=name,
        owner=owner,
        access=listed(tx, "access", "store_no", store_no),
        counts=counts(tx, store_no, reader),
        created_at=created_at,
    )
