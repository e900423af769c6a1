"""Everything that is computed from the stored texts, computed again: vectors by another embedder, words, flags.

The new vectors gather in a table of their own, batch by batch, while the old ones serve; who is interrupted goes on
where it stopped. One transaction puts them in the place of the old ones. From then on processes with the old embedder
answer nothing, and say why.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from retrieval.embedder import Embedder
from retrieval.flags import find
from retrieval.restore import hold
from retrieval.store import contents, documents, erasures, flags, meta, vectors
from retrieval.store.database import Database

BATCH = 64

Report = Callable[[int, int], None]  # chunks done, of how many


def reindex(data_dir: Path, embedder: Embedder, report: Report) -> int:
    """Embed what is stored with this embedder where another one did, and write words and snapshots anew.

    Returns:
        How many chunks were embedded; 0: the vectors were this embedder's already.

    Raises:
        DataInUse: the data directory is being restored.
        StoreFailed: the database cannot be used.
    """
    lock = hold(data_dir)
    try:
        database = Database(data_dir / "store.db")
        try:
            embedded = _embed(database, embedder, report)
            _flag(database)
            with database.write() as tx:
                erasures.respell(tx, wholly=True)
            database.checkpoint()
        finally:
            database.close()
        # Others may be writing there, so the folder stays.
        for path in (data_dir / "index").glob("*"):
            path.unlink(missing_ok=True)
    finally:
        lock.release()
    return embedded


def _embed(database: Database, embedder: Embedder, report: Report) -> int:
    with database.write() as tx:
        if meta.embedder(tx) in ("", embedder.fingerprint):
            return 0
        vectors.begin(tx, embedder.fingerprint)
    while True:
        with database.read() as tx:
            batch, done, total = vectors.missing(tx, BATCH), *vectors.progress(tx)
        report(done, total)
        if batch:
            made = _made(embedder, [text for _, text in batch])
            with database.write() as tx:
                vectors.put(tx, embedder.fingerprint, zip((number for number, _ in batch), made, strict=True))
            continue
        with database.write() as tx:
            # What came meanwhile has only an old vector, and is embedded before the change.
            if not vectors.missing(tx, 1):
                vectors.change(tx, embedder.fingerprint)
                return total


def _flag(database: Database) -> None:
    """Look for flags by the rules of this version, also in what was read before there were any."""
    with database.read() as tx:
        numbers = documents.completed(tx)
    for number in numbers:
        with database.read() as tx:
            document = documents.one(tx, number)
            text = "" if document is None else contents.text_of(tx, number)
        if document is None or (found := find(text, document.stripped)) == document.flags:
            continue
        with database.write() as tx:
            if documents.one(tx, number) == document:
                meta.advance(tx)
                flags.put(tx, number, found)


def _made(embedder: Embedder, texts: Sequence[str]) -> list[bytes]:
    return [row.tobytes() for row in embedder.embed(texts).astype(np.dtype("<f4"))]
