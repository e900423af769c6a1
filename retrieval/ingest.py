"""Files read into the store, as jobs: run by whoever holds the writer lease, committed one by one."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from retrieval.batching import Pool, Reading
from retrieval.chunking import Chunk, TooManyChunks, cut
from retrieval.embedder import WINDOW_TOKENS, Embedder
from retrieval.errors import DocumentRefused, RetrievalError
from retrieval.facts import Ended, Observe, Worked
from retrieval.holding import Holding, LeaseLost
from retrieval.kinds import refuse_too_large
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.overlap import cut_as_asked
from retrieval.parsed import Parsed
from retrieval.parsing.process import ParseProcess
from retrieval.personal.document import treated
from retrieval.removals import forget
from retrieval.store import contents, documents, jobs, sources
from retrieval.store.contents import Content
from retrieval.store.database import Database, Transaction
from retrieval.store.jobs import RUN_DEADLINE_S, Job
from retrieval.types import Document, Progress

log = logging.getLogger(__name__)

# A process that is killed keeps the others waiting for this long.
LEASE_S = 15.0
# What has been read is embedded when reading the next ones has taken so long.
FILL_S = 5.0
AT_ONCE = 64  # chunks that are measured before somebody else may want to know that this process is alive

Report = Callable[[Progress], None]
Clock = Callable[[], float]


class _Stopped(Exception):
    """This process is closing; the job stays open for the next one."""


class Ingester:
    """Runs the jobs."""

    def __init__(
        self,
        database: Database,
        originals: Originals,
        mirror: Mirror,
        embedder: Embedder,
        parser: ParseProcess,
        *,
        lease_s: float = LEASE_S,
        clock: Clock = time.time,
        observe: Observe | None = None,
    ) -> None:
        self._database = database
        self._originals = originals
        self._mirror = mirror
        self._embedder = embedder
        self._parser = parser
        self._clock = clock
        self._observe = observe or _unobserved
        self._holding = Holding(database, embedder.fingerprint, lease_s, clock)
        self._paused: type[Exception] | None = None  # why the last attempt ended early
        self._running = threading.Lock()
        self._stopping = threading.Event()

    def run_pending(self, report: Report | None = None) -> None:
        """Run the open jobs until none is left, unless another process is doing so.

        Args:
            report: called from this thread when a file has been cut, with each batch, and at the end of each file.

        Raises:
            RetrievalError: nothing can be read or stored at the moment; the jobs stay open.
        """
        with self._running:
            try:
                self._holding.give_back()  # what the call before this one could not, on a full disk for instance
                self._run(report or _unreported)
                self._paused = None
            except LeaseLost as why:
                self._holding.abandon()
                self._pause(why)
            except _Stopped as why:
                self._pause(why)
                self._holding.give_back()
            except RetrievalError:
                self._holding.give_back()
                raise
            except BaseException:
                self._holding.abandon()  # one of the files may be to blame, so the attempt counts
                raise
            finally:
                self._holding.release()

    def stop(self) -> None:
        """Make a running `run_pending` return after its batch, or part of a file, and wait; later ones do at once."""
        self._stopping.set()
        with self._running:
            self._parser.close()

    def _run(self, report: Report) -> None:
        pool = Pool(self._embedder, self._observe, self._clock)
        while True:
            self._fill(pool, report)
            if not pool.readings:
                self._parser.rest()
                return
            for reading in pool.embed(
                lambda readings: self._go_on(pool, readings, report), lambda: self._read_ahead(pool, report)
            ):
                self._end(reading.job, report, content=_content(reading))
            self._mirror.save_if_due()

    def _fill(self, pool: Pool, report: Report) -> None:
        """Read files, of each owner in turn, until there is a batch to begin with, or no job is left.

        At least one, if there is an owner with nothing in hand; and no more after `FILL_S`.
        """
        began_at = self._clock()
        while self._read_another(pool, report):
            if pool.readings and (pool.has_batch or self._clock() > began_at + FILL_S):
                return

    def _read_ahead(self, pool: Pool, report: Report) -> bool:
        """Keep the lease, and read a file while others are embedded, unless the next window is full.

        Returns:
            Whether there was one.
        """
        self._holding.keep()
        return not pool.is_full and self._read_another(pool, report)

    def _read_another(self, pool: Pool, report: Report) -> bool:
        """Read the next file; tell whether there was one."""
        suspects = [reading for reading in pool.readings if reading.job.attempts > 1]
        if not all(reading.is_large for reading in suspects):
            return False  # if it is such a file that ends processes, it is to take no others with it
        if self._stopping.is_set():
            raise _Stopped
        if (job := self._holding.claim(pool.barred, pool.aside, is_counted=not suspects)) is None:
            return False
        self._take(job, pool, report)
        return True

    def _take(self, job: Job, pool: Pool, report: Report) -> None:
        """Read a file into the pool, or end its job."""
        began_at = self._clock()
        try:
            reading = self._read(job)
        except DocumentRefused as refused:
            self._end(job, report, refused=refused)
            return
        finally:
            pool.wait(self._clock() - began_at)
        if reading is None:
            self._end(job, report)
        elif pool.admit(reading):
            report(Progress(job.file_id, job.filename, 0, len(reading.chunks), "in_progress"))
        else:
            self._holding.put_back(job)

    def _read(self, job: Job) -> Reading | None:
        """What the job's file holds; None: another job for the same content has read it."""
        path = Path(job.filename)
        with self._database.read() as tx:
            document = documents.one(tx, job.document_no)
        if document is None or document.status == "completed":
            return None
        refuse_too_large(path, document.bytes, self._parser.limits)
        try:
            data = self._originals.read(job.file_id)
        except FileNotFoundError as error:
            raise DocumentRefused(path, "the file handed in is gone from the data directory", "server_error") from error
        began = time.perf_counter()
        try:
            parsed = self._parser.parse(path, data, lambda: self._beat(job))
        finally:
            self._observe(Worked("parse", time.perf_counter() - began))
        parsed, found = treated(parsed, document.personal_data.policy, lambda: self._beat(job))
        chunks = self._cut(job, parsed)
        return Reading(job, parsed, chunks, self._windows(job, parsed, chunks), personal_data=found)

    def _cut(self, job: Job, parsed: Parsed) -> list[Chunk]:
        def count(texts: Sequence[str]) -> list[int]:
            self._beat(job)
            return self._embedder.count(texts)

        most = self._parser.limits.chunks
        try:
            if job.chunking:
                return cut_as_asked(parsed, count, job.chunking, most=most)
            return cut(parsed, count, most=most)
        except TooManyChunks as many:
            raise DocumentRefused(Path(job.filename), f"{many}; split it, or leave out headings") from many

    def _windows(self, job: Job, parsed: Parsed, chunks: Sequence[Chunk]) -> list[int]:
        """How many windows of the embedder each chunk takes; of the usual size, they fit into one."""
        if not job.chunking:
            return [1] * len(chunks)
        found: list[int] = []
        for start in range(0, len(chunks), AT_ONCE):
            some = chunks[start : start + AT_ONCE]
            self._beat(job)
            counts = self._embedder.count([parsed.text[chunk.start : chunk.end] for chunk in some])
            found += [max(1, -(-count // WINDOW_TOKENS)) for count in counts]
        return found

    def _go_on(self, pool: Pool, readings: list[Reading], report: Report) -> None:
        """Between two batches: keep the lease, tell how far these files are, and give up what takes too long.

        What is no longer wanted, as it was deleted or cancelled, goes at once: others wait for what it would take.
        """
        self._holding.keep()
        with self._database.read() as tx:
            unwanted = [reading for reading in pool.readings if not jobs.is_open(tx, reading.job.job_no)]
            gone = [job for job in pool.aside if not jobs.is_open(tx, job.job_no)]
        for job in gone:
            pool.forget(job)
        for reading in unwanted:
            pool.drop(reading)
            self._holding.end(reading.job)
        readings = [reading for reading in readings if reading not in unwanted]
        for reading in readings:
            try:
                self._beat(reading.job)
            except DocumentRefused as refused:
                pool.drop(reading)
                self._end(reading.job, report, refused=refused)
                continue
            if reading.stored:
                report(
                    Progress(
                        reading.job.file_id,
                        reading.job.filename,
                        len(reading.stored),
                        len(reading.chunks),
                        "in_progress",
                    )
                )

    def _end(
        self, job: Job, report: Report, *, content: Content | None = None, refused: DocumentRefused | None = None
    ) -> None:
        with self._database.write() as tx:
            self._holding.renew(tx)
            # Not open: deleted, or superseded by a newer file, while it was read.
            ended = self._ended(tx, job, content, refused) if jobs.is_open(tx, job.job_no) else None
        self._holding.end(job)
        if ended is None:
            return
        document, gone = ended
        self._originals.drop_redacted(self._database)
        forget(self._originals, self._mirror, gone)
        self._observe(Ended(None if refused is None else refused.fault))
        report(Progress(job.file_id, job.filename, document.chunks, document.chunks, document.status))

    def _ended(
        self, tx: Transaction, job: Job, content: Content | None, refused: DocumentRefused | None
    ) -> tuple[Document, list[str]]:
        """Write down how a job ended; return what is said of its document now, and the ids of files that went."""
        gone: list[str] = []
        if refused is not None:
            jobs.fail(tx, job.job_no, job.document_no, refused.reason, self._clock(), refused.fault)
        else:
            if content is not None:
                contents.complete(tx, job.document_no, content)
            gone = sources.point(tx, job.source, job.document_no)
            jobs.complete(tx, job.job_no, self._clock())
        document = documents.one(tx, job.document_no)
        assert document is not None, "an open job belongs to a document"
        return document, gone

    def _beat(self, job: Job) -> None:
        if self._stopping.is_set():
            raise _Stopped
        if self._clock() > job.started_at + RUN_DEADLINE_S:
            reason = f"reading it took longer than {RUN_DEADLINE_S:.0f} seconds; split it"
            raise DocumentRefused(Path(job.filename), reason, "server_error")
        self._holding.keep()

    def _pause(self, why: Exception) -> None:
        # Said once: a server asks again twice a second for as long as a command holds the lease.
        if self._paused is not type(why):
            log.info("ingest paused: %s", why.__doc__)
        self._paused = type(why)


def _content(reading: Reading) -> Content:
    parsed = reading.parsed
    sha256 = hashlib.sha256(parsed.text.encode()).hexdigest()
    chunks = [reading.stored[at] for at in range(len(reading.chunks))]
    return Content(parsed.title, parsed.text, sha256, chunks, parsed.stripped, reading.personal_data, parsed.flags)


def _unobserved(fact: Worked | Ended) -> None:
    """What nobody measures."""


def _unreported(progress: Progress) -> None:
    """Progress that nobody asked for."""
