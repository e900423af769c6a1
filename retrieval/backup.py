"""A copy of the store in a folder: complete under its name or not there at all, and checked before it is believed.

`store.db` and `files/` as in the data directory, what the caller adds, and `manifest.json` with every file's digest.
The vector index is left out, as it is made from the store.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex

from retrieval.disk import sync_folder
from retrieval.errors import BackupRefused
from retrieval.originals import Originals
from retrieval.store import files, meta
from retrieval.store.database import Database

FORMAT = 1
MANIFEST = "manifest.json"
STORE = "store.db"
ORIGINALS = "files"
# An original that is gone was deleted while the copy was made. Before the last try nobody can delete any more.
TRIES = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    format: int
    created_at: int  # Unix seconds
    generation: int
    embedder: str
    files: Mapping[str, Kept]  # by path below the backup's folder


def back_up(
    database: Database, originals: Originals, folder: Path, besides: Mapping[str, Callable[[Path], None]]
) -> Manifest:
    """Copy the store while others use it.

    Args:
        folder: made, with the folders above it; may be there if it is empty.
        besides: further files by name, and what writes each.

    Raises:
        BackupRefused: there is something in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupRefused(folder, "there is something already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{token_hex(4)}")
    aside.mkdir(mode=0o700)
    try:
        (aside / ORIGINALS).mkdir(mode=0o700)
        _copy_store(database, originals, aside)
        for name, write in besides.items():
            write(aside / name)
        manifest = _describe(aside)
        write_synced(aside / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
        for made in (aside / ORIGINALS, aside):
            sync_folder(made)
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return manifest


def checked(folder: Path) -> Manifest:
    """Read a backup's manifest, and every file against it.

    Raises:
        BackupRefused: it is no backup, not whole, or was changed.
    """
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise BackupRefused(folder, f"it is of format {said['format']}; this version reads {FORMAT}")
        kept = {name: Kept(**facts) for name, facts in said["files"].items()}
        manifest = Manifest(**(said | {"files": kept}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupRefused(folder, f"its {MANIFEST} cannot be read ({error})") from error
    if STORE not in kept or any(".." in Path(name).parts or Path(name).is_absolute() for name in kept):
        raise BackupRefused(folder, f"its {MANIFEST} is not that of a backup")
    for name, expected in kept.items():
        try:
            found = _kept(folder / name)
        except OSError as error:
            raise BackupRefused(folder, f"{name} cannot be read ({error.strerror})") from error
        if found != expected:
            raise BackupRefused(folder, f"{name} is not what was backed up: its digest differs")
    return manifest


def copy_synced(source: Path, target: Path) -> None:
    """Copy one file, for its owner alone."""
    with source.open("rb") as old, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())


def _copy_store(database: Database, originals: Originals, aside: Path) -> None:
    for _ in range(TRIES):
        if _copy_once(database, originals, aside):
            return
    with database.write():
        is_whole = _copy_once(database, originals, aside)
    if not is_whole:
        raise BackupRefused(aside, f"originals of stored files are missing from {ORIGINALS}/")


def _copy_once(database: Database, originals: Originals, aside: Path) -> bool:
    """Copy the database, then the originals that it knows; False: one is gone."""
    (aside / STORE).unlink(missing_ok=True)
    database.copy_to(aside / STORE)
    with closing(Database(aside / STORE)) as copied, copied.read() as tx:
        known = files.known(tx)
    folder = aside / ORIGINALS
    for path in folder.iterdir():
        if path.name not in known:
            path.unlink()
    for file_id in known:
        if not (folder / file_id).exists():
            try:
                copy_synced(originals.path(file_id), folder / file_id)
            except FileNotFoundError:
                (folder / file_id).unlink(missing_ok=True)
                return False
    return True


def _describe(aside: Path) -> Manifest:
    with closing(Database(aside / STORE)) as copied, copied.read() as tx:
        generation, _ = meta.generation(tx)
        embedder = meta.embedder(tx)
    kept = {path.relative_to(aside).as_posix(): _kept(path) for path in sorted(aside.rglob("*")) if path.is_file()}
    return Manifest(FORMAT, int(time.time()), generation, embedder, kept)


def _kept(path: Path) -> Kept:
    with path.open("rb") as file:
        return Kept(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
