"""Documents: found as a reader may see them, changed, and removed with all that came of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from retrieval.errors import DocumentNotFound
from retrieval.store import contents, erasures, files, filters, flags, paging, personal
from retrieval.store.access import GRANTED, THERE, grants
from retrieval.store.database import Transaction, Value
from retrieval.store.erasures import Occasion
from retrieval.store.meta import advance, generation, revoke
from retrieval.store.scope import VISIBLE, visible
from retrieval.types import (
    Access,
    Attribute,
    Chunking,
    Cursor,
    Document,
    DocumentStatus,
    Fault,
    Page,
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


def one(tx: Transaction, document_no: int) -> Document | None:
    found = tx.row(f"SELECT {_COLUMNS} FROM {_FROM} WHERE document_no = ?", document_no)
    return None if found is None else _document(*found)


def in_store(tx: Transaction, store_no: int, file_id: str, reader: Reader) -> int:
    """The row number of a file in a store that `reader` may use.

    Raises:
        DocumentNotFound: the store does not hold it, or `reader` may not read it.
    """
    return _in_store(tx, store_no, file_id, visible(reader))


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
    found = tx.row(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE files.file_id = ? AND store_id = ? AND {THERE}", file_id, store_id
    )
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
        reader=reader,
        # One that has expired still says where the list goes on.
        find=lambda file_id: _in_store(tx, store_no, file_id, visible(reader, paging.WHENEVER)),
    )
    return Page(tuple(_document(*row) for row in rows), has_more)


def of_file(tx: Transaction, file_no: int) -> list[int]:
    """The row numbers of a file's documents, whoever may see them."""
    return [row[0] for row in tx.rows("SELECT document_no FROM documents WHERE file_no = ?", file_no)]


def put_there_by(tx: Transaction, file_id: str, store_ids: Sequence[str], until: int) -> list[tuple[int, int]]:
    """The row numbers of a file and of each of its documents in these stores that had been put there by a moment."""
    rows = tx.rows(
        f"SELECT file_no, document_no FROM {_FROM}"
        " WHERE file_id = ? AND documents.created_at <= ? AND store_id IN (SELECT value FROM json_each(?))",
        file_id,
        until,
        json.dumps(store_ids),
    )
    return [(row[0], row[1]) for row in rows]


def share(tx: Transaction, file_no: int, access: Access | None, reader: Reader) -> bool:
    """Replace a file's lists; return whether it was taken out of stores for that.

    None: it has none, and goes by the stores that hold it. Those that `reader` may not read hold it no longer, as
    nobody opens a file to readers of whom they cannot know.
    """
    unknown = [] if access is not None else _in_unknown_stores(tx, file_no, reader)
    if unknown:
        erase(tx, file_no, unknown, erasures.deleted(reader), is_whole=False)
        files.keep(tx, file_no)
    files.grant(tx, file_no, access)
    return bool(unknown)


def set_attributes(tx: Transaction, document_no: int, attributes: Mapping[str, Attribute]) -> Document:
    """Replace what filters compare."""
    advance(tx)
    filters.put(tx, document_no, attributes)
    document = one(tx, document_no)
    assert document is not None, "a document is gone in the transaction that changes it"
    return document


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
    erase(tx, file_no, [document_no], occasion, is_whole=goes_too)
    return str(file_id) if goes_too else None


def remove_file(tx: Transaction, file_no: int, occasion: Occasion) -> str:
    """Take a file out of all stores and remove it; return the erasure's id."""
    return erase(tx, file_no, of_file(tx, file_no), occasion, is_whole=True)


def erase(tx: Transaction, file_no: int, document_nos: list[int], occasion: Occasion, *, is_whole: bool) -> str:
    """Remove documents of one file, and with `is_whole` the file; return the erasure's id."""
    (file_id,) = tx.rows("SELECT file_id FROM files WHERE file_no = ?", file_no)[0]
    before, _ = generation(tx)
    after = revoke(tx)
    erasure_id = erasures.note(tx, file_no, document_nos, occasion, is_whole=is_whole, generations=(before, after))
    could_see, could_see_in_store = files.seen(tx, file_no), files.seen_in_store(tx, file_no)
    for document_no in document_nos:
        (store_no,) = tx.rows("SELECT store_no FROM documents WHERE document_no = ?", document_no)[0]
        paging.depart(tx, f"document {store_no}", file_id, document_no, could_see_in_store)
        contents.announce_removal(tx, document_no, after)
        tx.run("DELETE FROM documents WHERE document_no = ?", document_no)
    if is_whole:
        files.remove(tx, file_no, could_see)
    return erasure_id


def _in_unknown_stores(tx: Transaction, file_no: int, reader: Reader) -> list[int]:
    """The documents that a file's lists keep from the readers of stores of which `reader` does not know."""
    rows = tx.rows(
        f"SELECT document_no FROM {_FROM} WHERE file_no = ?4 AND files.has_access AND {THERE} AND NOT {GRANTED}",
        *grants(replace(reader, through=None), "read"),  # a person knows of stores that the application does not
        file_no,
    )
    return [row[0] for row in rows]


def _in_store(tx: Transaction, store_no: int, file_id: str, bindings: tuple[Value, ...]) -> int:
    found = tx.row(
        f"SELECT document_no FROM {_FROM} WHERE store_no = ?5 AND files.file_id = ?6 AND {VISIBLE}",
        *bindings,
        store_no,
        file_id,
    )
    if found is None:
        raise DocumentNotFound(file_id)
    return int(found[0])


def _document(*row: Any) -> Document:
    facts, (max_tokens, overlap_tokens, attributes, policy, found, flagged) = row[:-6], row[-6:]
    chunking = None if max_tokens is None else Chunking(max_tokens, overlap_tokens)
    said_of_it = personal.from_json(policy, found), flags.from_json(flagged)
    return Document(*(*facts, chunking, filters.from_json(attributes), *said_of_it))
