"""The knowledge store as a whole: stores, documents and searches, for callers on an event loop.

Everything here runs SQLite, FAISS and the embedder in worker threads. Access is denied by default.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from retrieval.archive import Archive
from retrieval.backup import Manifest, back_up
from retrieval.embedder import Embedder, MiniLM
from retrieval.errors import EmbedderMismatch, RetrievalError, StoreFailed
from retrieval.facts import Observe, StoreFacts
from retrieval.ingest import LEASE_S, Ingester, Report
from retrieval.intake import Intake, Outcome, TakenIn
from retrieval.limits import Limits
from retrieval.locks import Lock
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.parsing.process import ParseProcess
from retrieval.purge import Purger
from retrieval.restore import hold
from retrieval.retriever import Searcher
from retrieval.snapshots import Snapshots
from retrieval.store import census, documents, erasures, files, meta, personal, stores
from retrieval.store.access import principal
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import Occasion
from retrieval.types import (
    Access,
    Attribute,
    Document,
    Erasure,
    Filter,
    Fusion,
    Hits,
    PersonalDataPolicy,
    Purge,
    Reader,
    Store,
)

log = logging.getLogger(__name__)

# Searches already pass over what has expired; this is how long it may stay on disk.
TEND_S = 30.0

T = TypeVar("T")


class Library:
    """Stores, documents and searches over one data directory, which other processes may have open too."""

    def __init__(
        self,
        database: Database,
        originals: Originals,
        mirror: Mirror,
        intake: Intake,
        searcher: Searcher,
        purger: Purger,
        archive: Archive,
        lock: Lock,
        embedder: str,
    ) -> None:
        self._database = database
        self._originals = originals
        self._mirror = mirror
        self._intake = intake
        self._searcher = searcher
        self._purger = purger
        self._lock = lock
        self._embedder = embedder
        self.archive = archive

    async def search(
        self,
        query: str,
        *,
        stores: Sequence[str],
        k: int,
        reader: Reader,
        filters: Filter | None = None,
        score_threshold: float = 0.0,
        fusion: Fusion | None = None,
    ) -> Hits:
        """Find passages; see `Searcher.search`."""
        hits = await self._searcher.search(
            query,
            stores=stores,
            k=k,
            reader=reader,
            filters=filters,
            score_threshold=score_threshold,
            fusion=fusion,
        )
        self.archive.note_search(stores)
        return hits

    async def stores(self, reader: Reader) -> list[Store]:
        """The stores that `reader` may read, by name."""
        return await self._read(lambda tx: stores.listing(tx, reader))

    async def store(self, name_or_id: str, reader: Reader) -> Store:
        """One store.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not read it.
        """
        return await self._read(lambda tx: stores.one(tx, stores.number(tx, name_or_id, reader), reader))

    async def create_store(
        self, name: str, reader: Reader, access: Access | None = None, personal_data: PersonalDataPolicy = "off"
    ) -> Store:
        """Add a store owned by the reader's principal, who alone may use it unless `access` says more.

        A store of that name that `reader` may write is returned as it is.

        Raises:
            StoreNameRefused: no store can have this name.
            StoreNotFound: the name is taken by a store that `reader` may not write.
        """

        def create(tx: Transaction) -> Store:
            if stores.exists(tx, name):
                return stores.one(tx, stores.number(tx, name, reader, "write"), reader)
            store_no = stores.create(tx, name, reader, access)
            personal.set_policy(tx, store_no, personal_data)
            return stores.one(tx, store_no, reader)

        return await self._write(create)

    async def set_access(self, name_or_id: str, access: Access, reader: Reader) -> Store:
        """Replace a store's access lists; the owner keeps access in any case.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not write it.
        """

        def grant(tx: Transaction) -> Store:
            store_no = stores.number(tx, name_or_id, reader, "write")
            stores.grant(tx, store_no, access)
            return stores.one(tx, store_no, reader)

        return await self._write(grant)

    async def remove_if_bare(self, name_or_id: str, reader: Reader) -> bool:
        """Remove a store that holds no document, or only such as could not be read; say whether it did.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not write it.
        """

        def remove() -> bool:
            with self._database.write() as tx:
                store_no = stores.number(tx, name_or_id, reader, "write")
                if documents.are_any_readable(tx, store_no):
                    return False
                gone = stores.remove(tx, store_no, _deleted(reader))
            for file_id in gone:
                self._originals.remove(file_id)
            return True

        return await anyio.to_thread.run_sync(remove)

    async def enqueue(self, path: Path, *, store: str, reader: Reader) -> Document:
        """Take a file in and return at once; see `Ingester.enqueue`."""
        return await self._intake.enqueue(path, store=store, reader=reader)

    async def work(self, poll_s: float = 0.5) -> None:
        """Run jobs as they come, until cancelled. What one process enqueues, another one's `work` finds."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._intake.work, poll_s)
            tasks.start_soon(self._tend)

    async def ingest(self, path: Path, *, store: str, reader: Reader, report: Report | None = None) -> Document:
        """Take a file in and wait until searches find it.

        The same content again changes nothing and returns the document there is. Other content from the same
        path replaces what was there. The store is created, owned by the reader's principal, if it does not exist.

        Raises:
            DocumentRefused: the file cannot be ingested.
            DocumentNotFound: it was deleted before it was read.
            StoreNotFound: the store exists and `reader` may not write it.
            StoreNameRefused: there is no such store, and there cannot be one.
        """
        (outcome,) = await self.ingest_all([path], store=store, reader=reader, report=report)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def ingest_all(
        self, paths: Sequence[Path], *, store: str, reader: Reader, report: Report | None = None
    ) -> list[Outcome]:
        """Take files in and wait until each is searchable or refused, whichever process reads them.

        Args:
            report: called once for each file when it is done, and in between where this process reads it;
                from a worker thread.

        Returns:
            One outcome for each path, in order.

        Raises:
            StoreNotFound, StoreNameRefused: as in `ingest`; for all files alike.
        """
        return (await self.take_in(paths, store=store, reader=reader, report=report)).outcomes

    async def take_in(
        self, paths: Sequence[Path], *, store: str, reader: Reader, report: Report | None = None
    ) -> TakenIn:
        """Do as `ingest_all`, and say which documents that added."""
        return await self._intake.take_in(paths, store=store, reader=reader, report=report)

    async def documents(self, store: str, reader: Reader) -> list[Document]:
        """The documents of a store, oldest first, those that are being read or have failed included.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not read it.
        """
        return await self._read(lambda tx: documents.listing(tx, stores.number(tx, store, reader), reader))

    async def set_attributes(
        self, store: str, file_id: str, attributes: Mapping[str, Attribute], reader: Reader
    ) -> Document:
        """Replace the attributes of a file in a store, which filters compare.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not write it.
            DocumentNotFound: the store does not hold the file, or `reader` may not read it.
        """

        def change(tx: Transaction) -> Document:
            document_no = documents.in_store(tx, stores.number(tx, store, reader, "write"), file_id, reader)
            return documents.set_attributes(tx, document_no, attributes)

        return await self._write(change)

    async def document(self, file_id: str, reader: Reader) -> Document:
        """One document.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not read it.
        """

        return await self._read(lambda tx: documents.by_file(tx, file_id, reader))

    async def text(self, file_id: str, reader: Reader) -> str:
        """The stored text that all offsets refer to.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not read it.
        """
        return await self._read(lambda tx: documents.text(tx, files.number(tx, file_id, reader)))

    async def delete(self, file_id: str, reader: Reader) -> Erasure:
        """Remove a document; when this returns, no search in any process finds it.

        Side effects: its text, words, vectors and file are gone from the data directory but for remains in free
        space, which `purge` clears. The index snapshots go with it, as they hold its vectors.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not write it.
        """

        def delete() -> Erasure:
            with self._database.write() as tx:
                file_no = files.number(tx, file_id, reader, "write")
                erasure = erasures.one(tx, documents.remove_file(tx, file_no, _deleted(reader)))
            self._originals.remove(file_id)
            self._mirror.forget()
            # The log still holds the pages as they were before.
            if not self._database.checkpoint():
                log.info("a reader kept the write-ahead log from being emptied; the purge does it")
            return erasure

        return await anyio.to_thread.run_sync(delete)

    async def erasures(self) -> list[Erasure]:
        """The removals that no certificate was written for yet, oldest first."""
        return await self._read(erasures.pending)

    async def purge(self, known: Callable[[], Iterable[str | bytes]] = tuple) -> Purge:
        """Clear away what is left of removed documents, and look for it in every file; see `Purger.purge`."""
        return await anyio.to_thread.run_sync(self._purger.purge, known)

    async def back_up(self, folder: Path, besides: Mapping[str, Callable[[Path], None]]) -> Manifest:
        """Copy the store into a folder while it is in use; see `retrieval.backup.back_up`."""
        return await anyio.to_thread.run_sync(back_up, self._database, self._originals, folder, besides)

    async def revoked(self) -> int:
        """The last generation that took something away from somebody: a removal, or a change of access."""
        return await self._read(meta.revoked)

    async def settle(self, erasure: Erasure) -> None:
        """Forget a removal, once its certificate is safe."""
        await self._write(lambda tx: erasures.settle(tx, erasure.erasure_id))

    async def generation(self) -> int:
        """The store's generation: grows with every change that a search could see."""
        return (await self._read(meta.generation))[0]

    def facts(self) -> StoreFacts:
        """What can be counted of the store and of this process's index. Blocks for a moment, never for a search."""
        held = self._mirror.held
        with self._database.read() as tx:
            return census.take(tx, time.time(), held)

    def trouble(self) -> str | None:
        """Why this process can serve nothing from the store, however often it is asked; None: it can."""
        try:
            with self._database.read() as tx:
                stored = meta.embedder(tx)
        except StoreFailed as error:
            return (
                f"{error.path.name}: {error.problem}"  # probes are open to everybody, and the path is nobody's business
            )
        if stored != self._embedder:
            return str(EmbedderMismatch(stored, self._embedder))
        return None

    def close(self) -> None:
        """Stop ingesting after the running batch, save the index, and close the files. Blocks meanwhile."""
        self._intake.stop()
        self._tend_once()
        try:
            self._mirror.save()
        except RetrievalError as problem:
            log.warning("the index was not saved, which costs time at the next start: %s", problem)
        finally:
            self._database.close()
            self._lock.release()

    async def aclose(self) -> None:
        """Close, in a worker thread."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _tend(self) -> None:
        while True:
            await anyio.sleep(TEND_S)
            await anyio.to_thread.run_sync(self._tend_once)

    def _tend_once(self) -> None:
        try:
            self.archive.tend()
        except RetrievalError as error:
            log.error("clearing away what has expired failed, to be tried again: %s", error)

    async def _read(self, query: Callable[[Transaction], T]) -> T:
        def run() -> T:
            with self._database.read() as tx:
                return query(tx)

        return await anyio.to_thread.run_sync(run)

    async def _write(self, change: Callable[[Transaction], T]) -> T:
        def run() -> T:
            with self._database.write() as tx:
                return change(tx)

        return await anyio.to_thread.run_sync(run)


def open_library(
    data_dir: Path,
    embedder: Embedder | None = None,
    *,
    fusion: Fusion | None = None,
    limits: Limits | None = None,
    lease_s: float = LEASE_S,
    observe: Observe | None = None,
) -> Library:
    """Open the knowledge store of a data directory, and create it if there is none. Blocks: reads the index.

    Args:
        embedder: None: the bundled one, whose weights load at the first use.
        limits: what one file may ask for; None: the default ones.
        lease_s: after how long without a sign another process takes over this one's ingest.
        observe: told how long the steps of this process's ingest take and how its files end; from a worker thread.

    Raises:
        EmbedderMismatch: the store was built with another embedder.
        SchemaTooNew: a newer version of this software has written it.
        DataInUse: it is being restored.
        RetrievalError: it cannot be opened.
    """
    lock = hold(data_dir)
    try:
        return _opened(data_dir, lock, embedder or MiniLM(), fusion or Fusion(), limits, lease_s, observe)
    except BaseException:
        lock.release()
        raise


def _opened(
    data_dir: Path,
    lock: Lock,
    embedder: Embedder,
    fusion: Fusion,
    limits: Limits | None,
    lease_s: float,
    observe: Observe | None,
) -> Library:
    database = Database(data_dir / "store.db")
    originals = Originals(data_dir / "files")
    mirror = Mirror(database, Snapshots(data_dir / "index"), embedder=embedder.fingerprint, dims=embedder.dims)
    try:
        with database.write() as tx:
            meta.claim_embedder(tx, embedder.fingerprint)
            originals.sweep(files.known(tx))
        mirror.open()
    except RetrievalError:
        database.close()
        raise
    parser = ParseProcess(limits)
    ingester = Ingester(database, originals, mirror, embedder, parser, lease_s=lease_s, observe=observe)
    return Library(
        database,
        originals,
        mirror,
        Intake(database, ingester),
        Searcher(mirror, embedder, fusion),
        Purger(database, originals, mirror, data_dir),
        Archive(database, originals, mirror),
        lock,
        embedder.fingerprint,
    )


def _deleted(reader: Reader) -> Occasion:
    return Occasion("deleted", principal(reader))
