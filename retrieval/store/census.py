"""The store counted, for whoever watches over it. Indexes answer, so that no text is read."""

from retrieval.facts import StoreFacts
from retrieval.store import going
from retrieval.store.database import Transaction
from retrieval.store.meta import generation


def take(tx: Transaction, now: float, index: tuple[int, int]) -> StoreFacts:
    """Count.

    Args:
        now: Unix seconds.
        index: the rows and the generation of this process's index.
    """
    rows, index_generation = index
    ((waiting, oldest),) = tx.rows("SELECT count(*), min(created_at) FROM jobs WHERE status IN ('queued', 'running')")
    failed = tx.rows(
        # By way of the stores, since the index is by store and status.
        "SELECT error_code, count(*) FROM stores CROSS JOIN documents USING (store_no)"
        " WHERE status = 'failed' AND error_code IS NOT NULL GROUP BY error_code"
    )
    return StoreFacts(
        documents=dict(tx.rows("SELECT status, count(*) FROM documents GROUP BY status")),
        failed=dict(failed),
        waiting=waiting,
        waiting_s=0.0 if oldest is None else max(0.0, now - oldest),
        generation=generation(tx)[0],
        index_generation=index_generation,
        index_rows=rows,
        held_by_removed=going.held_by_removed(tx),
    )
