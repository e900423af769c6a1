"""The knowledge store as a whole: stores, documents and searches, for callers on an event loop.

Everything here runs SQLite, FAISS and the embedder in worker threads. Access is denied by default.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.to_thread import run_sync

from retrieval.archive import Archive
from retrieval.background import Background
from retrieval.backup import Manifest, back_up
from retrieval.erasure import Erasure, Purge
from retrieval.errors import EmbedderMismatch, StoreFailed
from retrieval.facts import StoreFacts
from retrieval.ingest import Report
from retrieval.intake import Intake, Outcome, TakenIn
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.purge import Purger
from retrieval.recall import Trial
from retrieval.removals import Removals
from retrieval.retriever import Searcher
from retrieval.store import census, contents, documents, erasures, files, meta, personal, stores, waiting
from retrieval.store.async_database import AsyncDatabase
from retrieval.store.database import Database, Transaction
from retrieval.types import (
    Access,
    Document,
    Filter,
    Fusion,
    Hits,
    IndexKind,
    PersonalDataPolicy,
    Reader,
    Store,
)


class Library:
    """Stores, documents and searches over one data directory, which other processes may have open too."""

    def __init__(
        self,
        database: Database,
        originals: Originals,
        mirror: Mirror,
        intake: Intake,
        searcher: Searcher,
        removals: Removals,
        purger: Purger,
        archive: Archive,
        trial: Trial,
        background: Background,
        embedder: str,
    ) -> None:
        self._database = database
        self._stored = AsyncDatabase(database)
        self._originals = originals
        self._mirror = mirror
        self._intake = intake
        self._searcher = searcher
        self._removals = removals
        self._purger = purger
        self._background = background
        self._embedder = embedder
        self.archive = archive
        self.trial = trial

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
        weights: tuple[float, float] | None = None,
        as_of: int | None = None,
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
            weights=weights,
            as_of=as_of,
        )
        self.archive.note_search(stores)
        return hits

    async def stores(self, reader: Reader) -> list[Store]:
        """The stores that `reader` may read, by name."""
        return await self._stored.read(lambda tx: stores.listing(tx, reader))

    async def store(self, name_or_id: str, reader: Reader) -> Store:
        """One store.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not read it.
        """
        return await self._stored.read(lambda tx: stores.one(tx, stores.number(tx, name_or_id, reader), reader))

    async def create_store(
        self,
        name: str,
        reader: Reader,
        access: Access | None = None,
        personal_data: PersonalDataPolicy = "off",
        index: IndexKind = "exact",
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
            stores.set_index(tx, store_no, index)
            return stores.one(tx, store_no, reader)

        return await self._stored.write(create)

    async def set_access(self, name_or_id: str, access: Access, reader: Reader) -> Store:
        """Replace a store's access lists; the owner keeps access in any case.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not write it.
            NotTheOwner: `reader` may write it, but neither owns it nor is an admin.
        """

        def grant(tx: Transaction) -> Store:
            store_no = stores.sharable(tx, name_or_id, reader)
            stores.grant(tx, store_no, access)
            return stores.one(tx, store_no, reader)

        return await self._stored.write(grant)

    async def remove_if_bare(self, name_or_id: str, reader: Reader) -> bool:
        """Remove a store that holds nothing that was read or is to be; see `Removals.remove_if_bare`."""
        return await run_sync(self._removals.remove_if_bare, name_or_id, reader)

    async def enqueue(self, path: Path, *, store: str, reader: Reader) -> Document:
        """Take a file in and return at once; see `Reception.enqueue`."""
        return await self._intake.enqueue(path, store=store, reader=reader)

    async def work(self, poll_s: float = 0.5) -> None:
        """Run jobs as they come, until cancelled. What one process enqueues, another one's `work` finds."""
        await self._background.work(poll_s)

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
        return await self._stored.read(lambda tx: documents.listing(tx, stores.number(tx, store, reader), reader))

    async def document(self, file_id: str, reader: Reader) -> Document:
        """One document.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not read it.
        """

        return await self._stored.read(lambda tx: documents.by_file(tx, file_id, reader))

    async def text(self, file_id: str, reader: Reader) -> str:
        """The stored text that all offsets refer to.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not read it.
        """
        return await self._stored.read(lambda tx: contents.text(tx, files.number(tx, file_id, reader)))

    async def delete(self, file_id: str, reader: Reader) -> Erasure:
        """Remove a document; when this returns, no search in any process finds it; see `Removals.delete`."""
        return await run_sync(self._removals.delete, file_id, reader)

    async def erasures(self) -> list[Erasure]:
        """The removals that no certificate was written for yet, oldest first."""
        return await self._stored.read(erasures.pending)

    async def erasures_behind(self, mark: int) -> tuple[list[Erasure], int]:
        """Some of these behind a mark, oldest first, and the next mark; see `waiting.behind`."""
        return await self._stored.read(lambda tx: waiting.behind(tx, mark))

    async def erasure_of(self, file_id: str) -> Erasure | None:
        """The first of these that removed a file for good."""
        return await self._stored.read(lambda tx: waiting.of_file(tx, file_id))

    async def purge(
        self, known: Callable[[], Iterable[str | bytes]] = tuple, besides: Collection[str] = frozenset()
    ) -> Purge:
        """Clear away what is left of removed documents, and look for it in every file; see `Purger.purge`."""
        return await run_sync(self._purger.purge, known, besides)

    async def back_up(self, folder: Path, besides: Mapping[str, Callable[[Path], None]]) -> Manifest:
        """Copy the store into a folder while it is in use; see `retrieval.backup.back_up`."""
        return await run_sync(back_up, self._database, self._originals, folder, besides)

    async def revoked(self) -> int:
        """The last generation that took something away from somebody: a removal, or a change of access."""
        return await self._stored.read(meta.revoked)

    async def settle(self, erasure: Erasure) -> None:
        """Forget a removal, once its certificate is safe."""
        await self._stored.write(lambda tx: erasures.settle(tx, erasure.erasure_id))

    async def generation(self) -> int:
        """The store's generation: grows with every change that a search could see."""
        return (await self._stored.read(meta.generation))[0]

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
            # Probes are open to everybody, and the path is nobody's business.
            return f"{error.path.name}: {error.problem}"
        if stored != self._embedder:
            return str(EmbedderMismatch(stored, self._embedder))
        return None

    def close(self) -> None:
        """Stop ingesting after the running batch, save the index, and close the files. Blocks meanwhile."""
        self._background.close()

    async def aclose(self) -> None:
        """Close, in a worker thread."""
        with anyio.CancelScope(shield=True):
            await run_sync(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
