"""Which document a path on disk holds, so that the same content again changes nothing and other content replaces it."""

from collections.abc import Callable

from retrieval.store import documents, naming
from retrieval.store.database import Transaction
from retrieval.store.erasures import REPLACED


def with_content(tx: Transaction, store_no: int, sha256: str) -> tuple[int, str] | None:
    """The document of a store whose file has this digest, and its status; the first one, if there are several."""
    found = tx.row(
        "SELECT document_no, status FROM documents JOIN files USING (file_no)"
        " WHERE store_no = ? AND sha256 = ? AND NOT has_access AND expires_at IS NULL ORDER BY document_no LIMIT 1",
        store_no,
        sha256,
    )
    return None if found is None else (found[0], found[1])


def unchanged(tx: Transaction, store_no: int, source: str, sha256: str) -> int | None:
    """The document that a source holds, if it was read with this content and nothing else is waiting to be read."""
    found = tx.row(
        "SELECT document_no FROM sources JOIN documents USING (document_no) JOIN files USING (file_no)"
        " WHERE sources.store_no = ?1 AND source = ?2 AND sha256 = ?3 AND status = 'completed' AND NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE jobs.source = ?2 AND jobs.status IN ('queued', 'running'))",
        store_no,
        source,
        sha256,
    )
    return None if found is None else int(found[0])


def point(
    tx: Transaction, source: str, document_no: int, is_there: Callable[[str], bool] = lambda source: True
) -> list[str]:
    """Say that `source` now holds this document, and remove the one it held if no other source does.

    Either is called by the name of a source that holds it.

    Args:
        is_there: says of a source whether it is still to be found.

    Returns:
        The ids of files that went with it, to be unlinked after the commit.
    """
    (store_no,) = tx.rows("SELECT store_no FROM documents WHERE document_no = ?", document_no)[0]
    before = tx.row("SELECT document_no FROM sources WHERE store_no = ? AND source = ?", store_no, source)
    tx.run(
        "INSERT INTO sources (store_no, source, document_no) VALUES (?, ?, ?)"
        " ON CONFLICT (store_no, source) DO UPDATE SET document_no = excluded.document_no",
        store_no,
        source,
        document_no,
    )
    naming.keep_true(tx, document_no, is_there)
    if before is None or before[0] == document_no:
        return []
    if tx.rows("SELECT 1 FROM sources WHERE document_no = ? LIMIT 1", before[0]):
        naming.keep_true(tx, before[0])
        return []
    gone = documents.remove(tx, before[0], REPLACED)
    return [gone] if gone else []
