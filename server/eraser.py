"""From a removal to its certificate: caches emptied, remains purged and looked for, the result signed and recorded.

Every step can be repeated, so a process that dies anywhere leaves the rest to the next one.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from time import time

import anyio
from anyio.to_thread import run_sync

from retrieval.erasure import Erasure, Purge, Scan
from retrieval.errors import RetrievalError
from server.audit.chain import AuditError
from server.certificates import proof
from server.database import FAILED
from server.ledger import Ledger
from server.signing import Signer
from server.store_ports import Library

log = logging.getLogger(__name__)

# What may pass: a store or a ledger in use, a disk that is full, a file or a log that cannot be read.
_FAULTS = (RetrievalError, AuditError, FAILED, OSError)
# How long a purge that could not be made waits: a long search is over by then. Then twice as long each time, up to so
# long: what stays as it is (a copy that somebody left) is not to have all files read over and over.
AGAIN_S = 5.0
MOST_AGAIN_S = 600.0
# Removals that the ledger is told of together: keys are looked up behind the same lock.
AT_ONCE = 200


class Eraser:
    """Certifies what was removed from one data directory, by whatever process."""

    def __init__(
        self,
        library: Library,
        ledger: Ledger,
        signer: Signer,
        *,
        recorded: Callable[[], Iterable[str | bytes]] = tuple,
        forget: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        """Certify with this key.

        Args:
            recorded: what the data directory holds by right outside store and ledger; see `server.audit.held`.
            forget: empties what this process keeps of prompts; called for each removal and each change of access.
        """
        self._library = library
        self._ledger = ledger
        self._signer = signer
        self._recorded = recorded
        self._forget = forget
        self._clock = clock
        self._revoked: int | None = None
        self._said: str | None = None

    async def run_once(self) -> Purge:
        """Purge and certify whatever is pending, less that of which remains are left.

        Returns:
            The last purge, with the erasures and problems of all: after a restore there may be several to make.
        """
        await self._forget_revoked()
        done, purge = list[Erasure](), Purge()
        waiting, problems = dict[str, Erasure](), list[str]()
        while pending := [one for one in await self._library.erasures() if one.erasure_id not in waiting]:
            for start in range(0, len(pending), AT_ONCE):
                await run_sync(self._ledger.erasures.expect, *pending[start : start + AT_ONCE])
            purge = await self._library.purge(self._known, list(waiting))
            waiting |= {erasure.erasure_id: erasure for erasure in purge.waiting}
            problems += [purge.problem] if purge.problem is not None else []
            if purge.scan is None:
                break
            if not purge.erasures:
                continue
            # Again: what was removed since may be among those that are certified now.
            await self._forget_revoked()
            for erasure in purge.erasures:
                await run_sync(self._certify, erasure, replace(purge.scan, traces=()))  # those are of others
                await self._library.settle(erasure)
            done += purge.erasures
            log.info(
                "%d erasures certified, of the generations %d to %d: %d files looked at for %d runs, of which %d are"
                " other documents' too",
                len(purge.erasures),
                min(erasure.generation_before for erasure in purge.erasures),
                max(erasure.generation_after for erasure in purge.erasures),
                purge.scan.files,
                purge.scan.runs,
                purge.scan.shared,
            )
        problem = "; ".join(dict.fromkeys(problems)) or None
        return Purge(tuple(done), purge.scan, problem, tuple(waiting.values()))

    async def work(self, poll_s: float = 0.5) -> None:
        """Do so as removals come, from whatever process, until cancelled; what fails meanwhile is tried again."""
        pause_s = AGAIN_S
        while True:
            try:
                purge = await self.run_once()
                problem = purge.problem
            except _FAULTS as error:
                problem = str(error)
            if problem is not None and problem != self._said:
                log.warning("erasures wait, to be tried again: %s", problem)
            self._said = problem
            if problem is None:
                pause_s = AGAIN_S
                await anyio.sleep(poll_s)
            else:
                await self._rest(pause_s, poll_s)
                pause_s = min(2 * pause_s, MOST_AGAIN_S)

    async def _rest(self, pause_s: float, poll_s: float) -> None:
        """Let a purge wait, but forget prompts meanwhile as soon as ever."""
        until = anyio.current_time() + pause_s
        while (left_s := until - anyio.current_time()) > 0:
            await anyio.sleep(min(poll_s, left_s))
            with suppress(*_FAULTS):  # a store in trouble: what is tried next says so
                await self._forget_revoked()

    def _known(self) -> Iterator[str | bytes]:
        yield from self._ledger.stretches()
        yield self._signer.pem
        yield from self._recorded()

    async def _forget_revoked(self) -> None:
        if self._forget is not None:
            revoked = await self._library.revoked()
            if revoked != self._revoked:
                await self._forget()
                self._revoked = revoked

    def _certify(self, erasure: Erasure, scan: Scan) -> None:
        now = int(self._clock())
        self._ledger.erasures.expect(erasure)
        self._ledger.erasures.remember_key(self._signer.key_id, self._signer.public_key, now)
        self._ledger.erasures.certify(erasure.erasure_id, proof(erasure, scan, self._signer, issued_at=now))
