"""Files put into stores, as documents that are still to be read."""

import time
from collections.abc import Mapping

from retrieval.store import documents, files, filters, jobs, personal, stores
from retrieval.store.access import principal
from retrieval.store.database import Transaction
from retrieval.store.erasures import REPLACED
from retrieval.types import Attachment, Attribute, Chunking, Document, Reader


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


def attached(tx: Transaction, store_no: int, attachment: Attachment, reader: Reader) -> Document:
    """Put a file into a store for somebody who may write that, and queue it where it is to be read.

    Raises:
        StoreExpired: the store has not been used for as long as it was to be kept.
        DocumentNotFound: there is no such file, or `reader` may not write it. A store decides for ever whether the
            original is kept.
        NotTheOwner: it is somebody else's, and has no lists, so that another store would open it to its readers.
        FileFormRefused: it is kept whole and the store redacts, or the other way round.
    """
    stores.refuse_expired(tx, [store_no])
    stores.touch(tx, {store_no: int(time.time())})
    file_no = files.number(tx, attachment.file_id, reader, "write")
    files.refuse_opening(tx, file_no, store_no, reader)
    document_no = put(tx, store_no, file_no, attachment)
    document = documents.one(tx, document_no)
    assert document is not None, "a document is gone in the transaction that made it"
    if document.status == "in_progress" and not jobs.are_open(tx, document_no):
        jobs.enqueue(tx, document_no, attachment.file_id, time.time(), principal(reader))
    return document


def put(tx: Transaction, store_no: int, file_no: int, attachment: Attachment) -> int:
    """Put a file into a store, or give one that it holds these attributes, if any; return the document's row number.

    The document is then `in_progress`, unless it was read before and is to be cut in the same way.
    """
    found = tx.row("SELECT document_no FROM documents WHERE store_no = ? AND file_no = ?", store_no, file_no)
    if found is None:
        return attach(tx, store_no, file_no, attachment.attributes, attachment.chunking)
    (document_no,) = found
    there = documents.one(tx, document_no)
    assert there is not None, "a document is gone within one transaction"
    attributes = there.attributes if attachment.attributes is None else attachment.attributes
    if there.chunking != attachment.chunking:
        documents.erase(tx, file_no, [document_no], REPLACED, is_whole=False)
        return attach(tx, store_no, file_no, attributes, attachment.chunking)
    if there.status in ("failed", "cancelled"):
        personal.refuse_unreadable(tx, file_no)
        documents.await_again(tx, document_no)
    if there.attributes != attributes:
        documents.set_attributes(tx, document_no, attributes)
    return int(document_no)
