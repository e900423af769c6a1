"""What every SQLite file gets, whichever tables it has: transactions, copies of it, and a way from older versions."""

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import apsw

from retrieval.disk import sync_folder
from retrieval.locks import migrating

log = logging.getLogger(__name__)

# What a copy made before a migration ends in; one that is being made has more behind it.
BACKUP = ".backup"


def place_of(path: Path) -> tuple[int, int] | None:
    """Which file stands under a name; None: there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def keep_beside(path: Path, connection: apsw.Connection) -> None:
    """Have SQLite put its temporary files beside this one: they hold parts of it, a rewriting all of it.

    It does so for all of the process, until this is said of another file.
    """
    connection.pragma("temp_store_directory", str(path.parent.resolve()))


@contextmanager
def transaction(connection: apsw.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """A transaction that an exception undoes."""
    # Not `with connection`, which waits for other writers, and for the disk, without letting other threads run.
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have ended it by itself, on a full disk for instance
            connection.execute("ROLLBACK")
        raise


def copy(connection: apsw.Connection, path: Path) -> None:
    """Write a copy of this moment to a new file, synced, without the free space; others may write meanwhile."""
    path.touch(mode=0o600)  # VACUUM INTO fills an empty file, and keeps its mode
    connection.execute("VACUUM INTO ?", (str(path),)).fetchall()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def bring_forward(
    path: Path, connection: apsw.Connection, migrations: Sequence[str], refuse_newer: Callable[[int], None]
) -> None:
    """Give a file the migrations that it has not had, all or none, after a copy of it as it was.

    Waits for as long as another process does the same.

    Args:
        migrations: one for each version; the first makes the tables of a new file.
        refuse_newer: is told the file's version, and raises if it is above those of `migrations`.
    """
    version = _version(connection)
    refuse_newer(version)
    if version == len(migrations) and not _half_copies(path):
        return
    keeps_references = connection.pragma("foreign_keys")
    # Off while tables are rebuilt, or dropping the old one would delete what refers to it.
    connection.pragma("foreign_keys", False)
    try:
        # A large file takes longer to copy than writers wait for each other. A new one is nothing to be copied.
        with migrating(path) if version or _half_copies(path) else nullcontext(), transaction(connection):
            _drop_half_copies(path)
            # Another process may have migrated while this one waited for the lock, and may know more than this one.
            version = _version(connection)
            refuse_newer(version)
            if 0 < version < len(migrations):
                _keep(path, version)
            for number, script in enumerate(migrations[version:], start=version + 1):
                connection.execute(script).fetchall()
                connection.pragma("user_version", number)
            if keeps_references:
                dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
                assert not dangling, "a migration left a reference to nothing"
    finally:
        connection.pragma("foreign_keys", keeps_references)


def _keep(path: Path, version: int) -> None:
    """Copy the file as it is before a migration; by who may write, so that nobody else makes a copy meanwhile."""
    backup = path.with_name(f"{path.name}.v{version}{BACKUP}")
    aside = backup.with_name(f"{backup.name}.unfinished")
    try:
        with closing(apsw.Connection(str(path))) as other:  # none copies in the midst of its own transaction
            copy(other, aside)
        aside.replace(backup)  # under its final name a copy is always whole
        sync_folder(path.parent)  # and has that name for good before anything is changed
    except BaseException:
        _drop_half_copies(path)
        raise
    log.info("%s: schema %d copied to %s before migrating", path.name, version, backup.name)


def _half_copies(path: Path) -> list[Path]:
    """What somebody who was killed while copying a database, before bringing it forward, has left of the copy."""
    # Older versions wrote eight digits. What an operator has made of a whole copy is called otherwise, and stays.
    ends = rf"\.v\d+{re.escape(BACKUP)}\.(?:unfinished|[0-9a-f]{{8}})(?:-journal)?"
    name = re.compile(re.escape(path.name) + ends)
    return [found for found in path.parent.iterdir() if name.fullmatch(found.name) and found.is_file()]


def _drop_half_copies(path: Path) -> None:
    for left in _half_copies(path):
        left.unlink(missing_ok=True)


def _version(connection: apsw.Connection) -> int:
    version = connection.pragma("user_version")
    assert isinstance(version, int), "user_version is an integer"
    return version
