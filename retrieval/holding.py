"""The lease, and the jobs that this process has claimed under it and not ended."""

from collections.abc import Callable, Collection
from dataclasses import replace
from secrets import token_hex

from retrieval.store import jobs, meta
from retrieval.store.database import Database, Transaction
from retrieval.store.jobs import Job


class LeaseLost(Exception):
    """Another process runs the jobs now."""


class Holding:
    """What one process has in hand. Used from one thread at a time."""

    def __init__(self, database: Database, fingerprint: str, lease_s: float, clock: Callable[[], float]) -> None:
        """Hold nothing yet.

        Args:
            fingerprint: the embedder's, which the store has to be of.
        """
        self._database = database
        self._fingerprint = fingerprint
        self._lease_s = lease_s
        self._clock = clock
        self._holder = token_hex(8)
        self._renewed_at = 0.0
        self._may_hold = False  # the lease
        self._jobs: dict[int, Job] = {}

    def claim(
        self, barred: Collection[str] = (), aside: Collection[Job] = (), *, is_counted: bool = True
    ) -> Job | None:
        """Take the next job; none of these owners', and none of those aside; see `jobs.claim`.

        Raises:
            LeaseLost: another process has the lease.
        """
        with self._database.read() as tx:
            # Looked at before writing: an idle server polls, and must not wake the disk for nothing.
            if not jobs.is_any_open(tx):
                return None
        with self._database.write() as tx:
            self.renew(tx)
            job = jobs.claim(tx, self._clock(), [*self._jobs.values(), *aside], barred, is_counted=is_counted)
        if job is not None:
            self._jobs[job.job_no] = job
        return job

    def renew(self, tx: Transaction) -> None:
        """Renew the lease in the transaction that writes: who has lost it cannot commit what another writes as well.

        Raises:
            LeaseLost: another process has the lease.
        """
        meta.claim_embedder(tx, self._fingerprint)
        if not self._acquire(tx):
            raise LeaseLost

    def keep(self) -> None:
        """Renew the lease if that is due.

        Raises:
            LeaseLost: another process has the lease.
        """
        if self._clock() <= self._renewed_at + self._lease_s / 3:
            return
        with self._database.write() as tx:
            self.renew(tx)

    def end(self, job: Job) -> None:
        """Let go of a job that has ended."""
        del self._jobs[job.job_no]

    def put_back(self, job: Job) -> None:
        """Leave a job for later, first in its owner's next turn."""
        with self._database.write() as tx:
            self.renew(tx)
            jobs.give_back(tx, [job])
            jobs.forgo(tx, job.owner)
        self.end(job)

    def give_back(self) -> None:
        """Leave the jobs in hand to the next process, without an attempt counted: none of their files is to blame."""
        if not self._jobs:
            return
        with self._database.write() as tx:
            if self._acquire(tx):
                jobs.give_back(tx, list(self._jobs.values()))
        self._jobs.clear()

    def abandon(self) -> None:
        """Let go of all jobs as they are, an attempt counted for each."""
        self._jobs.clear()

    def release(self) -> None:
        """Give up the lease; without one, wait for no writer to do so."""
        if not self._may_hold:
            return
        with self._database.write() as tx:
            jobs.release(tx, self._holder)
        self._may_hold = False

    def _acquire(self, tx: Transaction) -> bool:
        now = self._clock()
        if not jobs.acquire(tx, self._holder, now, self._lease_s):
            return False
        self._renewed_at, self._may_hold = now, True
        return True


def later(job: Job, seconds: float) -> Job:
    """The job as if it had started later: what others took of the time is not its own."""
    return replace(job, started_at=job.started_at + seconds)
