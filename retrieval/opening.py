"""A data directory opened: the one place that puts the parts of a library together."""

from pathlib import Path

from retrieval.archive import Archive
from retrieval.background import Background
from retrieval.embedder import Embedder, MiniLM
from retrieval.errors import RetrievalError
from retrieval.facts import Observe
from retrieval.graphs import GraphLimits
from retrieval.ingest import LEASE_S, Ingester
from retrieval.intake import Intake
from retrieval.library import Library
from retrieval.limits import Limits
from retrieval.locks import Lock
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.parsing.process import ParseProcess
from retrieval.purge import Purger
from retrieval.recall import Trial
from retrieval.reception import Reception
from retrieval.removals import Removals
from retrieval.restore import hold
from retrieval.retriever import Searcher
from retrieval.snapshots import Snapshots
from retrieval.store import files, meta
from retrieval.store.database import Database
from retrieval.types import Fusion


def open_library(
    data_dir: Path,
    embedder: Embedder | None = None,
    *,
    fusion: Fusion | None = None,
    limits: Limits | None = None,
    lease_s: float = LEASE_S,
    observe: Observe | None = None,
    graph_limits: GraphLimits = GraphLimits(),
) -> Library:
    """Open the knowledge store of a data directory, and create it if there is none. Blocks: reads the index.

    Args:
        embedder: None: the bundled one, whose weights load at the first use.
        limits: what one file may ask for; None: the default ones.
        lease_s: after how long without a sign another process takes over this one's ingest.
        observe: told how long the steps of this process's ingest take and how its files end; from a worker thread.
        graph_limits: from which size on a store that asks for a graph has one.

    Raises:
        EmbedderMismatch: the store was built with another embedder.
        SchemaTooNew: a newer version of this software has written it.
        DataInUse: it is being restored.
        RetrievalError: it cannot be opened.
    """
    lock = hold(data_dir)
    try:
        return _opened(data_dir, lock, embedder or MiniLM(), fusion or Fusion(), limits, lease_s, observe, graph_limits)
    except BaseException:
        lock.release()
        raise


def _opened(
    data_dir: Path,
    lock: Lock,
    embedder: Embedder,
    fusion: Fusion,
    limits: Limits | None,
    lease_s: float,
    observe: Observe | None,
    graph_limits: GraphLimits,
) -> Library:
    database = Database(data_dir / "store.db")
    originals = Originals(data_dir / "files")
    mirror = Mirror(
        database,
        Snapshots(data_dir / "index"),
        embedder=embedder.fingerprint,
        dims=embedder.dims,
        graph_limits=graph_limits,
    )
    try:
        with database.write() as tx:
            meta.claim_embedder(tx, embedder.fingerprint)
            originals.sweep(files.known(tx))
        mirror.open()
    except RetrievalError:
        database.close()
        raise
    parser = ParseProcess(limits)
    ingester = Ingester(database, originals, mirror, embedder, parser, lease_s=lease_s, observe=observe)
    reception = Reception(database, originals, mirror, parser.limits)
    intake, archive = Intake(database, reception, ingester), Archive(database, originals, mirror)
    return Library(
        database,
        originals,
        mirror,
        intake,
        Searcher(mirror, embedder, fusion),
        Removals(database, originals, mirror),
        Purger(database, originals, mirror, data_dir),
        archive,
        Trial(mirror, embedder),
        Background(database, mirror, intake, archive, lock),
        embedder.fingerprint,
    )
