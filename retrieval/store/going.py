"""Stores on their way out, removed or expired: marked at once, and emptied by `retrieval.clearing`."""

import time

from retrieval.store import documents, jobs, paging
from retrieval.store.access import readers_of_store
from retrieval.store.database import Transaction
from retrieval.store.erasures import Occasion
from retrieval.store.meta import revoke
from retrieval.store.paging import Seen
from retrieval.store.stores import IS_EXPIRED


def are_any_expired(tx: Transaction, now: int) -> bool:
    """Say whether there is an expired store that still holds something."""
    return bool(tx.rows(f"SELECT 1 FROM documents JOIN stores USING (store_no) WHERE {IS_EXPIRED} LIMIT 1", now))


def let_expire(tx: Transaction, now: int) -> None:
    """Have the stores that have expired stay so, to be emptied."""
    tx.run(f"UPDATE stores SET has_expired = 1 WHERE NOT has_expired AND {IS_EXPIRED}", now)


def held_by_expired(tx: Transaction, limit: int) -> list[int]:
    """The row numbers of some documents that are still in stores that were let expire."""
    rows = tx.rows(
        "SELECT document_no FROM stores CROSS JOIN documents USING (store_no) WHERE has_expired LIMIT ?", limit
    )
    return [row[0] for row in rows]


def remove(tx: Transaction, store_no: int, occasion: Occasion) -> list[str]:
    """Remove a store that holds little, with its documents; return the ids of files that went too, to be unlinked."""
    documents_held = [row[0] for row in tx.rows("SELECT document_no FROM documents WHERE store_no = ?", store_no)]
    gone = [file_id for document_no in documents_held if (file_id := documents.remove(tx, document_no, occasion))]
    revoke(tx)
    _depart(tx, store_no)
    end(tx, store_no)
    return gone


def take_away(tx: Transaction, store_no: int, by: str) -> str:
    """Remove a store for everybody, at once; return its id. `retrieval.clearing` takes out what it holds."""
    generation = revoke(tx)
    jobs.give_up(tx, store_no, time.time())
    store_id = _depart(tx, store_no)
    tx.run(
        # No name reads as an id, so that one is free.
        "UPDATE stores SET removed_by = ?, removed_at = ?, removed_in = ?, former_name = name, name = store_id"
        " WHERE store_no = ?",
        by,
        int(time.time()),
        generation,
        store_no,
    )
    return store_id


def taken_away(tx: Transaction) -> list[int]:
    """The row numbers of stores that were removed and are still to be emptied."""
    return [row[0] for row in tx.rows("SELECT store_no FROM stores WHERE removed_by IS NOT NULL")]


def held_by_removed(tx: Transaction) -> int:
    """How many documents are still to be taken out of removed stores."""
    rows = tx.rows(
        "SELECT count(*) FROM stores CROSS JOIN documents USING (store_no) WHERE stores.removed_by IS NOT NULL"
    )
    return int(rows[0][0])


def removal(tx: Transaction, store_no: int) -> Occasion | None:
    """Why what a removed store holds is to go; None: it is empty and forgotten."""
    found = tx.row(
        "SELECT removed_by, removed_at, removed_in FROM stores WHERE store_no = ? AND removed_by IS NOT NULL", store_no
    )
    return None if found is None else Occasion("deleted", *found)


def held(tx: Transaction, store_no: int, limit: int) -> list[int]:
    """The row numbers of some documents of a store, whoever may see them."""
    return [row[0] for row in tx.rows("SELECT document_no FROM documents WHERE store_no = ? LIMIT ?", store_no, limit)]


def end(tx: Transaction, store_no: int) -> None:
    """Forget a removed store that holds nothing any more."""
    assert not held(tx, store_no, 1), "documents would go without a record of their erasure"
    tx.run("DELETE FROM stores WHERE store_no = ?", store_no)


def _depart(tx: Transaction, store_no: int) -> str:
    """Remember a store's place in the list of stores; return its id."""
    store_id, name = tx.rows("SELECT store_id, name FROM stores WHERE store_no = ?", store_no)[0]
    paging.depart(tx, "store", store_id, store_no, Seen(readers_of_store(tx, store_no), (((store_id, name), ()),)))
    return str(store_id)
