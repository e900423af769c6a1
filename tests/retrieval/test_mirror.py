"""retrieval.mirror: the index says what the store says, whatever became of its snapshot."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrieval.index import BLOCK, Block, VectorIndex
from retrieval.mirror import BATCH, DUE_ROWS, Mirror
from retrieval.snapshots import Copied, Manifest, Snapshots
from retrieval.store import attaching, contents, documents, files, meta, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import REPLACED
from retrieval.store.scope import Scope
from tests.retrieval.desk import ANNA, WordsEmbedder
from tests.retrieval.vectors import held

EMBEDDER = WordsEmbedder()


class Shop:
    """A store with one-chunk documents, and mirrors of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder / "store.db")
        with self.database.write() as tx:
            self.store_no = stores.create(tx, "shop", ANNA, None)

    def mirror(self, snapshots: Snapshots | None = None) -> Mirror:
        snapshots = snapshots or Snapshots(self.folder / "index")
        opened = Mirror(self.database, snapshots, embedder=EMBEDDER.fingerprint, dims=EMBEDDER.dims)
        opened.open()
        return opened

    def add(self, *texts: str) -> list[int]:
        numbers = []
        for text in texts:
            vector = EMBEDDER.embed([text])[0].tobytes()
            with self.database.write() as tx:
                number = self._attach(tx, text)
                contents.complete(tx, number, Content("t", text, "x", [StoredChunk(0, 1, "t", text, vector)]))
            numbers.append(number)
        return numbers

    def add_chunks(self, count: int) -> None:
        vectors = EMBEDDER.embed([f"n{number}" for number in range(count)])
        chunks = [StoredChunk(0, 1, "t", "x", vector.tobytes()) for vector in vectors]
        with self.database.write() as tx:
            number = self._attach(tx, str(count))
            contents.complete(tx, number, Content("t", "x", "x", chunks))

    def _attach(self, tx: Transaction, sha256: str) -> int:
        file_no, _ = files.add(tx, owner="user:anna", filename="a.txt", size=1, sha256=sha256)
        return attaching.attach(tx, self.store_no, file_no)

    def remove(self, document_no: int) -> None:
        with self.database.write() as tx:
            documents.remove(tx, document_no, REPLACED)


def found(mirror: Mirror, query: str, store_nos: Sequence[int] = (1,)) -> list[int]:
    with mirror.view() as tx:
        return mirror.nearest(tx, EMBEDDER.embed([query])[0], 3, mirror.visible(Scope(tuple(store_nos))))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_search_sees_what_was_added_and_removed_since_the_last_one(shop: Shop) -> None:
    mirror = shop.mirror()
    assert found(mirror, "apple") == []

    apple, pear = shop.add("apple", "pear")
    assert found(mirror, "apple")[0] == apple

    shop.remove(apple)
    assert found(mirror, "apple") == [pear]


def test_a_document_added_and_removed_between_two_searches_is_no_trouble(shop: Shop) -> None:
    mirror = shop.mirror()
    (apple,) = shop.add("apple")
    shop.remove(apple)

    assert found(mirror, "apple") == []


def test_other_stores_are_not_searched(shop: Shop) -> None:
    shop.add("apple")
    mirror = shop.mirror()

    assert found(mirror, "apple", [2]) == []
    assert found(mirror, "apple", []) == []


def test_the_index_grows_past_any_size_it_began_with(shop: Shop) -> None:
    mirror = shop.mirror()
    shop.add_chunks(BATCH + 1000)

    with mirror.view() as tx:
        everything = mirror.nearest(tx, EMBEDDER.embed(["n7"])[0], 2 * BATCH, mirror.visible(Scope((1,))))

    assert sorted(everything) == list(range(1, BATCH + 1001))


def test_a_saved_index_is_loaded_and_caught_up(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    apple, pear = shop.add("apple", "pear")
    shop.mirror().save()
    (plum,) = shop.add("plum")

    mirror = shop.mirror()

    assert caplog.records == []
    assert [found(mirror, fruit)[0] for fruit in ("apple", "pear", "plum")] == [apple, pear, plum]


def test_saving_what_is_saved_writes_nothing(shop: Shop) -> None:
    shop.add("apple")
    mirror = shop.mirror()
    mirror.save()
    before = sorted(path.name for path in (shop.folder / "index").iterdir())

    mirror.save()
    shop.mirror().save()

    assert sorted(path.name for path in (shop.folder / "index").iterdir()) == before != []


@pytest.mark.parametrize("damage", ["flipped byte", "truncated", "no vectors", "manifest", "rows", "foreign vectors"])
def test_a_damaged_snapshot_changes_no_result(shop: Shop, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    shop.add("apple tree", "pear tree", "plum")
    first = shop.mirror()
    first.save()
    before = [found(first, query) for query in ("apple", "tree", "plum")]
    (vectors,) = (shop.folder / "index").glob("*.faiss")
    (manifest,) = (shop.folder / "index").glob("*.json")
    claims = json.loads(manifest.read_text())
    match damage:
        case "flipped byte":
            content = bytearray(vectors.read_bytes())
            content[-5] ^= 0x40
            vectors.write_bytes(content)
        case "truncated":
            vectors.write_bytes(vectors.read_bytes()[:-100])
        case "no vectors":
            vectors.unlink()
        case "manifest":
            manifest.write_text(manifest.read_text()[:-9])
        case "rows":
            manifest.write_text(manifest.read_text().replace('"rows": 3', '"rows": 2'))
        case "foreign vectors":
            manifest.write_text(json.dumps(claims | {"embedder": "other"}))

    with caplog.at_level(logging.INFO):
        mirror = shop.mirror()

    assert "from the store" in caplog.text
    assert [found(mirror, query) for query in ("apple", "tree", "plum")] == before
    mirror.save()
    caplog.clear()
    again = shop.mirror()
    assert caplog.records == []
    assert [found(again, query) for query in ("apple", "tree", "plum")] == before


def test_a_snapshot_of_another_history_is_not_used(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """As after restoring a backup: the same generation and the same chunk numbers, with other content."""
    with shop.database.write() as tx:
        before = meta.generation(tx)[0]
    shop.add("apple")
    shop.mirror().save()
    with shop.database.write() as tx:
        for table in ("documents", "removals"):
            tx.run(f"DELETE FROM {table}")
        tx.run("DELETE FROM generations WHERE generation > ?", before)
        tx.run("UPDATE sqlite_sequence SET seq = 0 WHERE name IN ('chunks', 'documents')")
        tx.run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'generations'", before)
    (pear,) = shop.add("pear")

    with caplog.at_level(logging.WARNING):
        mirror = shop.mirror()

    assert "another history" in caplog.text
    assert found(mirror, "apple") == found(mirror, "pear") == [pear]


def test_a_store_replaced_under_an_open_index_is_read_again(shop: Shop) -> None:
    shop.add("apple")
    mirror = shop.mirror()
    with shop.database.write() as tx:
        tx.run("UPDATE generations SET stamp = 'restored'")

    assert len(found(mirror, "apple")) == 1
    assert mirror._stamp == "restored"


def test_blocks_with_chunks_that_the_store_never_removed_are_read_again(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.add("apple")
    shop.mirror().save()
    with shop.database.write() as tx:
        tx.run("DELETE FROM documents")

    with caplog.at_level(logging.WARNING):
        mirror = shop.mirror()

    assert "not what the store holds" in caplog.text
    assert found(mirror, "apple") == []


def test_a_block_that_lacks_an_older_chunk_is_read_again(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    apple, pear = shop.add("apple", "pear")
    incomplete = shop.mirror()
    incomplete._index.remove([apple])
    incomplete.save()

    with caplog.at_level(logging.WARNING):
        mirror = shop.mirror()

    assert "not what the store holds" in caplog.text
    assert sorted(found(mirror, "apple")) == [apple, pear]


def test_a_removal_costs_the_files_of_its_block_alone(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.add_chunks(BLOCK)
    apple, _ = shop.add("apple", "pear")
    mirror = shop.mirror()
    mirror.save()
    shop.remove(apple)

    mirror.forget()

    assert [path.name.partition("-")[0] for path in (shop.folder / "index").glob("*.faiss")] == ["0"]
    assert mirror._index.rows == BLOCK + 1
    with caplog.at_level(logging.INFO):
        again = shop.mirror()
    assert "block 1 of the index snapshot was dropped" in caplog.text
    assert sorted(held(again._index)) == sorted(held(mirror._index))


def test_a_removal_that_a_search_saw_first_is_forgotten_all_the_same(shop: Shop) -> None:
    apple, _ = shop.add("apple", "pear")
    mirror = shop.mirror()
    mirror.save()
    shop.remove(apple)
    found(mirror, "apple")

    mirror.forget()

    assert list((shop.folder / "index").glob("*.faiss")) == []


def test_a_snapshot_from_before_a_removal_loses_the_block_at_the_next_start(shop: Shop) -> None:
    """As after a process was killed between the removal and the dropping of files."""
    apple, pear = shop.add("apple", "pear")
    shop.mirror().save()
    shop.remove(apple)

    mirror = shop.mirror()

    assert list((shop.folder / "index").glob("*.faiss")) == []
    assert found(mirror, "apple") == [pear]


class Interrupted(Snapshots):
    """A folder in which something happens while a snapshot is being written."""

    def __init__(self, folder: Path, meanwhile: Callable[[], None]) -> None:
        super().__init__(folder)
        self.meanwhile: Callable[[], None] | None = meanwhile

    def stage(self, index: VectorIndex, *, generation: int, stamp: str, embedder: str, last: int) -> Manifest:
        staged = super().stage(index, generation=generation, stamp=stamp, embedder=embedder, last=last)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return staged


def test_what_is_removed_while_a_snapshot_is_written_is_not_published(shop: Shop) -> None:
    apple, _ = shop.add("apple", "pear")
    index = shop.folder / "index"
    mirror = shop.mirror(Interrupted(index, lambda: shop.remove(apple)))

    mirror.save()
    assert list(index.iterdir()) == []

    mirror.save()
    assert len(list(index.iterdir())) == 2


class Watched(Snapshots):
    """A folder in which something happens in another thread while a block is being written, and is waited for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.meanwhile: Callable[[], object] = lambda: None

    def write(self, copied: Copied) -> None:
        with ThreadPoolExecutor(1) as another:
            another.submit(self.meanwhile).result(timeout=30)
        super().write(copied)


def test_searches_go_on_while_a_block_is_written(shop: Shop) -> None:
    (apple,) = shop.add("apple")
    snapshots = Watched(shop.folder / "index")
    mirror = shop.mirror(snapshots)
    answers: list[list[int]] = []
    snapshots.meanwhile = lambda: answers.append(found(mirror, "apple"))

    mirror.save()

    assert answers == [[apple]]
    assert len(list((shop.folder / "index").iterdir())) == 2


def test_a_block_that_loses_a_chunk_while_it_is_written_leaves_no_file_with_it(shop: Shop) -> None:
    apple, pear = shop.add("apple", "pear")
    index = shop.folder / "index"
    snapshots = Watched(index)
    mirror = shop.mirror(snapshots)

    def lose() -> None:
        snapshots.meanwhile = lambda: None
        shop.remove(apple)
        assert found(mirror, "apple") == [pear]

    snapshots.meanwhile = lose
    mirror.save()

    (block,) = index.glob("*.faiss")
    assert Block.read(block, EMBEDDER.dims).numbers.tolist() == [pear]
    assert found(shop.mirror(), "apple") == [pear]


def test_a_removal_returns_only_when_the_file_being_written_is_gone_too(shop: Shop) -> None:
    (apple, _), index = shop.add("apple", "pear"), shop.folder / "index"
    snapshots = Watched(index)
    mirror = shop.mirror(snapshots)
    deleting = threading.Thread(target=mirror.forget)
    returned_early: list[bool] = []

    def remove() -> None:
        shop.remove(apple)
        deleting.start()
        deleting.join(timeout=0.3)
        returned_early.append(not deleting.is_alive())

    snapshots.meanwhile = remove
    mirror._write_ahead()
    deleting.join(timeout=30)

    assert returned_early == [False]
    assert list(index.iterdir()) == []


class Consulted(Snapshots):
    """Does something once it is found that a block's file is there already."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def copy(self, at: int, block: Block) -> Copied | None:
        copied = super().copy(at, block)
        if copied is None:
            self.meanwhile()
        return copied


def test_files_dropped_while_a_snapshot_is_put_together_are_written_by_the_next_one(shop: Shop) -> None:
    shop.add("apple")
    index = shop.folder / "index"
    snapshots = Consulted(index)
    mirror = shop.mirror(snapshots)
    discarding = threading.Thread(target=mirror.discard)

    def discard() -> None:
        if discarding.ident is None:
            discarding.start()
            discarding.join(timeout=0.3)

    snapshots.meanwhile = discard
    mirror.save()
    discarding.join()
    mirror.save()

    assert len(list(index.iterdir())) == 2


def test_a_snapshot_that_another_process_cleared_is_written_again(shop: Shop) -> None:
    shop.add("apple")
    index = shop.folder / "index"
    mirror = shop.mirror(Interrupted(index, lambda: Snapshots(index).clear()))

    mirror.save()
    assert list(index.iterdir()) == []

    mirror.save()
    assert len(list(index.iterdir())) == 2


def test_a_folder_cleared_while_a_snapshot_is_written_is_no_error(shop: Shop) -> None:
    def lose() -> None:
        Snapshots(index).clear()
        raise FileNotFoundError  # as opening the cleared file for its digest does

    shop.add("apple")
    index = shop.folder / "index"
    mirror = shop.mirror(Interrupted(index, lose))

    mirror.save()
    assert list(index.iterdir()) == []

    mirror.save()
    assert len(list(index.iterdir())) == 2


def test_a_snapshot_is_due_when_enough_has_changed(shop: Shop) -> None:
    mirror = shop.mirror()
    shop.add("apple")
    found(mirror, "apple")
    mirror.save_if_due()
    assert list((shop.folder / "index").iterdir()) == []

    shop.add_chunks(DUE_ROWS)
    found(mirror, "pear")
    mirror.save_if_due()
    assert len(list((shop.folder / "index").iterdir())) == 2
