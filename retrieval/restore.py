"""A backup into a data directory: all of it or nothing, and without what was erased since it was made.

The backup is copied aside, brought to this version's schema, and what was erased is taken out of it. Then a marker
says that it holds; from there on whoever opens the directory next finishes what a process that died has left.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from retrieval.backup import ORIGINALS, STORE, checked, copy_synced, write_synced
from retrieval.clearing import Clearing
from retrieval.database_file import BACKUP
from retrieval.disk import sync_folder
from retrieval.erasure import Erasure, Gone, Taken
from retrieval.errors import DataInUse, RestoreRefused, StoreFailed
from retrieval.locks import IN_USE, Lock, take
from retrieval.originals import Originals
from retrieval.store import documents, erasures, files, leaving
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import Occasion

log = logging.getLogger(__name__)

T = TypeVar("T")

MARKER = "restoring.json"
_ASIDE = "restore-"
_INDEX = "index"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    files: int
    replayed: int  # files of the backup that were erased since, and are not there again
    taken_out: int = 0  # files that are there, and out of a store that held them in the backup


def hold(data_dir: Path) -> Lock:
    """Hold a data directory open together with others, after finishing a restore that a process has left.

    Raises:
        DataInUse: it is being restored.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (data_dir / MARKER).exists():
        alone = take(data_dir / IN_USE, alone=True)
        if alone is None:
            raise DataInUse(data_dir, "it is being restored")
        try:
            _finish(data_dir)
        finally:
            alone.release()
    lock = take(data_dir / IN_USE, alone=False)
    if lock is None:
        raise DataInUse(data_dir, "it is being restored")
    _drop_left(data_dir)
    return lock


def pending_erasures(data_dir: Path) -> list[Erasure]:
    """The removals of a data directory that no certificate was written for; none if its store cannot be read.

    Side effects: what was removed and is still there is taken out, as it is among these only then.

    Raises:
        DataInUse: a process has the data directory open.
    """
    with _alone(data_dir):
        _take_out_removed(data_dir)
        return _read_old(data_dir, erasures.pending)


def restore(source: Path, data_dir: Path, gone: Gone, *, replace: bool) -> Restored:
    """Put a backup in the place of what a data directory holds.

    Args:
        gone: what was erased; it is erased from the backup's copy again.
        replace: there may be a store already; it goes.

    Raises:
        BackupRefused: the backup is not whole.
        RestoreRefused: there is a store, and it was not said that it may go.
        DataInUse: a process has the data directory open.
    """
    manifest = checked(source)
    with _alone(data_dir):
        _refuse_stored(data_dir, replace=replace)
        aside = data_dir / f"{_ASIDE}{token_hex(4)}"
        aside.mkdir(mode=0o700)
        try:
            (aside / ORIGINALS).mkdir(mode=0o700)
            for name in manifest.files:
                if name == STORE or name.startswith(f"{ORIGINALS}/"):
                    copy_synced(source / name, aside / name)
            restored = _replay(aside, data_dir, gone)
            write_synced(aside / MARKER, json.dumps({"from": aside.name}).encode())
            for made in (aside / ORIGINALS, aside):
                sync_folder(made)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _mark(data_dir, aside)
        _finish(data_dir)
    return restored


def refuse_occupied(data_dir: Path, *, replace: bool) -> None:
    """Refuse what `restore` would refuse of a data directory, before anything is changed.

    Raises:
        RestoreRefused, DataInUse: as in `restore`.
    """
    if data_dir.exists():
        with _alone(data_dir):
            _refuse_stored(data_dir, replace=replace)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take(data_dir / IN_USE, alone=True)
    if lock is None:
        raise DataInUse(data_dir, "a process has it open; stop the server and what else uses it")
    try:
        if not (data_dir / MARKER).exists():
            _drop_left(data_dir)
        yield
    finally:
        lock.release()


def _drop_left(data_dir: Path) -> None:
    """Remove what a restore that ended before its marker was in place has copied, erased texts included."""
    for left in data_dir.glob(f"{_ASIDE}*"):
        shutil.rmtree(left, ignore_errors=True)


def _refuse_stored(data_dir: Path, *, replace: bool) -> None:
    # After a restore that was interrupted there is nothing to let go of.
    if (data_dir / STORE).exists() and not replace and not (data_dir / MARKER).exists():
        raise RestoreRefused(data_dir)


def _replay(aside: Path, data_dir: Path, gone: Gone) -> Restored:
    """Erase again what was erased since."""
    waiting = _read_old(data_dir, erasures.rows)
    with closing(Database(aside / STORE)) as database:
        with database.write() as tx:
            # What was removed from the store that goes away, and is not proven yet, is proven in the one that comes.
            erasures.carry(tx, waiting)
            held = files.numbers(tx)
            again = held.keys() & gone.files.keys()
            for file_id in again:
                documents.remove_file(tx, held[file_id], Occasion("replayed", gone.files[file_id]))
            taken_out = sum(_take_out(tx, taken) for taken in gone.taken)
        for file_id in again:
            Originals(aside / ORIGINALS).remove(file_id)
        leaving.take_out(database)
        if again or taken_out:
            database.vacuum()
        database.checkpoint()
    return Restored(len(held) - len(again), len(again), taken_out)


def _take_out(tx: Transaction, taken: Taken) -> bool:
    """Take a file out of the stores that it was taken out of, unless it was put there later; say whether it was in any.

    Later by the clock that both moments were read from: in doubt, within one second, it is taken out.
    """
    held = documents.put_there_by(tx, taken.file_id, taken.store_ids, taken.requested_at)
    if held:
        (file_no, _), *_ = held
        numbers = [document_no for _, document_no in held]
        documents.erase(tx, file_no, numbers, Occasion("replayed", taken.by), is_whole=False)
    return bool(held)


def _take_out_removed(data_dir: Path) -> None:
    if not (data_dir / STORE).exists():
        return
    try:
        with closing(Database(data_dir / STORE)) as database:
            Clearing(database, Originals(data_dir / ORIGINALS), lambda: None).everything(int(time.time()))
    except (StoreFailed, OSError) as problem:
        log.warning("what removed stores still hold cannot be taken out, and may come back: %s", problem)


def _read_old(data_dir: Path, read: Callable[[Transaction], list[T]]) -> list[T]:
    if not (data_dir / STORE).exists():
        return []
    try:
        with closing(Database(data_dir / STORE)) as database, database.read() as tx:
            return read(tx)
    except StoreFailed as problem:
        log.warning("the store that goes away cannot be read, nor removals that nobody has recorded: %s", problem)
        return []


def _mark(data_dir: Path, aside: Path) -> None:
    (aside / MARKER).replace(data_dir / MARKER)
    sync_folder(data_dir)


def _finish(data_dir: Path) -> None:
    """Move what the marker names into place; can be repeated wherever it was interrupted."""
    aside = data_dir / str(json.loads((data_dir / MARKER).read_text())["from"])
    shutil.rmtree(data_dir / _INDEX, ignore_errors=True)
    if (aside / STORE).exists():
        for left in (*data_dir.glob(f"{STORE}-*"), *data_dir.glob(f"{STORE}.v*{BACKUP}*")):
            left.unlink(missing_ok=True)
        (aside / STORE).replace(data_dir / STORE)
        sync_folder(data_dir)
    if (aside / ORIGINALS).exists():
        shutil.rmtree(data_dir / ORIGINALS, ignore_errors=True)
        (aside / ORIGINALS).rename(data_dir / ORIGINALS)
        sync_folder(data_dir)
    (data_dir / MARKER).unlink()
    sync_folder(data_dir)
    _drop_left(data_dir)
