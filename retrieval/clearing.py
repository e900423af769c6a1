"""What is on its way out: the documents of removed stores, and what has expired.

All of it is out of everybody's sight from one short transaction on. Then it is taken out in turns, so that no writer
waits for a large store. What a process that ends leaves of it, the next one goes on with.
"""

import threading
import time
from collections.abc import Callable, Iterator

from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.store import documents, files, leaving, stores
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import EXPIRED, Occasion

# How long other writers wait for a turn, unless a single document takes longer.
TURN_S = 0.25
_AT_ONCE = 100  # row numbers in memory

# Removes one thing after the other; yields the id of a file that went too, to be unlinked after the commit.
_Work = Callable[[Transaction], Iterator[str | None]]


class Clearing:
    """Takes out of the database, the originals and the index. Methods block, and may be called from any thread."""

    def __init__(self, database: Database, originals: Originals, mirror: Mirror) -> None:
        self._database = database
        self._originals = originals
        self._mirror = mirror
        self._stopping = threading.Event()
        self._turn = threading.Lock()

    def store(self, store_no: int, by: str) -> None:
        """Take everything out of a store that was removed, and then the store."""
        self._in_turns(lambda tx: _out_of_removed(tx, store_no, by))

    def everything(self, *, is_last: bool = False) -> int:
        """Take out what there is; return how many documents and files that was.

        Args:
            is_last: no more than a turn, though it was said to stop.
        """
        return self._in_turns(_everything, is_last=is_last)

    def stop(self) -> None:
        """End after the turn that is running, and begin no other."""
        self._stopping.set()
        with self._turn:
            pass

    def _in_turns(self, work: _Work, *, is_last: bool = False) -> int:
        count, is_done = 0, False
        while not is_done:
            with self._turn:
                if self._stopping.is_set() and not is_last:
                    return count
                removed, is_done = self._one_turn(work)
                count += removed
                is_done = is_done or is_last
                if is_done and count:
                    self._mirror.forget()
                    self._database.checkpoint()
            if not is_done:
                self._stopping.wait(leaving.PAUSE_S)
        return count

    def _one_turn(self, work: _Work) -> tuple[int, bool]:
        """How much was removed, and whether that was all. Words leave the lexical index by the next purge."""
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
            self._originals.remove(file_id)
        return count, is_done


def _everything(tx: Transaction) -> Iterator[str | None]:
    for store_no, by in stores.taken_away(tx):
        yield from _out_of_removed(tx, store_no, by)
    while held := stores.held_by_expired(tx, _AT_ONCE):
        yield from (documents.remove(tx, document_no, EXPIRED) for document_no in held)
    for file_no, file_id in files.expired(tx):
        documents.remove_file(tx, file_no, EXPIRED)
        yield file_id


def _out_of_removed(tx: Transaction, store_no: int, by: str) -> Iterator[str | None]:
    while held := stores.held(tx, store_no, _AT_ONCE):
        yield from (documents.remove(tx, document_no, Occasion("deleted", by)) for document_no in held)
    stores.end(tx, store_no)
