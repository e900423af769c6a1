"""Ingest jobs, and the lease that says which process runs them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from retrieval.store import documents
from retrieval.store.database import Transaction
from retrieval.store.erasures import REPLACED
from retrieval.types import Chunking, Fault

# A file whose reading ends the process (out of memory, say) must not end it for ever.
MAX_ATTEMPTS = 3
# From the start of an attempt, without what other jobs took meanwhile. Clients wait until a file's status changes, so
# it has to change. Time in which no process reads files counts for nothing: what was handed in is read, however late.
RUN_DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read. Several jobs may be for one document, found at several sources."""

    job_no: int
    document_no: int
    file_id: str
    filename: str
    source: str
    started_at: float
    attempts: int  # this one included
    owner: str  # the principal who asked for it
    chunking: Chunking | None
    is_counted: bool = True  # as an attempt, if nobody ends it


def enqueue(tx: Transaction, document_no: int, source: str, now: float, owner: str) -> None:
    tx.insert(
        "INSERT INTO jobs (document_no, source, status, created_at, owner) VALUES (?, ?, 'queued', ?, ?)",
        document_no,
        source,
        now,
        owner,
    )


# Owners one by one along the index, so that a thousand jobs of one cost no more than one.
_NEXT = """
WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM jobs WHERE status IN ('queued', 'running')
    UNION ALL
    SELECT (SELECT min(owner) FROM jobs WHERE status IN ('queued', 'running') AND owner > owners.owner)
    FROM owners WHERE owner IS NOT NULL
), first (owner, job_no) AS MATERIALIZED (
    SELECT owner, (
        SELECT job_no FROM jobs
        WHERE owner = owners.owner AND status IN ('queued', 'running')
            AND document_no NOT IN (SELECT value FROM json_each(?1))
        ORDER BY job_no LIMIT 1)
    FROM owners WHERE owner NOT IN (SELECT value FROM json_each(?2))
)
SELECT job_no FROM first LEFT JOIN turns USING (owner) WHERE job_no IS NOT NULL
ORDER BY coalesce(turn, 0), job_no LIMIT 1
"""


def claim(
    tx: Transaction,
    now: float,
    held: Sequence[Job] = (),
    barred: Collection[str] = (),
    *,
    is_counted: bool = True,
) -> Job | None:
    """Start the oldest open job of the owner whose last one started longest ago; only for the holder of the lease.

    A job that is already running was left behind by a holder that died, and starts again, with all of its time.

    Args:
        held: what this holder has claimed and not ended, or keeps for later; neither those nor others for the same
            documents are found.
        barred: owners whose turn it is not, however long they have waited.
        is_counted: False where another file would be to blame if this process were gone.
    """
    documents_held = json.dumps([job.document_no for job in held])
    _fail_tried_out(tx, now, documents_held)
    chosen = tx.row(_NEXT, documents_held, json.dumps(list(barred)))
    if chosen is None:
        return None
    *facts, max_tokens, overlap_tokens = tx.rows(
        "SELECT job_no, document_no, file_id, filename, source, ?, attempts + ?, jobs.owner,"
        " chunk_tokens, overlap_tokens"
        " FROM jobs JOIN documents USING (document_no) JOIN files USING (file_no) WHERE job_no = ?",
        now,
        int(is_counted),
        *chosen,
    )[0]
    chunking = None if max_tokens is None else Chunking(max_tokens, overlap_tokens)
    job = Job(*(*facts, chunking, is_counted))
    tx.run(
        "UPDATE jobs SET status = 'running', attempts = ?, started_at = ? WHERE job_no = ?",
        job.attempts,
        job.started_at,
        job.job_no,
    )
    _take_turn(tx, job.owner)
    return job


def _take_turn(tx: Transaction, owner: str) -> None:
    tx.run(
        "DELETE FROM turns WHERE NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE jobs.owner = turns.owner AND status IN ('queued', 'running'))"
    )
    tx.run("INSERT OR REPLACE INTO turns SELECT ?, 1 + coalesce(max(turn), 0) FROM turns", owner)


def forgo(tx: Transaction, owner: str) -> None:
    """Let an owner's next turn come before all others'."""
    tx.run("UPDATE turns SET turn = 0 WHERE owner = ?", owner)


def give_back(tx: Transaction, held: Sequence[Job]) -> None:
    """Leave started jobs to whoever runs jobs next, as if this attempt had not been."""
    tx.many(
        "UPDATE jobs SET status = 'queued', attempts = attempts - ?, started_at = NULL"
        " WHERE job_no = ? AND status = 'running'",
        [(int(job.is_counted), job.job_no) for job in held],
    )


def is_open(tx: Transaction, job_no: int) -> bool:
    return bool(tx.rows("SELECT 1 FROM jobs WHERE job_no = ? AND status IN ('queued', 'running')", job_no))


def are_open(tx: Transaction, document_no: int) -> bool:
    """Say whether a document is still going to be read."""
    return bool(
        tx.rows("SELECT 1 FROM jobs WHERE document_no = ? AND status IN ('queued', 'running') LIMIT 1", document_no)
    )


def cancel(tx: Transaction, document_no: int) -> None:
    """Give up reading a document."""
    tx.run("DELETE FROM jobs WHERE document_no = ? AND status IN ('queued', 'running')", document_no)
    tx.run("UPDATE documents SET status = 'cancelled' WHERE document_no = ? AND status = 'in_progress'", document_no)


def give_up(tx: Transaction, store_no: int, now: float) -> None:
    """Read nothing more for a store that is removed. Where a file came from stays noted until its erasure is."""
    tx.run(
        "UPDATE jobs SET status = 'failed', error = 'its store was removed', finished_at = ?2"
        " WHERE status IN ('queued', 'running')"
        " AND (SELECT store_no FROM documents WHERE documents.document_no = jobs.document_no) = ?1",
        store_no,
        now,
    )


def supersede(tx: Transaction, store_no: int, source: str, sha256: str) -> list[str]:
    """Give up the open jobs of a source, since it has been handed in again with this content.

    Failed documents of an earlier content of the source go too.

    Returns:
        The ids of files that only those jobs were for, and that are removed.
    """
    stale = tx.rows(
        "SELECT job_no, document_no, sha256 = ?3"
        " FROM jobs JOIN documents USING (document_no) JOIN files USING (file_no)"
        " WHERE store_no = ?1 AND source = ?2 AND jobs.status != 'completed'",
        store_no,
        source,
        sha256,
    )
    removed: list[str] = []
    for job_no, document_no, is_same in stale:
        tx.run("DELETE FROM jobs WHERE job_no = ?", job_no)
        is_wanted = is_same or tx.rows(
            "SELECT 1 FROM documents WHERE document_no = ?1 AND (status = 'completed'"
            " OR EXISTS (SELECT 1 FROM jobs WHERE jobs.document_no = ?1))",
            document_no,
        )
        if not is_wanted and (file_id := documents.remove(tx, document_no, REPLACED)):
            removed.append(file_id)
    return removed


def complete(tx: Transaction, job_no: int, now: float) -> None:
    tx.run("UPDATE jobs SET status = 'completed', finished_at = ? WHERE job_no = ?", now, job_no)


def fail(tx: Transaction, job_no: int, document_no: int, error: str, now: float, fault: Fault) -> None:
    tx.run("UPDATE jobs SET status = 'failed', error = ?, finished_at = ? WHERE job_no = ?", error, now, job_no)
    documents.fail(tx, document_no, error, fault)


def _fail_tried_out(tx: Transaction, now: float, documents_held: str) -> None:
    """End what nobody ended, as it took its process with it too often; but not what is in hand."""
    tried_out = tx.rows(
        "SELECT job_no, document_no FROM jobs WHERE status = 'running' AND attempts >= ?"
        " AND document_no NOT IN (SELECT value FROM json_each(?))",
        MAX_ATTEMPTS,
        documents_held,
    )
    for job_no, document_no in tried_out:
        reason = f"the process ended {MAX_ATTEMPTS} times while it was read; attach it again if it is not to blame"
        fail(tx, job_no, document_no, reason, now, "server_error")


def is_any_open(tx: Transaction) -> bool:
    return bool(tx.rows("SELECT 1 FROM jobs WHERE status IN ('queued', 'running') LIMIT 1"))


def pending(tx: Transaction) -> int:
    return int(tx.rows("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')")[0][0])


def lease(tx: Transaction) -> tuple[str, float] | None:
    """Who holds the lease, and until when; None: nobody. Unix seconds."""
    found = tx.row("SELECT holder, expires_at FROM lease")
    return None if found is None else (found[0], found[1])


def acquire(tx: Transaction, holder: str, now: float, ttl_s: float) -> bool:
    """Take or renew the lease; False while another holder's has not expired."""
    return bool(
        tx.run(
            "INSERT INTO lease (lease_no, holder, expires_at) VALUES (1, ?1, ?2 + ?3)"
            " ON CONFLICT (lease_no) DO UPDATE SET holder = ?1, expires_at = ?2 + ?3"
            " WHERE lease.holder = ?1 OR lease.expires_at <= ?2",
            holder,
            now,
            ttl_s,
        )
    )


def release(tx: Transaction, holder: str) -> None:
    tx.run("DELETE FROM lease WHERE holder = ?", holder)
