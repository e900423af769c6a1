"""Stores, and who may read or write them. What a reader may not see is reported as missing."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex

from retrieval.errors import StoreExpired, StoreNameRefused, StoreNotFound
from retrieval.store import paging, personal
from retrieval.store.access import (
    GRANTED,
    THERE,
    Mode,
    grants,
    listed,
    principal,
    refuse_sharing,
    replace,
)
from retrieval.store.database import Transaction
from retrieval.store.meta import advance, revoke
from retrieval.store.scope import VISIBLE, has_limits, visible
from retrieval.types import Access, Counts, Cursor, Description, IndexKind, Page, PersonalDataPolicy, Reader, Store

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_COLUMNS = """
    stores.store_no, stores.store_id, stores.name, stores.owner, stores.created_at, stores.last_active_at,
    stores.title, stores.description, stores.metadata, stores.expires_days, stores.personal_data,
    stores.vector_index
"""
DAY_S = 86_400
# A search every second need not write every second.
TOUCHED_EVERY_S = 60
IS_EXPIRED = f"(has_expired OR expires_days IS NOT NULL AND last_active_at + expires_days * {DAY_S} <= ?1)"


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


def sharable(tx: Transaction, name_or_id: str, reader: Reader) -> int:
    """The row number of a store whose lists `reader` may change.

    Raises:
        StoreNotFound: it does not exist, or `reader` may not write it.
        NotTheOwner: `reader` may write it, but neither owns it nor is an admin.
    """
    store_no = number(tx, name_or_id, reader, "write")
    refuse_sharing(tx, "stores", "store_no", store_no, reader)
    return store_no


def exists(tx: Transaction, name_or_id: str) -> bool:
    """Say whether there is such a store, whoever asks; only for deciding whether a name is free."""
    return bool(tx.rows(f"SELECT 1 FROM stores WHERE (store_id = ?1 OR name = ?1) AND {THERE}", name_or_id))


def listing(tx: Transaction, reader: Reader) -> list[Store]:
    rows = tx.rows(f"SELECT {_COLUMNS} FROM stores WHERE {GRANTED} ORDER BY stores.name", *grants(reader, "read"))
    return [_store(tx, reader, *row) for row in rows]


def one(tx: Transaction, store_no: int, reader: Reader) -> Store:
    """One store, with what it holds of what `reader` may read."""
    (row,) = tx.rows(f"SELECT {_COLUMNS} FROM stores WHERE store_no = ?", store_no)
    return _store(tx, reader, *row)


def page(tx: Transaction, reader: Reader, cursor: Cursor) -> Page[Store]:
    """The stores that `reader` may read."""
    rows, has_more = paging.page(
        tx,
        f"SELECT {_COLUMNS} FROM stores WHERE {GRANTED}",
        grants(reader, "read"),
        column="stores.store_no",
        cursor=cursor,
        kind="store",
        reader=reader,
        find=lambda name_or_id: number(tx, name_or_id, reader),
    )
    return Page(tuple(_store(tx, reader, *row) for row in rows), has_more)


def holdings(tx: Transaction, store_no: int, reader: Reader) -> tuple[Counts, int]:
    """How many documents a store holds that `reader` may read, by status, and the bytes that they take."""
    if has_limits(tx, [store_no]):
        rows = tx.rows(
            "SELECT status, count(*), sum(usage_bytes) FROM documents JOIN files USING (file_no)"
            f" WHERE store_no = ?5 AND {VISIBLE} GROUP BY status",
            *visible(reader),
            store_no,
        )
    else:
        rows = tx.rows(
            "SELECT status, count(*), sum(usage_bytes) FROM documents WHERE store_no = ? GROUP BY status", store_no
        )
    return Counts(**{status: count for status, count, _ in rows}), sum(used for _, _, used in rows)


def describe(tx: Transaction, store_no: int, description: Description) -> None:
    """Replace what is said of a store.

    Raises:
        StoreExpired: it has not been used for as long as it was to be kept, which a change does not undo.
        StoreNotEmpty: it would begin or cease to redact, and holds files.
    """
    refuse_expired(tx, [store_no])
    personal.set_policy(tx, store_no, description.personal_data)
    set_index(tx, store_no, description.index)
    tx.run(
        "UPDATE stores SET title = ?, description = ?, metadata = ?, expires_days = ?, last_active_at = ?"
        " WHERE store_no = ?",
        description.name,
        description.text,
        json.dumps(dict(description.metadata)),
        description.expires_days,
        int(time.time()),
        store_no,
    )


def change(tx: Transaction, store_no: int, changed: Callable[[Description], Description], reader: Reader) -> None:
    """Replace what is said of a store by what becomes of it.

    Raises:
        StoreExpired, StoreNotEmpty: see `describe`.
        RedactionDecided: it would begin or cease to redact, and not for an admin.
    """
    description = changed(one(tx, store_no, reader).description)
    personal.refuse_deciding(tx, store_no, description.personal_data, reader)
    describe(tx, store_no, description)


def set_index(tx: Transaction, store_no: int, index: IndexKind) -> None:
    """Say how a store is searched from now on."""
    if tx.run("UPDATE stores SET vector_index = ?1 WHERE store_no = ?2 AND vector_index != ?1", index, store_no):
        advance(tx)  # so that every process hears of it


def with_graph(tx: Transaction) -> list[int]:
    """The stores that are to be searched by a graph."""
    return [row[0] for row in tx.rows(f"SELECT store_no FROM stores WHERE vector_index = 'hnsw' AND {THERE}")]


def refuse_expired(tx: Transaction, store_nos: Sequence[int]) -> None:
    """Raise StoreExpired if one of the stores has not been used for as long as it was to be kept."""
    found = tx.rows(
        f"SELECT store_id FROM stores WHERE {IS_EXPIRED} AND store_no IN (SELECT value FROM json_each(?2))",
        int(time.time()),
        json.dumps(store_nos),
    )
    if found:
        raise StoreExpired(found[0][0])


def numbers(tx: Transaction, used: Mapping[str, int]) -> dict[int, int]:
    """Moments by row number instead of name or id, whoever asks; what no longer exists is left out."""
    rows = tx.rows(
        "SELECT store_no, max(used.value) FROM stores JOIN json_each(?) AS used"
        " ON used.key IN (store_id, name) GROUP BY store_no",
        json.dumps(dict(used)),
    )
    return {row[0]: row[1] for row in rows}


def ids(tx: Transaction, store_nos: Sequence[int]) -> dict[int, str]:
    """Ids by row number."""
    rows = tx.rows(
        "SELECT store_no, store_id FROM stores WHERE store_no IN (SELECT value FROM json_each(?))",
        json.dumps(store_nos),
    )
    return {row[0]: row[1] for row in rows}


def names(tx: Transaction) -> frozenset[str]:
    """The ids and names of all stores, whoever asks."""
    rows = tx.rows(f"SELECT store_id, name FROM stores WHERE {THERE}")
    return frozenset(name for row in rows for name in row if name)


def touch(tx: Transaction, used: Mapping[int, int]) -> None:
    """Write down when stores were last used."""
    for store_no, moment in used.items():
        tx.run(
            "UPDATE stores SET last_active_at = ?2"
            " WHERE store_no = ?1 AND last_active_at < ?2 - ?3 AND NOT has_expired",
            store_no,
            moment,
            TOUCHED_EVERY_S,
        )


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
        "INSERT INTO stores (store_id, name, owner, created_at, last_active_at) VALUES (?1, ?2, ?3, ?4, ?4)",
        f"vs_{token_hex(12)}",
        name,
        owner,
        int(time.time()),
    )
    advance(tx)  # and no more: nobody has read what was not there
    replace(tx, "access", "store_no", store_no, access or Access(read=(owner,), write=(owner,)))
    return store_no


def grant(tx: Transaction, store_no: int, access: Access) -> None:
    """Replace a store's access lists."""
    revoke(tx)
    replace(tx, "access", "store_no", store_no, access)


def _store(
    tx: Transaction,
    reader: Reader,
    store_no: int,
    store_id: str,
    name: str,
    owner: str,
    created_at: int,
    last_active_at: int,
    title: str | None,
    description: str | None,
    metadata: str,
    expires_days: int | None,
    personal_data: PersonalDataPolicy,
    index: IndexKind,
) -> Store:
    counts, usage_bytes = holdings(tx, store_no, reader)
    expires_at = None if expires_days is None else last_active_at + expires_days * DAY_S
    return Store(
        store_id=store_id,
        name=name,
        owner=owner,
        access=listed(tx, "access", "store_no", store_no),
        counts=counts,
        created_at=created_at,
        usage_bytes=usage_bytes,
        last_active_at=last_active_at,
        expires_at=expires_at,
        is_expired=expires_at is not None and expires_at <= time.time(),
        description=Description(title, description, json.loads(metadata), expires_days, personal_data, index),
    )
