"""Files handed in and waited for on an event loop, whichever process reads them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from retrieval.errors import DocumentNotFound, DocumentRefused, RetrievalError
from retrieval.ingest import Ingester, Report
from retrieval.reception import Reception
from retrieval.store import documents
from retrieval.store.database import Database
from retrieval.types import Document, Progress, Reader

log = logging.getLogger(__name__)

# How often a waiting ingest looks whether the process that holds the lease is done.
WATCH_S = 0.1
# Files handed in before any is waited for: some windows of chunks, and no more than that copied ahead of a huge tree.
SLICE = 256

Outcome = Document | DocumentRefused | DocumentNotFound


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of files: an outcome for each, and the ids of two sorts of documents.

    Attributes:
        added: were not in the store before.
        found: by searches now, and not before: also those that somebody else has handed in, or whoever was stopped.
    """

    outcomes: list[Outcome]
    added: frozenset[str]
    found: frozenset[str]


class Intake:
    """The asynchronous side of a reception and an ingester. `Library` says what its methods promise."""

    def __init__(self, database: Database, reception: Reception, ingester: Ingester) -> None:
        self._database = database
        self._reception = reception
        self._ingester = ingester
        # Jobs run one at a time; who waits for that must not occupy the threads that searches need.
        self._turn = anyio.CapacityLimiter(1)

    async def enqueue(self, path: Path, *, store: str, reader: Reader) -> Document:
        return await anyio.to_thread.run_sync(lambda: self._reception.enqueue(path, store=store, reader=reader))

    async def run_pending(self, report: Report | None = None) -> None:
        # Abandoned on cancel: `stop` ends it after its batch.
        await anyio.to_thread.run_sync(
            lambda: self._ingester.run_pending(report), limiter=self._turn, abandon_on_cancel=True
        )

    async def work(self, poll_s: float) -> None:
        while True:
            try:
                await self.run_pending()
            except RetrievalError as error:
                log.error("ingest interrupted, to be tried again: %s", error)
            await anyio.sleep(poll_s)

    async def take_in(self, paths: Sequence[Path], *, store: str, reader: Reader, report: Report | None) -> TakenIn:
        told: set[str] = set()
        outcomes: dict[int, Outcome] = {}

        def tell(progress: Progress) -> None:
            if report is not None and progress.file_id not in told:
                if progress.status != "in_progress":
                    told.add(progress.file_id)
                report(progress)

        added, unread = set[str](), set[str]()
        for start in range(0, len(paths), SLICE):
            waiting: dict[int, Document] = {}
            for number, path in enumerate(paths[start : start + SLICE], start=start):
                try:
                    document, is_new = await self._hand_in(path, store, reader)
                except DocumentRefused as refused:
                    outcomes[number] = refused
                    if report is not None:
                        report(Progress("", path.name, 0, 0, "failed"))
                else:
                    waiting[number] = document
                    if is_new:
                        added.add(document.file_id)
                    if document.status != "completed":
                        unread.add(document.file_id)
            await self._watch(paths, waiting, outcomes, tell)
        completed = {outcome.file_id for outcome in outcomes.values() if isinstance(outcome, Document)}
        in_order = [outcomes[number] for number in range(len(paths))]
        return TakenIn(in_order, frozenset(added & completed), frozenset(unread & completed))

    async def _watch(
        self, paths: Sequence[Path], waiting: dict[int, Document], outcomes: dict[int, Outcome], tell: Report
    ) -> None:
        """Wait until each file is done, whoever does it, and move it from `waiting` to `outcomes`."""
        while waiting:
            await self.run_pending(tell)
            for number, handed_in in list(waiting.items()):
                file_id = handed_in.file_id
                outcome = await anyio.to_thread.run_sync(self._outcome, paths[number], handed_in)
                if outcome is None:
                    continue
                outcomes[number] = outcome
                del waiting[number]
                if isinstance(outcome, Document):
                    tell(Progress(file_id, outcome.filename, outcome.chunks, outcome.chunks, "completed"))
                else:
                    tell(Progress(file_id, paths[number].name, 0, 0, "failed"))
            if waiting:
                await anyio.sleep(WATCH_S)

    def stop(self) -> None:
        self._ingester.stop()

    async def _hand_in(self, path: Path, store: str, reader: Reader) -> tuple[Document, bool]:
        return await anyio.to_thread.run_sync(lambda: self._reception.hand_in(path, store=store, reader=reader))

    def _outcome(self, path: Path, handed_in: Document) -> Outcome | None:
        with self._database.read() as tx:
            document = documents.by_id(tx, handed_in.file_id, handed_in.store_id)
        if document is None:
            return DocumentNotFound(handed_in.file_id)
        if document.status == "failed":
            return DocumentRefused(path, document.error or "it could not be read")
        if document.status == "cancelled":
            return DocumentRefused(path, "reading it was cancelled", "server_error")
        return document if document.status == "completed" else None
