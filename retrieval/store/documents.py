"""Documents and their chunks: added as one, replaced as one, removed as one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.errors import DocumentNotFound
from retrieval.store import erasures, files, filters, flags, paging, personal
from retrieval.store.access import GRANTED
from retrieval.store.database import Transaction
from retrieval.store.erasures import REPLACED, Occasion
from retrieval.store.meta import advance, generation, revoke
from retrieval.store.scope import VISIBLE, visible
from retrieval.types import (
    Attachment,
    Attribute,
    Chunking,
    Cursor,
    Document,
    DocumentStatus,
    Fault,
    Flag,
    Page,
    PersonalDataKind,
    Reader,
)

_FROM = "documents JOIN files USING (file_no) JOIN stores USING (store_no)"
_COLUMNS = f"""
    files.file_id, stores.store_id, files.filename, documents.title, files.bytes, files.sha256,
    (SELECT count(*) FROM chunks WHERE chunks.document_no = documents.document_no),
    documents.created_at, documents.status, documents.error, documents.error_code, documents.usage_bytes,
    documents.stripped, documents.chunk_tokens, documents.overlap_tokens, {filters.AS_JSON},
    documents.personal_data, {personal.AS_JSON}, {flags.AS_JSON}
"""


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


def one(tx: Transaction, document_no: int) -> Document | None:
    found = tx.row(f"SELECT {_COLUMNS} FROM {_FROM} WHERE document_no = ?", document_no)
    return None if found is None else _document(*found)


def in_store(tx: Transaction, store_no: int, file_id: str, reader: Reader) -> int:
    """The row number of a file in a store that `reader` may use.

    Raises:
        DocumentNotFound: the store does not hold it, or `reader` may not read it.
    """
    found = tx.row(
        f"SELECT document_no FROM {_FROM} WHERE store_no = ?5 AND files.file_id = ?6 AND {VISIBLE}",
        *visible(reader),
        store_no,
        file_id,
    )
    if found is None:
        raise DocumentNotFound(file_id)
    return int(found[0])


def by_file(tx: Transaction, file_id: str, reader: Reader) -> Document:
    """A file as one of the stores that `reader` may read has it; one where it was read, if there is such.

    Raises:
        DocumentNotFound: there is none.
    """
    found = tx.row(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE files.file_id = ?5 AND {GRANTED} AND {VISIBLE}"
        " ORDER BY documents.status != 'completed', document_no LIMIT 1",
        *visible(reader),
        file_id,
    )
    if found is None:
        raise DocumentNotFound(file_id)
    return _document(*found)


def by_id(tx: Transaction, file_id: str, store_id: str) -> Document | None:
    """A file in a store, whoever may see it; for the process that handed it in."""
    found = tx.row(f"SELECT {_COLUMNS} FROM {_FROM} WHERE files.file_id = ? AND store_id = ?", file_id, store_id)
    return None if found is None else _document(*found)


def listing(tx: Transaction, store_no: int, reader: Reader) -> list[Document]:
    """What a store holds of what `reader` may read, oldest first."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE store_no = ?5 AND {VISIBLE} ORDER BY document_no",
        *visible(reader),
        store_no,
    )
    return [_document(*row) for row in rows]


def completed(tx: Transaction) -> list[int]:
    """The row numbers of what was read, in all stores."""
    return [row[0] for row in tx.rows("SELECT document_no FROM documents WHERE status = 'completed'")]


def are_any_readable(tx: Transaction, store_no: int) -> bool:
    """Say whether a store holds anything that was read or is still to be read."""
    return bool(
        tx.rows(
            "SELECT 1 FROM documents WHERE store_no = ? AND status IN ('in_progress', 'completed') LIMIT 1", store_no
        )
    )


def page(
    tx: Transaction,
    store_no: int,
    reader: Reader,
    cursor: Cursor,
    *,
    status: DocumentStatus | None = None,
    batch_no: int | None = None,
) -> Page[Document]:
    """What a store, or one batch of it, holds of what `reader` may read."""
    rows, has_more = paging.page(
        tx,
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE store_no = ?5 AND {VISIBLE} AND (?6 IS NULL OR status = ?6)"
        " AND (?7 IS NULL OR document_no IN (SELECT document_no FROM batch_documents WHERE batch_no = ?7))",
        (*visible(reader), store_no, status, batch_no),
        column="document_no",
        cursor=cursor,
        kind=f"document {store_no}",
        find=lambda file_id: in_store(tx, store_no, file_id, reader),
    )
    return Page(tuple(_document(*row) for row in rows), has_more)


def of_file(tx: Transaction, file_no: int) -> list[int]:
    """The row numbers of a file's documents, whoever may see them."""
    return [row[0] for row in tx.rows("SELECT document_no FROM documents WHERE file_no = ?", file_no)]


def text(tx: Transaction, file_no: int) -> str:
    """A file's stored text, the same in every store; empty before it was read."""
    found = tx.rows(
        "SELECT text FROM documents WHERE file_no = ? ORDER BY status != 'completed', document_no LIMIT 1", file_no
    )
    return str(found[0][0]) if found else ""


def text_of(tx: Transaction, document_no: int) -> str:
    """What was read of a document; empty before it was."""
    return str(tx.rows("SELECT text FROM documents WHERE document_no = ?", document_no)[0][0])


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


def attach(
    tx: Transaction,
    store_no: int,
    file_no: int,
    attributes: Mapping[str, Attribute] | None = None,
    chunking: Chunking | None = None,
) -> int:
    """Put a file that is still to be read into a store; return the document's row number.

    Raises:
        FileFormRefused: it is kept whole and the store redacts, or the other way round.
    """
    document_no = tx.insert(
        "INSERT INTO documents (personal_data, file_no, store_no, created_at, status, chunk_tokens, overlap_tokens)"
        " VALUES (?, ?, ?, ?, 'in_progress', ?, ?)",
        personal.admit(tx, store_no, file_no),
        file_no,
        store_no,
        int(time.time()),
        chunking.max_tokens if chunking else None,
        chunking.overlap_tokens if chunking else None,
    )
    filters.put(tx, document_no, attributes or {})
    return document_no


def put(tx: Transaction, store_no: int, file_no: int, attachment: Attachment) -> int:
    """Put a file into a store, or give one that it holds these attributes; return the document's row number.

    The document is then `in_progress`, unless it was read before and is to be cut in the same way.
    """
    found = tx.row("SELECT document_no FROM documents WHERE store_no = ? AND file_no = ?", store_no, file_no)
    if found is None:
        return attach(tx, store_no, file_no, attachment.attributes, attachment.chunking)
    (document_no,) = found
    there = one(tx, document_no)
    if there is None or there.chunking != attachment.chunking:
        _erase(tx, file_no, [document_no], REPLACED, is_whole=False)
        return attach(tx, store_no, file_no, attachment.attributes, attachment.chunking)
    if there.status in ("failed", "cancelled"):
        personal.refuse_unreadable(tx, file_no)
        await_again(tx, document_no)
    if there.attributes != attachment.attributes:
        set_attributes(tx, document_no, attachment.attributes)
    return int(document_no)


def set_attributes(tx: Transaction, document_no: int, attributes: Mapping[str, Attribute]) -> Document:
    """Replace what filters compare."""
    advance(tx)
    filters.put(tx, document_no, attributes)
    document = one(tx, document_no)
    assert document is not None, "a document is gone in the transaction that changes it"
    return document


def complete(tx: Transaction, document_no: int, content: Content) -> None:
    """Give a document its text and chunks: from here on searches find it."""
    assert content.chunks, "a completed document has chunks"
    advance(tx)
    tx.run(
        "UPDATE documents SET status = 'completed', error = NULL, error_code = NULL,"
        " title = ?, text = ?, text_sha256 = ?, stripped = ?, usage_bytes = ? WHERE document_no = ?",
        content.title,
        content.text,
        content.text_sha256,
        content.stripped,
        len(content.text.encode()) + sum(len(chunk.text.encode()) + len(chunk.vector) for chunk in content.chunks),
        document_no,
    )
    personal.put(tx, document_no, content.personal_data)
    flags.put(tx, document_no, content.flags)
    (store_no,) = tx.rows("SELECT store_no FROM documents WHERE document_no = ?", document_no)[0]
    for chunk in content.chunks:
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


def fail(tx: Transaction, document_no: int, error: str, fault: Fault) -> None:
    """Say why a document could not be read; one that is already complete stays so."""
    tx.run(
        "UPDATE documents SET status = 'failed', error = ?, error_code = ?"
        " WHERE document_no = ? AND status = 'in_progress'",
        error,
        fault,
        document_no,
    )


def await_again(tx: Transaction, document_no: int) -> str:
    """Forget that a document could not be read; return its file's id."""
    tx.run(
        "UPDATE documents SET status = 'in_progress', error = NULL, error_code = NULL WHERE document_no = ?",
        document_no,
    )
    return str(tx.rows(f"SELECT file_id FROM {_FROM} WHERE document_no = ?", document_no)[0][0])


def point(tx: Transaction, source: str, document_no: int) -> list[str]:
    """Say that `source` now holds this document, and remove the one it held if no other source does.

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
    if before is None or tx.rows("SELECT 1 FROM sources WHERE document_no = ? LIMIT 1", before[0]):
        return []
    gone = remove(tx, before[0], REPLACED)
    return [gone] if gone else []


def remove(tx: Transaction, document_no: int, occasion: Occasion) -> str | None:
    """Take a document out of its store, with all that came of it (chunks, vectors, words, sources, jobs).

    Returns:
        The id of its file, to be unlinked after the commit, if that went too: it came with the store, and no other
        store holds it.
    """
    file_no, file_id, is_upload = tx.rows(
        "SELECT file_no, file_id, is_upload FROM documents JOIN files USING (file_no) WHERE document_no = ?",
        document_no,
    )[0]
    goes_too = not is_upload and of_file(tx, file_no) == [document_no]
    _erase(tx, file_no, [document_no], occasion, is_whole=goes_too)
    return str(file_id) if goes_too else None


def remove_file(tx: Transaction, file_no: int, occasion: Occasion) -> str:
    """Take a file out of all stores and remove it; return the erasure's id."""
    return _erase(tx, file_no, of_file(tx, file_no), occasion, is_whole=True)


def _erase(tx: Transaction, file_no: int, document_nos: list[int], occasion: Occasion, *, is_whole: bool) -> str:
    (file_id,) = tx.rows("SELECT file_id FROM files WHERE file_no = ?", file_no)[0]
    before, _ = generation(tx)
    after = revoke(tx)
    erasure_id = erasures.note(tx, file_no, document_nos, occasion, is_whole=is_whole, generations=(before, after))
    for document_no in document_nos:
        (store_no,) = tx.rows("SELECT store_no FROM documents WHERE document_no = ?", document_no)[0]
        paging.depart(tx, f"document {store_no}", file_id, document_no)
        tx.run(
            "INSERT INTO removals (chunk_no, generation) SELECT chunk_no, ? FROM chunks WHERE document_no = ?",
            after,
            document_no,
        )
        tx.run("DELETE FROM documents WHERE document_no = ?", document_no)
    if is_whole:
        files.remove(tx, file_no)
    return erasure_id


def _document(*row: Any) -> Document:
    facts, (max_tokens, overlap_tokens, attributes, policy, found, flagged) = row[:-6], row[-6:]
    chunking = None if max_tokens is None else Chunking(max_tokens, overlap_tokens)
    said_of_it = personal.from_json(policy, found), flags.from_json(flagged)
    return Document(*(*facts, chunking, filters.from_json(attributes), *said_of_it))
