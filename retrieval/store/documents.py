"""Documents and their chunks: added as one, replaced as one, removed as one."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from retrieval.errors import DocumentNotFound
from retrieval.store.database import Transaction
from retrieval.store.meta import advance
from retrieval.store.stores import GRANTED, Mode, grants
from retrieval.types import Document, Reader

_COLUMNS = """
    documents.file_id, stores.store_id, documents.filename, documents.title, documents.bytes, documents.sha256,
    (SELECT count(*) FROM chunks WHERE chunks.document_no = documents.document_no),
    documents.created_at, documents.status, documents.error
"""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its vector (float32, little-endian bytes), ready to be written."""

    start_char: int
    end_char: int
    title: str
    text: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """What a file turned out to hold."""

    title: str
    text: str
    text_sha256: str
    chunks: Sequence[StoredChunk]


def number(tx: Transaction, file_id: str, reader: Reader, mode: Mode = "read") -> int:
    """The row number of one document.

    Raises:
        DocumentNotFound: it does not exist, or `reader` may not use it in this way.
    """
    found = tx.row(
        f"SELECT document_no FROM documents JOIN stores USING (store_no) WHERE file_id = ?4 AND {GRANTED}",
        *grants(reader, mode),
        file_id,
    )
    if found is None:
        raise DocumentNotFound(file_id)
    return int(found[0])


def one(tx: Transaction, document_no: int) -> Document | None:
    found = tx.row(f"SELECT {_COLUMNS} FROM documents JOIN stores USING (store_no) WHERE document_no = ?", document_no)
    return None if found is None else Document(*found)


def by_id(tx: Transaction, file_id: str) -> Document | None:
    """A document, whoever may see it; for the process that handed it in."""
    found = tx.row(f"SELECT {_COLUMNS} FROM documents JOIN stores USING (store_no) WHERE file_id = ?", file_id)
    return None if found is None else Document(*found)


def listing(tx: Transaction, store_no: int) -> list[Document]:
    return [
        Document(*row)
        for row in tx.rows(
            f"SELECT {_COLUMNS} FROM documents JOIN stores USING (store_no) WHERE store_no = ? ORDER BY document_no",
            store_no,
        )
    ]


def text(tx: Transaction, document_no: int) -> str:
    return str(tx.rows("SELECT text FROM documents WHERE document_no = ?", document_no)[0][0])


def with_content(tx: Transaction, store_no: int, sha256: str) -> tuple[int, str] | None:
    """The document of a store whose file has this digest, and its status."""
    found = tx.row("SELECT document_no, status FROM documents WHERE store_no = ? AND sha256 = ?", store_no, sha256)
    return None if found is None else (found[0], found[1])


def expect(tx: Transaction, store_no: int, filename: str, size: int, sha256: str) -> tuple[int, str]:
    """Add a document that is still to be read; return its row number and its id."""
    file_id = f"file-{token_hex(12)}"
    document_no = tx.insert(
        "INSERT INTO documents (file_id, store_no, filename, bytes, sha256, created_at, status)"
        " VALUES (?, ?, ?, ?, ?, ?, 'in_progress')",
        file_id,
        store_no,
        filename,
        size,
        sha256,
        int(time.time()),
    )
    return document_no, file_id


def complete(tx: Transaction, document_no: int, content: Content) -> None:
    """Give a document its text and chunks: from here on searches find it."""
    assert content.chunks, "a completed document has chunks"
    advance(tx)
    tx.run(
        "UPDATE documents SET status = 'completed', error = NULL, title = ?, text = ?, text_sha256 = ?"
        " WHERE document_no = ?",
        content.title,
        content.text,
        content.text_sha256,
        document_no,
    )
    (store_no,) = tx.rows("SELECT store_no FROM documents WHERE document_no = ?", document_no)[0]
    for chunk in content.chunks:
        chunk_no = tx.insert(
            "INSERT INTO chunks (document_no, store_no, start_char, end_char, title, text) VALUES (?, ?, ?, ?, ?, ?)",
            document_no,
            store_no,
            chunk.start_char,
            chunk.end_char,
            chunk.title,
            chunk.text,
        )
        tx.run("INSERT INTO vectors (chunk_no, vector) VALUES (?, ?)", chunk_no, chunk.vector)


def fail(tx: Transaction, document_no: int, error: str) -> None:
    """Say why a document could not be read; one that is already complete stays so."""
    tx.run(
        "UPDATE documents SET status = 'failed', error = ? WHERE document_no = ? AND status = 'in_progress'",
        error,
        document_no,
    )


def await_again(tx: Transaction, document_no: int) -> str:
    """Forget that a document could not be read; return its id."""
    tx.run("UPDATE documents SET status = 'in_progress', error = NULL WHERE document_no = ?", document_no)
    return str(tx.rows("SELECT file_id FROM documents WHERE document_no = ?", document_no)[0][0])


def point(tx: Transaction, source: str, document_no: int) -> list[str]:
    """Say that `source` now holds this document, and remove the one it held if no other source does.

    Returns:
        The ids of removed documents, whose files are to be unlinked after the commit.
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
    if before is None or tx.rows("SELECT 1 FROM sources WHERE document_no = ? LIMIT 1", before[0]):
        return []
    return [remove(tx, before[0])]


def remove(tx: Transaction, document_no: int) -> str:
    """Erase a document with all that came of it (chunks, vectors, words, sources, jobs); return its id."""
    (file_id,) = tx.rows("SELECT file_id FROM documents WHERE document_no = ?", document_no)[0]
    generation = advance(tx)
    tx.run(
        "INSERT INTO removals (chunk_no, generation) SELECT chunk_no, ? FROM chunks WHERE document_no = ?",
        generation,
        document_no,
    )
    tx.run("DELETE FROM documents WHERE document_no = ?", document_no)
    return str(file_id)


def known_files(tx: Transaction) -> set[str]:
    """The ids of all documents, whatever their status."""
    rows: list[tuple[Any, ...]] = tx.rows("SELECT file_id FROM documents")
    return {row[0] for row in rows}
