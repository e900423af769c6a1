"""Files handed in: what can be seen at once to be of no use is refused, the rest is kept and queued as a job."""

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from retrieval.errors import DocumentRefused
from retrieval.kinds import refuse_too_large, refuse_unreadable
from retrieval.limits import Limits
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.removals import forget
from retrieval.store import attaching, documents, files, jobs, personal, sources, stores
from retrieval.store.access import principal
from retrieval.store.database import Database
from retrieval.types import Document, Reader


class Reception:
    """Takes files from anyone; whichever process runs jobs reads them."""

    def __init__(
        self,
        database: Database,
        originals: Originals,
        mirror: Mirror,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._originals = originals
        self._mirror = mirror
        self._limits = limits
        self._clock = clock

    def enqueue(self, path: Path, *, store: str, reader: Reader) -> Document:
        """Take a file in and return its document, `in_progress` unless the store has that content already.

        Raises:
            DocumentRefused: it cannot be read, or its kind, size or emptiness rule it out at once.
            StoreNotFound: the store exists and `reader` may not write it.
            StoreNameRefused: there is no such store, and there cannot be one.
        """
        document, _ = self.hand_in(path, store=store, reader=reader)
        return document

    def hand_in(self, path: Path, *, store: str, reader: Reader) -> tuple[Document, bool]:
        """Do as `enqueue`, and say whether the content is new to the store: no one else has handed it in."""
        data = _read_whole(path, self._limits)
        refuse_unreadable(path, data, self._limits)
        source = str(path.resolve())
        if not _is_text(path.name) or not _is_text(source):
            raise DocumentRefused(path, "its name is not UTF-8; rename it")
        sha256 = hashlib.sha256(data).hexdigest()
        if (unchanged := self._unchanged(store, source, sha256, reader)) is not None:
            return unchanged, False
        with self._originals.staged(data) as adopt, self._database.write() as tx:
            if stores.exists(tx, store):
                store_no = stores.number(tx, store, reader, "write")
            else:
                store_no = stores.create(tx, store, reader, access=None)
            gone = jobs.supersede(tx, store_no, source, sha256)
            match sources.with_content(tx, store_no, sha256):
                case None:
                    is_new = True
                    file_no, file_id = files.add(
                        tx, owner=principal(reader), filename=path.name, size=len(data), sha256=sha256
                    )
                    document_no = attaching.attach(tx, store_no, file_no)
                    jobs.enqueue(tx, document_no, source, self._clock(), principal(reader))
                    adopt(file_id)
                case (document_no, "completed"):
                    is_new = False
                    # A file that was renamed is still known under the name it had.
                    gone += sources.point(tx, source, document_no, os.path.exists)
                case (document_no, status):
                    is_new = status == "failed"
                    # The file too, in case the first attempt failed for want of it.
                    adopt(documents.await_again(tx, document_no))
                    personal.brought_again(tx, document_no)
                    jobs.enqueue(tx, document_no, source, self._clock(), principal(reader))
            document = documents.one(tx, document_no)
            assert document is not None, "a document is gone in the transaction that made it"
        forget(self._originals, self._mirror, gone)
        return document, is_new

    def _unchanged(self, store: str, source: str, sha256: str, reader: Reader) -> Document | None:
        """The document that the source has held all along: found without writing, as most of a tree is unchanged."""
        with self._database.read() as tx:
            if not stores.exists(tx, store):
                return None
            store_no = stores.number(tx, store, reader, "write")
            document_no = sources.unchanged(tx, store_no, source, sha256)
            return None if document_no is None else documents.one(tx, document_no)


def _read_whole(path: Path, limits: Limits) -> bytes:
    # Looked at first: a pipe would be waited for, and a huge file read in vain.
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DocumentRefused(path, "it is not a regular file")
        refuse_too_large(path, found.st_size, limits)
        with path.open("rb") as file:
            return file.read(limits.file_bytes + 1)
    except OSError as error:
        raise DocumentRefused(path, f"it cannot be opened: {error.strerror}") from error


def _is_text(name: str) -> bool:
    """Say whether a name is UTF-8; bytes that are not stand in it as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
