"""retrieval.clearing: whoever removes a store is answered as it is, and so are all others meanwhile."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
from anyio.to_thread import run_sync

from retrieval import background, clearing
from retrieval.errors import StoreFailed, StoreNotFound
from retrieval.library import Library
from retrieval.locks import CLEARING, take
from retrieval.opening import open_library
from retrieval.originals import Originals
from retrieval.restore import pending_erasures
from retrieval.store import going, jobs, stores
from retrieval.store.database import Database, Transaction
from retrieval.types import Access, Attachment, Description
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, BEN, WordsEmbedder, files, write

pytestmark = pytest.mark.anyio

SHOPS = 45  # more than there are worker threads for everybody


class Timed(Database):
    """Knows from when to when each transaction was the only writer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.written: list[tuple[float, float]] = []

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with super().write() as tx:
            begins = time.monotonic()
            yield tx
        self.written.append((begins, time.monotonic()))


def take_away(database: Database, name: str) -> None:
    with database.write() as tx:
        going.take_away(tx, stores.number(tx, name, ANNA, "write"), "user:anna")


async def test_a_removal_that_took_effect_is_told_as_such_whatever_is_in_the_way_of_the_rest(
    library: Library, tmp_path: Path
) -> None:
    document = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    original = tmp_path / "data" / "files" / document.file_id
    original.unlink()
    (original / "in the way").mkdir(parents=True)

    assert await library.archive.remove_store("shop", ANNA) == document.store_id

    with pytest.raises(StoreNotFound):
        await library.store("shop", ANNA)


async def test_removals_that_wait_for_their_turn_are_in_nobody_s_way(library: Library, tmp_path: Path) -> None:
    await library.ingest(write(tmp_path, "a.txt", "apple"), store="desk", reader=ANNA)
    for number in range(SHOPS):
        await library.ingest(write(tmp_path, "b.txt", "pear"), store=f"shop{number}", reader=ANNA)
    await library.create_store("empty", BEN)
    await library.ingest(write(tmp_path, "c.txt", "plum"), store="full", reader=BEN)
    other_s = take(tmp_path / "data" / CLEARING, alone=True)
    assert other_s is not None

    async with anyio.create_task_group() as tasks:
        for number in range(SHOPS):
            tasks.start_soon(library.archive.remove_store, f"shop{number}", ANNA)
        with anyio.fail_after(20):
            while len(await library.stores(ANNA)) > 1:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            hits = await library.search("apple", stores=["desk"], k=1, reader=ANNA)
            for name in ("empty", "full"):
                await library.archive.remove_store(name, BEN)
        other_s.release()

    assert [passage.text for passage in hits.passages] == ["apple"]
    await run_sync(library.archive.tend)
    with closing(Database(tmp_path / "data" / "store.db")) as database, database.read() as tx:
        assert tx.rows("SELECT name FROM stores") == [("desk",)]
        assert tx.rows("SELECT count(*) FROM documents") == [(1,)]


async def test_a_search_that_could_not_be_written_down_is_not_forgotten(library: Library, tmp_path: Path) -> None:
    store = await library.archive.make_store(Description("shop", expires_days=1), ANNA)
    library.archive.note_search([store.store_id])

    def write_refused(self: Database) -> NoReturn:
        raise StoreFailed(self.path, "the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "write", write_refused)
        with pytest.raises(StoreFailed):
            library.archive.tend()
    with closing(Database(tmp_path / "data" / "store.db")) as database, database.write() as tx:
        tx.run("UPDATE stores SET last_active_at = 0")
    library.archive.tend()

    assert not (await library.store(store.store_id, ANNA)).is_expired


async def test_there_is_room_for_other_writers_between_any_two_turns_of_several_that_take_out_what_was_removed(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "TURN_S", 0.0)
    for name in ("one", "two", "three"):
        await library.ingest_all(files(tmp_path / name, 4), store=name, reader=ANNA)
    database, originals = Timed(tmp_path / "data" / "store.db"), Originals(tmp_path / "data" / "files")
    for name in ("one", "two", "three"):
        take_away(database, name)
    with database.read() as tx:
        gone = going.taken_away(tx)
    here, there = (clearing.Clearing(database, originals, lambda: None) for _ in range(2))  # as two processes have
    database.written.clear()

    async with anyio.create_task_group() as tasks:
        for one, store_no in zip((here, here, there), gone, strict=True):
            tasks.start_soon(run_sync, one.store, store_no)

    with database.read() as tx:
        assert going.taken_away(tx) == []
    database.close()
    assert len(database.written) >= 12
    assert all(begins - ends > 0.1 for (_, ends), (begins, _) in pairwise(sorted(database.written)))


async def test_a_certificate_says_when_it_was_asked_for_and_since_when_nobody_found_it(
    library: Library, tmp_path: Path
) -> None:
    await library.ingest_all(files(tmp_path, 3), store="shop", reader=ANNA)
    before = await library.generation()
    database = Database(tmp_path / "data" / "store.db")
    take_away(database, "shop")
    with database.write() as tx:  # and a week goes by
        tx.run("UPDATE stores SET removed_at = removed_at - 7 * 86400")
        (asked_at,) = tx.rows("SELECT removed_at FROM stores")[0]
    database.close()
    await library.create_store("later", ANNA)

    await run_sync(library.archive.tend)

    erased = await library.erasures()
    assert [erasure.requested_at for erasure in erased] == [asked_at] * 3
    assert {(erasure.generation_before, erasure.generation_after) for erasure in erased} == {(before, before + 1)}


async def test_a_file_that_is_taken_out_with_its_lists_stays_though_a_removed_store_still_held_it(
    library: Library, tmp_path: Path
) -> None:
    await library.create_store("shop", BEN, Access(write=("user:anna",)))
    file_id = (await library.ingest(write(tmp_path, "a.txt", "apple"), store="desk", reader=ANNA)).file_id
    await library.archive.share_file(file_id, Access(read=("user:ben",)), ANNA)
    await library.archive.attach("shop", Attachment(file_id), ANNA)
    await library.set_access("shop", Access(), BEN)
    database = Database(tmp_path / "data" / "store.db")
    take_away(database, "desk")
    database.close()

    await library.archive.share_file(file_id, None, ANNA)
    await run_sync(library.archive.tend)

    with await library.archive.original(file_id, ANNA) as original:
        assert original.read() == b"apple"


async def test_what_was_to_be_read_for_a_removed_store_is_not_read_any_more(library: Library, tmp_path: Path) -> None:
    for number in range(2):
        path = write(tmp_path / "quarterly-forecast", f"{number}.txt", canary(number))
        await library.enqueue(path, store="shop", reader=ANNA)
    database = Database(tmp_path / "data" / "store.db")
    with database.write() as tx:
        being_read = jobs.claim(tx, time.time())
    take_away(database, "shop")

    await library.ingest(write(tmp_path, "c.txt", "pear"), store="desk", reader=ANNA)

    assert being_read is not None
    with database.read() as tx:
        assert not jobs.is_open(tx, being_read.job_no)
        assert tx.rows("SELECT text FROM documents ORDER BY document_no") == [("",), ("",), ("pear",)]
    await run_sync(library.archive.tend)
    assert (await library.purge()).problem is None
    assert holding(tmp_path / "data", "quarterly-forecast", str(tmp_path)) == {}
    assert holding(tmp_path / "data", canary(1), str(tmp_path)) == {}
    database.close()


async def test_what_is_in_the_way_for_a_while_ends_no_other_work(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    lock = tmp_path / "data" / CLEARING
    lock.mkdir()
    monkeypatch.setattr(background, "TEND_S", 0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.work, 0.01)
        await library.archive.remove_store("shop", ANNA)
        await anyio.sleep(0.1)
        assert await library.erasures() == []
        lock.rmdir()
        with anyio.fail_after(20):
            while not await library.erasures():  # noqa: ASYNC110
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def test_a_process_that_ends_leaves_the_rest_to_another_that_clears_away(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
        database = Database(tmp_path / "data" / "store.db")
        take_away(database, "shop")
        other_s = take(tmp_path / "data" / CLEARING, alone=True)
        assert other_s is not None

    with database.read() as tx:
        assert len(going.taken_away(tx)) == 1
    database.close()
    other_s.release()


async def test_a_restore_knows_of_all_that_was_removed_though_not_all_of_it_can_be_unlinked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "TURN_S", 0.0)  # a turn for each
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        for name in ("a.txt", "b.txt", "c.txt"):
            await library.ingest(write(tmp_path, name, name), store="shop", reader=ANNA)
        removed = [document.file_id for document in await library.documents("shop", ANNA)]
    database = Database(data / "store.db")
    take_away(database, "shop")
    database.close()
    for file_id in removed[:2]:
        original = data / "files" / file_id
        original.unlink()
        (original / "in the way").mkdir(parents=True)

    assert sorted(erasure.file_id for erasure in pending_erasures(data)) == sorted(removed)
    assert not (data / "files" / removed[2]).exists()
    (data / "store.db").write_bytes(b"no database at all")
    assert pending_erasures(data) == []
