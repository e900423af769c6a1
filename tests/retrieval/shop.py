"""A data directory whose jobs run when a test says so, at a time that it says, by as many processes as it likes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from retrieval.batching import BATCH
from retrieval.embedder import Vectors
from retrieval.ingest import Ingester
from retrieval.limits import Limits
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.parsing.process import ParseProcess
from retrieval.reception import Reception
from retrieval.snapshots import Snapshots
from retrieval.store import documents
from retrieval.store.database import Database
from retrieval.types import Document, Reader
from tests.retrieval.desk import ANNA, WordsEmbedder, write

PARAGRAPHS = "\n\n".join(f"Paragraph {number}: " + "word " * 100 for number in range(BATCH + 8))


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Meddler(WordsEmbedder):
    """Does something in the middle of embedding, once."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        super().__init__()
        self._meddle: Callable[[], None] | None = meddle

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()
        return super().embed(texts)


class Shop:
    """A data directory, and ingesters over it as several processes would have them."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        self.database = Database(folder / "store.db")
        self.originals = Originals(folder / "originals")
        self.parser = ParseProcess(limits)
        self.mirror = Mirror(self.database, Snapshots(folder / "index"), embedder="words@1", dims=WordsEmbedder.dims)

    def ingester(self, embedder: WordsEmbedder | None = None) -> Ingester:
        return Ingester(
            self.database,
            self.originals,
            self.mirror,
            embedder or WordsEmbedder(),
            self.parser,
            lease_s=10,
            clock=self.clock,
        )

    def reception(self) -> Reception:
        return Reception(self.database, self.originals, self.mirror, self.parser.limits, self.clock)

    def write(self, name: str, text: str) -> Path:
        return write(self.folder / "in", name, text)

    def enqueue(self, path: Path, *, store: str = "shop", reader: Reader = ANNA) -> Document:
        return self.reception().enqueue(path, store=store, reader=reader)

    def documents(self) -> list[Document]:
        with self.database.read() as tx:
            return documents.listing(tx, 1, ANNA)

    def states(self) -> list[tuple[str, str]]:
        return [(document.filename, document.status) for document in self.documents()]

    def texts(self) -> list[str]:
        with self.database.read() as tx:
            return [row[0] for row in tx.rows("SELECT text FROM chunks ORDER BY chunk_no")]
