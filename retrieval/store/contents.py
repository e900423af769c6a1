"""What a document turned out to hold: its text, chunks and vectors, written as one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.store import flags, personal
from retrieval.store.access import THERE
from retrieval.store.database import Transaction
from retrieval.store.meta import advance
from retrieval.types import Flag, PersonalDataKind


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its vector (float32, little-endian bytes), ready to be written."""

    start_char: int
    end_char: int
    title: str
    text: str
    vector: bytes
    page: int | None = None
    locator: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file turned out to hold."""

    title: str
    text: str
    text_sha256: str
    chunks: Sequence[StoredChunk]
    stripped: int = 0
    personal_data: Mapping[PersonalDataKind, int] = field(default_factory=dict)
    flags: Sequence[Flag] = ()


def complete(tx: Transaction, document_no: int, content: Content) -> None:
    """Give a document its text and chunks: from here on searches find it."""
    assert content.chunks, "a completed document has chunks"
    generation = advance(tx)
    tx.run(
        "UPDATE documents SET status = 'completed', error = NULL, error_code = NULL, completed_in = ?,"
        " title = ?, text = ?, text_sha256 = ?, stripped = ?, usage_bytes = ? WHERE document_no = ?",
        generation,
        content.title,
        content.text,
        content.text_sha256,
        content.stripped,
        len(content.text.encode()) + sum(len(chunk.text.encode()) + len(chunk.vector) for chunk in content.chunks),
        document_no,
    )
    personal.put(tx, document_no, content.personal_data)
    flags.put(tx, document_no, content.flags)
    put_chunks(tx, document_no, content.chunks)


def put_chunks(tx: Transaction, document_no: int, chunks: Iterable[StoredChunk]) -> None:
    """Give a document chunks, in this order."""
    (store_no,) = tx.rows("SELECT store_no FROM documents WHERE document_no = ?", document_no)[0]
    for chunk in chunks:
        chunk_no = tx.insert(
            "INSERT INTO chunks (document_no, store_no, start_char, end_char, title, text, page, locator)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            document_no,
            store_no,
            chunk.start_char,
            chunk.end_char,
            chunk.title,
            chunk.text,
            chunk.page,
            chunk.locator,
        )
        tx.run("INSERT INTO vectors (chunk_no, vector) VALUES (?, ?)", chunk_no, chunk.vector)


def announce_removal(tx: Transaction, document_no: int, generation: int) -> None:
    """Note that a document's chunks are gone as of a generation, which every copy of the index looks for."""
    tx.run(
        "INSERT INTO removals (chunk_no, generation) SELECT chunk_no, ? FROM chunks WHERE document_no = ?",
        generation,
        document_no,
    )


def text(tx: Transaction, file_no: int) -> str:
    """A file's stored text, the same in every store; empty before it was read."""
    found = tx.rows(
        f"SELECT text FROM documents JOIN stores USING (store_no) WHERE file_no = ? AND {THERE}"
        " ORDER BY status != 'completed', document_no LIMIT 1",
        file_no,
    )
    return str(found[0][0]) if found else ""


def text_of(tx: Transaction, document_no: int) -> str:
    """What was read of a document; empty before it was."""
    return str(tx.rows("SELECT text FROM documents WHERE document_no = ?", document_no)[0][0])
