"""What is on its way out: the documents of removed stores, and what has expired.

A store of either kind is marked in one short transaction, and nothing brings it back from then on. What it holds is
then taken out in turns, so that no writer waits for a large store. What a process that ends leaves of it, the next one
goes on with.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

from anyio import CapacityLimiter

from retrieval.errors import RetrievalError, StoreFailed
from retrieval.locks import CLEARING, trying
from retrieval.originals import Originals
from retrieval.store import documents, files, going, leaving
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import EXPIRED

log = logging.getLogger(__name__)

# How long other writers wait for a turn, unless a single document takes longer.
TURN_S = 0.25
# Callers that wait in a thread of their own until a store is empty; the others wait for these, and have none.
TOGETHER = 4
_AT_ONCE = 100  # row numbers in memory

# Removes one thing after the other; yields the id of a file that went too, to be unlinked after the commit.
_Work = Callable[[Transaction], Iterator[str | None]]


class Clearing:
    """Takes out of the database, the originals and the index. Methods block, and may be called from any thread.

    Those of all threads and processes take turns, with a pause behind each: two that wrote without one would leave
    everybody else waiting, as SQLite's waiting writers look only now and then.
    """

    def __init__(self, database: Database, originals: Originals, forget: Callable[[], None]) -> None:
        """Clear a data directory.

        Args:
            forget: called after what was taken out, as `Mirror.forget`.
        """
        self.places = CapacityLimiter(TOGETHER)
        self._database = database
        self._originals = originals
        self._forget = forget
        self._lock = database.path.with_name(CLEARING)
        self._stopping = threading.Event()
        self._turn = threading.Lock()

    def store(self, store_no: int) -> None:
        """Take everything out of a store that was removed, and then the store; what fails is left to `everything`."""
        try:
            self._in_turns(lambda tx: _out_of_removed(tx, store_no))
        except (RetrievalError, OSError) as error:
            log.error("a removed store is not empty yet, to be tried again: %s", error)

    def is_due(self, now: int) -> bool:
        """Say whether there is anything to be taken out."""
        with self._database.read() as tx:
            return files.are_any_expired(tx) or going.are_any_expired(tx, now) or bool(going.taken_away(tx))

    def everything(self, now: int, *, is_last: bool = False) -> int:
        """Take out what there is; return how many documents and files that was.

        Args:
            now: Unix seconds; stores that have expired by then are not brought back by a search.
            is_last: no more than a turn, though it was said to stop.
        """
        if not self.is_due(now):
            return 0
        with self._database.write() as tx:
            going.let_expire(tx, now)
        return self._in_turns(_everything, is_last=is_last)

    def stop(self) -> None:
        """End after the turn that is running, and begin no other."""
        self._stopping.set()
        with self._turn:
            pass

    def _in_turns(self, work: _Work, *, is_last: bool = False) -> int:
        count, left = 0, list[StoreFailed | OSError]()
        while True:
            with self._turn, trying(self._lock) as is_ours:
                if self._stopping.is_set() and not is_last:
                    return count
                is_done = is_last
                if is_ours:
                    self._pause()
                    removed, is_all = self._one_turn(work, left)
                    count += removed
                    is_done = is_all or is_last
                    if is_done and count:
                        self._forget()
                        self._database.checkpoint()
                    os.utime(self._lock)
            if is_done:
                if left:
                    raise left[0]
                return count
            self._stopping.wait(leaving.PAUSE_S)  # without the locks: the next turn is for whoever waits for one

    def _pause(self) -> None:
        """Let other writers in between the last turn, whosever it was, and the next."""
        since_s = max(0.0, time.time() - self._lock.stat().st_mtime)
        if since_s < leaving.PAUSE_S:
            self._stopping.wait(leaving.PAUSE_S - since_s)

    def _one_turn(self, work: _Work, left: list[StoreFailed | OSError]) -> tuple[int, bool]:
        """How much was removed, and whether that was all. Words leave the lexical index by the next purge.

        Args:
            left: takes the failures to unlink an original, which keep nothing else from being taken out; a purge tries
                again.
        """
        gone, count, is_done = list[str](), 0, True
        with self._database.write() as tx:
            ends = time.monotonic() + TURN_S
            for file_id in work(tx):
                count += 1
                if file_id is not None:
                    gone.append(file_id)
                if time.monotonic() >= ends:
                    is_done = False
                    break
        for file_id in gone:
            try:
                self._originals.remove(file_id)
            except (StoreFailed, OSError) as error:
                left.append(error)
        return count, is_done


def _everything(tx: Transaction) -> Iterator[str | None]:
    for store_no in going.taken_away(tx):
        yield from _out_of_removed(tx, store_no)
    while held := going.held_by_expired(tx, _AT_ONCE):
        yield from (documents.remove(tx, document_no, EXPIRED) for document_no in held)
    for file_no, file_id in files.expired(tx):
        documents.remove_file(tx, file_no, EXPIRED)
        yield file_id


def _out_of_removed(tx: Transaction, store_no: int) -> Iterator[str | None]:
    occasion = going.removal(tx, store_no)
    if occasion is None:
        return  # somebody else has taken out the last of it
    while held := going.held(tx, store_no, _AT_ONCE):
        yield from (documents.remove(tx, document_no, occasion) for document_no in held)
    going.end(tx, store_no)
