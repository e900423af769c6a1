"""What a backup and a restore do with the server's own databases; the store is retrieval's.

server/building/upkeep.py puts them together.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time

from retrieval.erasure import Erasure
from server.audit.log import AuditLog
from server.ledger import Ledger

LEDGER, AUDIT = "ledger.db", "audit.db"


def copies(ledger: Ledger, audit: AuditLog | None) -> Mapping[str, Callable[[Path], None]]:
    """What a backup holds besides the store. The signing key stays where it is: who has a backup cannot sign."""
    return {LEDGER: ledger.copy_to} | ({} if audit is None else {AUDIT: audit.copy_to})


def bring_audit(data_dir: Path, backup: Path) -> None:
    """Put the backup's audit log into a data directory that has none; one that is there knows more, and stays."""
    if (backup / AUDIT).exists() and not (data_dir / AUDIT).exists():
        _put(_copied(backup / AUDIT, data_dir), data_dir / AUDIT)


def merged_ledger(data_dir: Path, backup: Path, waiting: Sequence[Erasure]) -> Ledger:
    """The ledger of a data directory that is about to be restored, knowing every erasure that can be known.

    The one that is there stays, since keys revoked and documents erased after the backup must stay so; it takes over
    erasures that only the backup's knows. Where there is none, the backup's is taken.

    Args:
        waiting: removals that no ledger may know yet.

    Raises:
        LedgerError: one of them cannot be used.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    there, brought = data_dir / LEDGER, _copied(backup / LEDGER, data_dir)
    if not there.exists():
        _put(brought, there)
        ledger = Ledger(there)
    else:
        other = Ledger(brought)
        ledger = Ledger(there)
        ledger.erasures.adopt(other.erasures.listing(), other.erasures.public_keys(), int(time()))
        other.close()
        for left in data_dir.glob(f"{brought.name}*"):
            left.unlink()
    for erasure in waiting:
        ledger.erasures.expect(erasure)
    return ledger


def _copied(source: Path, data_dir: Path) -> Path:
    """A synced copy of a backup's database in the data directory, under a name of its own."""
    brought = data_dir / f"{source.name}.brought"
    for left in data_dir.glob(f"{brought.name}*"):  # by a restore that was killed
        left.unlink()
    brought.touch(mode=0o600)
    shutil.copyfile(source, brought)  # in pieces: an audit log grows without end
    _sync(brought)
    return brought


def _put(brought: Path, there: Path) -> None:
    # A log that a killed process has left there would be written over what is brought.
    for ending in ("-wal", "-shm"):
        there.with_name(there.name + ending).unlink(missing_ok=True)
    _sync(there.parent)
    brought.replace(there)
    _sync(there.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
