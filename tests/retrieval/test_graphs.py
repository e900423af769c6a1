"""retrieval.graphs, in a mirror: stores that ask for a graph get one, and nobody notices but by the time it takes."""

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import anyio
import numpy as np
import pytest

from retrieval.embedder import DIMS, Vectors
from retrieval.graph import Graph
from retrieval.graphs import BATCH, EMPTY_SHARE, GraphLimits
from retrieval.mirror import Mirror
from retrieval.opening import open_library
from retrieval.recall import Trial
from retrieval.snapshots import Snapshots
from retrieval.store import contents, meta, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.scope import Scope
from retrieval.types import Description, IndexKind
from tests.retrieval.desk import ANNA, WordsEmbedder, write
from tests.retrieval.test_mirror import EMBEDDER, Shop, found

SMALL = GraphLimits(least_rows=100, rows_per_step=0)
APPLE = "apple pear plum"  # no other text has this direction


class Dense(WordsEmbedder):
    """A direction of its own for each text: no two are equally near to a question."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = [np.random.default_rng(crc32(text.encode())).standard_normal(DIMS) for text in texts]
        return np.asarray([row / np.linalg.norm(row) for row in rows], np.float32)


DENSE = Dense()
QUERY = DENSE.embed(["question"])[0]


class Graphed(Shop):
    """A shop whose mirrors build graphs of its store from 100 chunks on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.choose("hnsw")

    def add_chunks(self, count: int) -> None:
        chunks = [
            StoredChunk(0, 1, "t", f"{count} {number}", vector.tobytes())
            for number, vector in enumerate(DENSE.embed([f"{count} {number}" for number in range(count)]))
        ]
        with self.database.write() as tx:
            contents.complete(tx, self._attach(tx, str(count)), Content("t", "x", "x", chunks))

    def chunk_of(self, document_no: int) -> int:
        with self.database.read() as tx:
            ((chunk_no,),) = tx.rows("SELECT chunk_no FROM chunks WHERE document_no = ?", document_no)
        return int(chunk_no)

    def choose(self, index: IndexKind) -> None:
        with self.database.write() as tx:
            stores.set_index(tx, self.store_no, index)

    def mirror(self, snapshots: Snapshots | None = None) -> Mirror:
        opened = Mirror(
            self.database,
            snapshots or Snapshots(self.folder / "index"),
            embedder=EMBEDDER.fingerprint,
            dims=EMBEDDER.dims,
            graph_limits=SMALL,
        )
        opened.open()
        return opened


@pytest.fixture
def shop(tmp_path: Path) -> Graphed:
    return Graphed(tmp_path)


def grown(mirror: Mirror) -> Mirror:
    while mirror.grow_graphs():
        pass
    return mirror


def graph_of(mirror: Mirror) -> Graph:
    return mirror._graphs._serving[1]


def test_until_its_graph_is_whole_a_store_is_searched_exactly(shop: Graphed) -> None:
    shop.add_chunks(BATCH + 50)
    mirror = shop.mirror()
    (apple,) = shop.add(APPLE)

    served = [mirror.rows_in_graph(1)]
    while mirror.grow_graphs():
        served.append(mirror.rows_in_graph(1))
        assert found(mirror, APPLE)[0] == shop.chunk_of(apple)

    assert served == [0, 0, 0]
    assert mirror.rows_in_graph(1) == BATCH + 51
    assert found(mirror, APPLE)[0] == shop.chunk_of(apple)


def test_what_came_after_the_graph_was_built_is_found_at_once_and_added_later(shop: Graphed) -> None:
    shop.add_chunks(150)
    mirror = grown(shop.mirror())

    (apple,) = shop.add(APPLE)

    assert found(mirror, APPLE)[0] == shop.chunk_of(apple)
    assert mirror.rows_in_graph(1) == 150
    assert grown(mirror).rows_in_graph(1) == 151
    assert found(mirror, APPLE)[0] == shop.chunk_of(apple)


def test_results_of_a_graph_and_of_a_scan_are_in_one_order(shop: Graphed) -> None:
    shop.add_chunks(150)
    other = shop.store_no
    mirror = grown(shop.mirror())
    with shop.database.write() as tx:
        shop.store_no = stores.create(tx, "exact", ANNA, None)
    shop.add("apple", "pear", "plum")

    with mirror.view() as tx:
        visible = mirror.visible(Scope((other, shop.store_no)))
        assert mirror._graphs.nearest(QUERY, 20, visible)[1].sum() == 3, "the scan sees the other store alone"
        assert mirror.nearest(tx, QUERY, 20, visible) == mirror.nearest_exactly(tx, QUERY, 20, visible)


def test_what_is_removed_is_out_of_the_graph_before_the_removal_returns(shop: Graphed) -> None:
    shop.add_chunks(150)
    (apple,) = shop.add(APPLE)
    mirror = grown(shop.mirror())
    vector = EMBEDDER.embed([APPLE])[0].astype(np.float16).tobytes()
    assert vector in graph_of(mirror)._codes().tobytes()
    chunk = shop.chunk_of(apple)

    shop.remove(apple)
    mirror.forget()

    assert vector not in graph_of(mirror)._codes().tobytes()
    assert chunk not in found(mirror, APPLE)
    assert len(found(mirror, APPLE)) == 3


def test_what_is_removed_is_out_of_a_graph_that_is_being_built(shop: Graphed) -> None:
    (apple,) = shop.add(APPLE)
    shop.add_chunks(BATCH + 50)
    mirror = shop.mirror()
    assert mirror.grow_graphs()

    shop.remove(apple)

    assert grown(mirror).rows_in_graph(1) == BATCH + 50
    vector = EMBEDDER.embed([APPLE])[0].astype(np.float16).tobytes()
    assert vector not in graph_of(mirror)._codes().tobytes()


def test_a_graph_with_many_empty_rows_is_built_anew(shop: Graphed) -> None:
    shop.add_chunks(300)
    texts = [f"apple{number}" for number in range(100)]
    numbers = shop.add(*texts)
    mirror = grown(shop.mirror())
    before = graph_of(mirror)

    for number in numbers:
        shop.remove(number)
    with mirror.view():
        assert before.empty_share == 0.25 > EMPTY_SHARE
    grown(mirror)

    assert graph_of(mirror) is not before
    assert (graph_of(mirror).rows, graph_of(mirror).empty_share) == (300, 0.0)


def test_a_store_that_has_become_small_has_no_graph_any_more(shop: Graphed) -> None:
    numbers = shop.add(*(f"apple{number}" for number in range(110)))
    mirror = grown(shop.mirror())
    assert mirror.rows_in_graph(1) == 110

    for number in numbers[:50]:
        shop.remove(number)

    assert grown(mirror).rows_in_graph(1) == 0
    assert numbers[60] in found(mirror, "apple60")


def test_a_store_has_a_graph_as_long_as_it_asks_for_one(shop: Graphed) -> None:
    shop.add_chunks(150)
    mirror = grown(shop.mirror())

    shop.choose("exact")
    assert grown(mirror).rows_in_graph(1) == 0

    shop.choose("hnsw")
    assert grown(mirror).rows_in_graph(1) == 150


def test_a_small_store_has_none(shop: Graphed) -> None:
    shop.add_chunks(99)

    assert grown(shop.mirror()).rows_in_graph(1) == 0


def test_a_store_that_was_replaced_gets_another_graph(shop: Graphed) -> None:
    shop.add_chunks(150)
    mirror = grown(shop.mirror())
    before = graph_of(mirror)

    with shop.database.write() as tx:
        meta.restart(tx)

    assert graph_of(grown(mirror)) is not before


def test_no_file_holds_a_graph(shop: Graphed) -> None:
    shop.add_chunks(150)
    mirror = grown(shop.mirror())
    mirror.save()

    assert shop.mirror().rows_in_graph(1) == 0
    assert {path.suffix for path in (shop.folder / "index").iterdir()} == {".json", ".faiss"}


def test_a_worker_builds_graphs_in_the_background(tmp_path: Path) -> None:
    async def build() -> None:
        library = open_library(tmp_path, WordsEmbedder(), graph_limits=GraphLimits(least_rows=1, rows_per_step=0))
        async with library:
            store = await library.archive.make_store(Description("Rules", index="hnsw"), ANNA)
            path = write(tmp_path / "in", "a.txt", "The canteen opens at noon.")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(library.work, 0.05)
                await library.ingest(path, store=store.store_id, reader=ANNA)
                for _ in range(400):
                    if library._mirror.rows_in_graph(1):
                        break
                    await anyio.sleep(0.05)
                tasks.cancel_scope.cancel()
            assert library._mirror.rows_in_graph(1) == 1
            hits = await library.search("canteen", stores=[store.store_id], k=3, reader=ANNA)
            assert [passage.text for passage in hits.passages] == ["The canteen opens at noon."]

    anyio.run(build)


def test_recall_is_measured_without_changing_the_choice_of_the_store(shop: Graphed) -> None:
    shop.choose("exact")
    shop.add_chunks(400)
    mirror = shop.mirror()

    async def run(questions: list[str]) -> tuple[int, int, float]:
        measured = await Trial(mirror, DENSE).measure("shop", ANNA, questions)
        return measured.chunks, measured.questions, measured.at_10

    chunks, asked, recall = anyio.run(run, [f"question {number}" for number in range(50)])
    assert (chunks, asked) == (400, 50)
    assert 0.9 < recall <= 1
    assert anyio.run(run, list[str]())[1] == 200
    with shop.database.read() as tx:
        assert stores.with_graph(tx) == []


def test_recall_of_a_small_store_has_nothing_to_measure(shop: Graphed) -> None:
    shop.add_chunks(50)
    mirror = shop.mirror()

    measured = anyio.run(Trial(mirror, EMBEDDER).measure, "shop", ANNA)

    assert (measured.chunks, measured.questions) == (50, 0)


def test_removals_from_stores_without_a_graph_leave_nothing_behind(shop: Graphed) -> None:
    shop.add_chunks(150)
    mirror = grown(shop.mirror())
    with shop.database.write() as tx:
        shop.store_no = stores.create(tx, "other", ANNA, None)

    for number in range(3):
        (document_no,) = shop.add(f"text {number}")
        found(mirror, "text")
        assert not mirror.grow_graphs()
        shop.remove(document_no)
        found(mirror, "text")

    assert graph_of(mirror)._missed == set()
