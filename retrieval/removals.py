"""Documents and stores taken away: out of the database, the originals and the index in one go. Methods block."""

import logging
from collections.abc import Sequence

from retrieval.erasure import Erasure
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.store import documents, erasures, files, going, leaving, stores
from retrieval.store.database import Database
from retrieval.store.erasures import deleted
from retrieval.types import Reader

log = logging.getLogger(__name__)


def forget(originals: Originals, mirror: Mirror, gone: Sequence[str]) -> None:
    """Unlink the files that went in a transaction, once it is committed, and the index snapshots that held them.

    Their words leave the lexical index by the next purge: whoever reads files does not wait for that.
    """
    for file_id in gone:
        originals.remove(file_id)
    if gone:
        mirror.forget()


def forget_now(database: Database, originals: Originals, mirror: Mirror, gone: Sequence[str]) -> None:
    """The same for somebody who waits for it, whether or not a file went: out of the lexical index and the log too."""
    for file_id in gone:
        originals.remove(file_id)
    mirror.forget()
    leaving.take_out(database)
    # The log still holds the pages as they were before.
    if not database.checkpoint():
        log.info("a reader kept the write-ahead log from being emptied; the purge does it")


class Removals:
    """What somebody wants gone. What its remains are, and how they go, `Purger` knows."""

    def __init__(self, database: Database, originals: Originals, mirror: Mirror) -> None:
        self._database = database
        self._originals = originals
        self._mirror = mirror

    def remove_if_bare(self, name_or_id: str, reader: Reader) -> bool:
        """Remove a store that holds no document, or only such as could not be read; say whether it did.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not write it.
        """
        with self._database.write() as tx:
            store_no = stores.number(tx, name_or_id, reader, "write")
            if documents.are_any_readable(tx, store_no):
                return False
            gone = going.remove(tx, store_no, deleted(reader))
        for file_id in gone:
            self._originals.remove(file_id)
        return True

    def delete(self, file_id: str, reader: Reader) -> Erasure:
        """Remove a document; when this returns, no search in any process finds it.

        Side effects: its text, words, vectors and file are gone from the data directory but for remains in free
        space, which `Purger.purge` clears, and, until it has looked for those, a masked copy of the text. The index
        snapshots go with it, as they hold its vectors.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not write it.
        """
        with self._database.write() as tx:
            file_no = files.number(tx, file_id, reader, "write")
            erasure = erasures.one(tx, documents.remove_file(tx, file_no, deleted(reader)))
        forget_now(self._database, self._originals, self._mirror, [file_id])
        return erasure
