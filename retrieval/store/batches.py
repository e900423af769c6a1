"""Batches: files put into a store together, watched and cancelled together."""

import time
from collections.abc import Sequence
from secrets import token_hex

from retrieval.errors import BatchNotFound
from retrieval.store import jobs
from retrieval.store.database import Transaction
from retrieval.store.scope import VISIBLE, visible
from retrieval.types import Batch, BatchStatus, Counts, Reader


def create(tx: Transaction, store_no: int, document_nos: Sequence[int]) -> int:
    """Make a batch of documents of a store; return its row number."""
    batch_no = tx.insert(
        "INSERT INTO batches (batch_id, store_no, created_at) VALUES (?, ?, ?)",
        f"vsfb_{token_hex(12)}",
        store_no,
        int(time.time()),
    )
    tx.many(
        "INSERT OR IGNORE INTO batch_documents (batch_no, document_no) VALUES (?, ?)",
        [(batch_no, document_no) for document_no in document_nos],
    )
    return batch_no


def number(tx: Transaction, store_no: int, batch_id: str) -> int:
    """The row number of a batch of this store.

    Raises:
        BatchNotFound: the store has no such batch.
    """
    found = tx.row("SELECT batch_no FROM batches WHERE store_no = ? AND batch_id = ?", store_no, batch_id)
    if found is None:
        raise BatchNotFound(batch_id)
    return int(found[0])


def one(tx: Transaction, batch_no: int, reader: Reader) -> Batch:
    """A batch, with the counts of what `reader` may read."""
    batch_id, store_id, created_at, is_cancelled = tx.rows(
        "SELECT batch_id, store_id, batches.created_at, is_cancelled FROM batches JOIN stores USING (store_no)"
        " WHERE batch_no = ?",
        batch_no,
    )[0]
    rows = tx.rows(
        "SELECT status, count(*) FROM batch_documents JOIN documents USING (document_no) JOIN files USING (file_no)"
        f" WHERE batch_no = ?5 AND {VISIBLE} GROUP BY status",
        *visible(reader),
        batch_no,
    )
    counts = Counts(**dict(rows))
    return Batch(batch_id, store_id, created_at, _status(counts, bool(is_cancelled)), counts)


def cancel(tx: Transaction, batch_no: int, reader: Reader) -> None:
    """Give up what has not been read yet of what `reader` may see; what was read stays, and a batch of which all was.

    Once: a file that is put in again afterwards is no longer this batch's to give up.
    """
    if tx.rows("SELECT is_cancelled FROM batches WHERE batch_no = ?", batch_no)[0][0]:
        return
    open_ones = tx.rows(
        "SELECT document_no FROM batch_documents JOIN documents USING (document_no) JOIN files USING (file_no)"
        f" WHERE batch_no = ?5 AND status = 'in_progress' AND {VISIBLE}",
        *visible(reader),
        batch_no,
    )
    if open_ones:
        tx.run("UPDATE batches SET is_cancelled = 1 WHERE batch_no = ?", batch_no)
    for (document_no,) in open_ones:
        jobs.cancel(tx, document_no)


def _status(counts: Counts, is_cancelled: bool) -> BatchStatus:
    if counts.in_progress:
        return "in_progress"
    if is_cancelled:
        return "cancelled"
    return "failed" if counts.failed and counts.failed == counts.total else "completed"
