"""Vectors of another embedder, gathered beside those that serve until they are complete."""

from collections.abc import Iterable

from retrieval.errors import EmbedderMismatch
from retrieval.store import meta
from retrieval.store.database import Transaction


def begin(tx: Transaction, fingerprint: str) -> None:
    """Make room for this embedder's vectors; keep those that it has made already, and drop another one's."""
    found = tx.row("SELECT value FROM meta WHERE key = 'next_embedder'")
    if found is not None and found[0] != fingerprint:
        tx.run("DELETE FROM next_vectors")
    tx.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('next_embedder', ?)", fingerprint)


def missing(tx: Transaction, limit: int) -> list[tuple[int, str]]:
    """Chunks without a new vector, and what is embedded of each: its title and its text."""
    rows = tx.rows(
        "SELECT chunk_no, chunks.title || char(10) || text FROM chunks LEFT JOIN next_vectors USING (chunk_no)"
        " WHERE next_vectors.vector IS NULL ORDER BY chunk_no LIMIT ?",
        limit,
    )
    return [(row[0], row[1]) for row in rows]


def progress(tx: Transaction) -> tuple[int, int]:
    """How many new vectors there are, and how many there are to be."""
    ((done, total),) = tx.rows("SELECT (SELECT count(*) FROM next_vectors), (SELECT count(*) FROM chunks)")
    return int(done), int(total)


def put(tx: Transaction, fingerprint: str, made: Iterable[tuple[int, bytes]]) -> None:
    """Keep new vectors; of chunks that were removed meanwhile, none.

    Raises:
        EmbedderMismatch: another embedder's are being gathered now.
    """
    (wanted,) = tx.rows("SELECT value FROM meta WHERE key = 'next_embedder'")[0]
    if wanted != fingerprint:
        raise EmbedderMismatch(wanted, fingerprint)
    for chunk_no, vector in made:
        tx.run(
            "INSERT OR REPLACE INTO next_vectors (chunk_no, vector)"
            " SELECT chunk_no, ?2 FROM chunks WHERE chunk_no = ?1",
            chunk_no,
            vector,
        )


def change(tx: Transaction, fingerprint: str) -> None:
    """Put the new vectors in the place of the old ones, for every search from the next one on."""
    tx.run(
        "UPDATE vectors SET vector = (SELECT vector FROM next_vectors WHERE next_vectors.chunk_no = vectors.chunk_no)"
    )
    tx.run("DELETE FROM next_vectors")
    tx.run("DELETE FROM meta WHERE key = 'next_embedder'")
    tx.run("UPDATE meta SET value = ? WHERE key = 'embedder'", fingerprint)
    meta.restart(tx)
