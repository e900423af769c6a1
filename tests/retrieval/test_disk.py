"""A disk that refuses files outside the database: the store has failed for now, and the work goes on when it can."""

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from retrieval.errors import ReaderUnavailable, StoreFailed
from retrieval.opening import open_library
from retrieval.originals import Originals
from retrieval.parsing.process import ParseProcess
from retrieval.snapshots import Snapshots
from retrieval.store import documents, files
from retrieval.store.database import Database
from retrieval.store.erasures import REPLACED
from tests.full_disk import full
from tests.retrieval.desk import ANNA, WordsEmbedder, write
from tests.retrieval.shop import Shop

pytestmark = pytest.mark.anyio

MANY = "\n\n".join(f"Paragraph {number}: " + "word " * 100 for number in range(1200))  # enough for a snapshot


@contextmanager
def no_folder(folder: Path) -> Iterator[None]:
    """There is something else where the folder was."""
    shutil.rmtree(folder)
    folder.write_text("")
    yield
    folder.unlink()
    folder.mkdir()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("size", [3, 300_000])
def test_an_upload_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    originals = Originals(tmp_path / "files")

    with originals.staging() as staged, full(size // 2), pytest.raises(StoreFailed, match="File too large"):
        staged.write(b"x" * size)

    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_handed_in_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    originals = Originals(tmp_path / "files")

    with pytest.raises(StoreFailed, match="File too large"), full(), originals.staged(b"x"):
        pass

    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_that_cannot_be_named_opened_or_removed_is_the_stores_failure(tmp_path: Path) -> None:
    originals = Originals(tmp_path / "files")
    (tmp_path / "files" / "file-1").mkdir()
    (tmp_path / "files" / "file-1" / "x").touch()

    with pytest.raises(StoreFailed, match="file-1: Is a directory"), originals.staged(b"x") as adopt:
        adopt("file-1")
    with pytest.raises(StoreFailed, match="file-1: Is a directory"):
        originals.read("file-1")
    with pytest.raises(StoreFailed, match="file-1: "):
        originals.remove("file-1")
    with pytest.raises(StoreFailed, match="file-1: "):
        originals.sweep(set())


def test_a_file_that_is_not_there_is_no_failure_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Originals(tmp_path).read("file-1")


def test_a_snapshot_that_cannot_be_written_is_written_when_it_can_be(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()
    index = shop.folder / "index"

    with no_folder(index):
        for attempt in (shop.mirror.save, shop.mirror.discard):
            with pytest.raises(StoreFailed, match="index: Not a directory"):
                attempt()
    shop.mirror.save()

    assert len(list(index.iterdir())) == 2


def test_a_snapshot_that_nobody_could_publish_is_published_at_the_next_saving(shop: Shop) -> None:
    class Locked(Snapshots):
        def publish(self, manifest: object) -> bool:
            raise StoreFailed(shop.folder, "database is locked")

    shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()
    index = shop.folder / "index"
    ours, shop.mirror._snapshots = shop.mirror._snapshots, Locked(index)
    with pytest.raises(StoreFailed, match="locked"):
        shop.mirror.save()
    shop.mirror._snapshots = ours

    shop.mirror.save()

    assert len(list(index.glob("*.json"))) == 1


def test_what_was_removed_is_dropped_from_snapshots_when_it_can_be(shop: Shop) -> None:
    document = shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()
    shop.mirror.save()
    index = shop.folder / "index"
    shutil.copytree(index, shop.folder / "aside")
    with shop.database.write() as tx:
        documents.remove_file(tx, files.number(tx, document.file_id, ANNA, "write"), REPLACED)

    with no_folder(index), pytest.raises(StoreFailed):
        shop.mirror.forget()
    shutil.copytree(shop.folder / "aside", index, dirs_exist_ok=True)
    shop.mirror.forget()

    assert list(index.glob("*.faiss")) == []


def test_without_descriptors_no_reader_can_be_had_and_no_file_is_to_blame() -> None:
    parser = ParseProcess()
    with no_descriptors(), pytest.raises(ReaderUnavailable, match="Too many open files"):
        parser.parse(Path("a.txt"), b"words")
    parser.parse(Path("a.txt"), b"words")

    with no_descriptors(), pytest.raises(ReaderUnavailable, match="Too many open files"):
        parser.parse(Path("a.txt"), b"words")

    assert parser.parse(Path("a.txt"), b"words").text == "words"
    parser.close()


async def test_a_disk_that_refuses_the_index_does_not_end_the_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    with anyio.fail_after(60):
        async with open_library(data, WordsEmbedder()) as library, anyio.create_task_group() as tasks:
            await library.create_store("shop", ANNA)
            tasks.start_soon(library.work, 0.01)
            with no_folder(data / "index"):
                await library.ingest(write(tmp_path, "a.txt", MANY), store="shop", reader=ANNA)
                await library.search("word", stores=["shop"], k=1, reader=ANNA)
                for name in ("b.txt", "c.txt"):
                    await library.ingest(write(tmp_path, name, name), store="shop", reader=ANNA)
            tasks.cancel_scope.cancel()

    assert caplog.text.count("the index was not saved, which costs time at the next start") == 1
    database = Database(data / "store.db")
    with database.read() as tx:
        assert tx.rows("SELECT status FROM documents") == [("completed",)] * 3
    database.close()
