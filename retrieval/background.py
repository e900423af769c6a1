"""What goes on behind a library's calls until it is closed: files are read, what has expired goes, graphs are built.

Closing ends that in an order that loses nothing.
"""

import logging
import threading

import anyio
from anyio.to_thread import run_sync

from retrieval.archive import Archive
from retrieval.errors import RetrievalError
from retrieval.intake import Intake
from retrieval.locks import Lock
from retrieval.mirror import Mirror
from retrieval.store.database import Database

log = logging.getLogger(__name__)

# Searches already pass over what has expired; this is how long it may stay on disk.
TEND_S = 30.0
# How often to look whether a graph lacks something, which each search has to scan for meanwhile.
GROW_S = 2.0


class Background:
    """The work of a process beside its answers, and its end in the right order."""

    def __init__(self, database: Database, mirror: Mirror, intake: Intake, archive: Archive, lock: Lock) -> None:
        self._database = database
        self._mirror = mirror
        self._intake = intake
        self._archive = archive
        self._lock = lock
        self._tending = threading.Lock()  # `close` waits for what a cancelled task has left running

    async def work(self, poll_s: float) -> None:
        """Run jobs as they come, clear away what has expired, and build graphs, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._intake.work, poll_s)
            tasks.start_soon(self._tend)
            tasks.start_soon(self._grow)

    def close(self) -> None:
        """Stop ingesting after the running batch, save the index, and close the files. Blocks meanwhile."""
        self._intake.stop()
        self._archive.stop()
        self._tend_once(is_last=True)
        try:
            self._mirror.save()
        except RetrievalError as problem:
            log.warning("the index was not saved, which costs time at the next start: %s", problem)
        finally:
            self._database.close()
            self._lock.release()

    async def _tend(self) -> None:
        while True:
            await anyio.sleep(TEND_S)
            # Abandoned on cancel: `close` ends it after its turn.
            await run_sync(self._tend_once, abandon_on_cancel=True)

    async def _grow(self) -> None:
        while True:
            pause_s = await run_sync(self._grow_once)
            await anyio.sleep(pause_s)

    def _grow_once(self) -> float:
        """Do one step; return how many seconds to wait before the next."""
        try:
            return 0.0 if self._mirror.grow_graphs() else GROW_S
        except RetrievalError as error:
            log.error("a graph could not be built on, to be tried again: %s", error)
            return TEND_S

    def _tend_once(self, *, is_last: bool = False) -> None:
        try:
            with self._tending:
                self._archive.tend(is_last=is_last)
        except (RetrievalError, OSError) as error:
            log.error("clearing away what has expired failed, to be tried again: %s", error)
