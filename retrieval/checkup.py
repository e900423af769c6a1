"""A look at a store from outside, which changes nothing: for whoever wants to know what is wrong with it."""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from retrieval.embedder import MiniLM
from retrieval.errors import StoreFailed
from retrieval.snapshots import UNREADABLE, newest
from retrieval.store import jobs, meta, stores
from retrieval.store.database import looking
from retrieval.store.schema import MIGRATIONS


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found. Schemas count from 1, generations from 0."""

    schema: int
    known_schema: int
    embedder: str
    own_embedder: str
    generation: int
    snapshot: int | None  # the generation that the index on the disk is of; None: there is none
    unusable: tuple[str, ...]  # files of that index that are gone or not as they were written
    jobs: int  # files that wait to be read
    reader: str | None  # the process that reads them
    reader_until: float  # Unix seconds, unless it says before that that it still does


def check_up(data_dir: Path) -> Checkup:
    """Look at the store of a data directory.

    Raises:
        StoreFailed: it cannot be read.
    """
    with looking(data_dir / "store.db") as tx:
        (schema,) = tx.rows("PRAGMA user_version")[0]
        if schema != len(MIGRATIONS):  # its tables are not those that this version can read
            return Checkup(schema, len(MIGRATIONS), "", MiniLM.fingerprint, 0, None, (), 0, None, 0.0)
        embedder, (generation, _), waiting = meta.embedder(tx), meta.generation(tx), jobs.pending(tx)
        reader, until = jobs.lease(tx) or (None, 0.0)
    snapshot, unusable = _snapshot(data_dir / "index")
    return Checkup(
        schema,
        len(MIGRATIONS),
        embedder,
        MiniLM.fingerprint,
        generation,
        snapshot,
        unusable,
        waiting,
        reader,
        until,
    )


def store_names(data_dir: Path) -> frozenset[str]:
    """The ids and names of all stores, whoever may use them; none where there is no data directory yet.

    Raises:
        StoreFailed: they cannot be read.
    """
    file = data_dir / "store.db"
    if not file.exists():
        return frozenset()
    with looking(file) as tx:
        (schema,) = tx.rows("PRAGMA user_version")[0]
        if schema != len(MIGRATIONS):
            raise StoreFailed(file, f"it has schema version {schema}; this version reads {len(MIGRATIONS)}")
        return stores.names(tx)


def _snapshot(folder: Path) -> tuple[int | None, tuple[str, ...]]:
    try:
        manifest = newest(folder)
    except UNREADABLE:
        return None, ("the manifest",)
    if manifest is None:
        return None, ()
    unusable = tuple(saved.file for saved in manifest.blocks if _digest(folder / saved.file) != saved.sha256)
    return manifest.generation, unusable


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
