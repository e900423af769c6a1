"""Locks between processes, on files of the data directory. The system drops them when a process ends, however it ends.

`in-use.lock` is held shared by everybody who has the store open, and alone by a restore; `purge.lock` by who purges,
and `clearing.lock` for each turn of taking out what was removed. A database that is brought forward has one of its own.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_USE = "in-use.lock"
PURGE = "purge.lock"
CLEARING = "clearing.lock"


class Lock:
    """A lock that is held until `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give it up; again changes nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def take(path: Path, *, alone: bool, waits: bool = False) -> Lock | None:
    """Take a lock, without waiting unless told to; None: somebody holds it who rules this out."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return Lock(descriptor)


@contextmanager
def migrating(database: Path) -> Iterator[None]:
    """Be the only one who brings a database forward; waits for as long as it takes somebody else to."""
    lock = take(database.with_name(f"{database.name}.lock"), alone=True, waits=True)
    assert lock is not None, "who waits for a lock gets it"
    try:
        yield
    finally:
        lock.release()


@contextmanager
def trying(path: Path) -> Iterator[bool]:
    """Hold a lock alone for a block, if it can be had; yields whether it could."""
    lock = take(path, alone=True)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
