"""retrieval.clearing: a store is gone for everybody at once, and what it held goes in turns."""

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from retrieval import clearing
from retrieval.checkup import store_names
from retrieval.errors import CursorUnknown, DocumentNotFound, StoreNotFound
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store import documents, going, stores
from retrieval.store.database import Database
from retrieval.types import Access, Attachment, Cursor, Description, Reader
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, BEN, WordsEmbedder, files, write
from tests.retrieval.neighbour import neighbour
from tests.retrieval.process import LEASE_S

pytestmark = pytest.mark.anyio

ADMIN = Reader(frozenset({"user:root"}), is_admin=True)
FILES = 6
KILLS = [
    ("take_away", "return", 1),
    ("Clearing.store", "call", 1),
    ("remove", "return", 5),
    ("Originals.remove", "call", 1),
    ("Originals.remove", "return", 3),
    ("Mirror.forget", "call", 1),
    ("Database.checkpoint", "return", 1),
]


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data", WordsEmbedder()) as opened:
        await opened.create_store("shop", ANNA, Access(read=("*",)))
        yield opened


def count(database: Database, table: str) -> int:
    with database.read() as tx:
        return int(tx.rows(f"SELECT count(*) FROM {table}")[0][0])


def take_away(tmp_path: Path, name: str = "shop") -> None:
    """Do what a process has done that died in the moment after."""
    database = Database(tmp_path / "data" / "store.db")
    with database.write() as tx:
        going.take_away(tx, stores.number(tx, name, ANNA, "write"), "user:anna")
    database.close()


async def uploaded(library: Library, text: str) -> str:
    with library.archive.staging() as staged:
        await run_sync(staged.write, text.encode())
        file = await library.archive.add_file(staged, filename="up.txt", purpose="assistants", reader=ANNA)
    return file.file_id


@pytest.mark.parametrize("reader", [ANNA, BEN, ADMIN])
async def test_nobody_finds_a_removed_store_though_all_that_it_held_is_still_there(
    library: Library, tmp_path: Path, reader: Reader
) -> None:
    upload = await uploaded(library, "pear")
    batch = await library.archive.start_batch("shop", [Attachment(upload)], ANNA)
    document = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    assert await library.text(upload, ANNA) == "pear"

    take_away(tmp_path)

    for name in ("shop", document.store_id):
        with pytest.raises(StoreNotFound):
            await library.search("apple", stores=[name], k=3, reader=reader)
        with pytest.raises(StoreNotFound):
            await library.archive.batch(name, batch.batch_id, reader)
        with pytest.raises(StoreNotFound):
            await library.archive.held(name, document.file_id, reader)
    assert await library.stores(reader) == []
    for look in (library.archive.file, library.text, library.document, library.archive.original):
        with pytest.raises(DocumentNotFound):
            await look(document.file_id, reader)
    listed = (await library.archive.files(reader, Cursor(9))).items
    assert [file.file_id for file in listed] == ([] if reader is BEN else [upload])
    assert await library.text(upload, ANNA) == ""


async def test_nor_does_the_server_itself_count_on_it(library: Library, tmp_path: Path) -> None:
    large = await library.archive.make_store(Description("large", index="hnsw"), ANNA)
    upload = await uploaded(library, "pear")
    await library.archive.attach(large.store_id, Attachment(upload), ANNA)
    take_away(tmp_path, large.store_id)

    database = Database(tmp_path / "data" / "store.db")
    with database.read() as tx:
        assert stores.with_graph(tx) == []
        assert not stores.exists(tx, large.store_id)
        assert documents.by_id(tx, upload, large.store_id) is None
    database.close()
    assert store_names(tmp_path / "data").isdisjoint({large.store_id, large.name})


async def test_a_removed_store_is_a_place_in_the_list_and_its_name_is_free(library: Library, tmp_path: Path) -> None:
    document = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    take_away(tmp_path)

    await library.archive.page_of_stores(BEN, Cursor(9, after=document.store_id))
    another = await library.create_store("shop", BEN)
    assert another.store_id != document.store_id
    assert [store.name for store in await library.stores(BEN)] == ["shop"]
    assert (await library.store("shop", replace(BEN, stores=frozenset({"shop"})))).store_id == another.store_id


async def test_who_could_see_a_file_by_a_store_can_go_on_behind_it_after_both_are_gone(
    library: Library, tmp_path: Path
) -> None:
    document = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    limited = replace(BEN, stores=frozenset({"shop"}))
    await library.archive.files(limited, Cursor(9, after=document.file_id))

    await library.archive.remove_store("shop", ANNA)

    await library.archive.files(limited, Cursor(9, after=document.file_id))
    with pytest.raises(CursorUnknown):
        await library.archive.files(replace(BEN, stores=frozenset({"other"})), Cursor(9, after=document.file_id))


async def test_what_a_process_leaves_of_a_removed_store_the_next_one_takes_out(tmp_path: Path) -> None:
    data, texts = tmp_path / "data", [canary(number) for number in range(3)]
    async with open_library(data, WordsEmbedder()) as library:
        for number, text in enumerate(texts):
            path = write(tmp_path, f"{number}.txt", text)
            document = await library.ingest(path, store="shop", reader=ANNA)
        upload = await uploaded(library, "pear")
        await library.archive.attach("shop", Attachment(upload), ANNA)
        take_away(tmp_path)

    async with open_library(data, WordsEmbedder()) as library:
        await run_sync(library.archive.tend)
        erased = await library.erasures()
        purge = await library.purge()

        assert {(erasure.store_ids, erasure.by) for erasure in erased} == {((document.store_id,), "user:anna")}
        assert (len(erased), sum(erasure.is_whole for erasure in erased)) == (4, 3)
        assert purge.problem is None
        assert (await library.archive.file(upload, ANNA)).file_id == upload
    assert holding(data, texts[0], canary(9), str(tmp_path), "0.txt") == {}
    database = Database(data / "store.db")
    assert [count(database, table) for table in ("stores", "documents", "chunks")] == [0, 0, 0]
    database.close()
    assert [path.name for path in (data / "files").iterdir()] == [upload]


@pytest.mark.parametrize("trap", KILLS, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_while_a_store_goes_leaves_all_of_it_or_nothing_that_is_found(
    tmp_path: Path, trap: tuple[str, str, int]
) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        await library.ingest_all(files(tmp_path, FILES), store="shop", reader=ANNA)
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        victim.tell(remove_store="shop")
        assert victim.hear_out() == -9, "the trap was not reached"

    async with open_library(data, WordsEmbedder(), lease_s=LEASE_S) as library:
        if trap == KILLS[0]:
            assert (await library.store("shop", ANNA)).counts.completed == FILES
            await library.archive.remove_store("shop", ANNA)
        assert await library.stores(ANNA) == []
        assert (await library.archive.files(ANNA, Cursor(9))).items == ()
        await run_sync(library.archive.tend)
        assert (await library.purge()).problem is None
        erased = {erasure.file_id for erasure in await library.erasures() if erasure.is_whole}
    assert len(erased) == FILES
    database = Database(data / "store.db")
    assert [count(database, table) for table in ("stores", "documents", "files", "chunks", "jobs")] == [0] * 5
    database.close()
    assert list((data / "files").iterdir()) == []


async def test_others_write_while_a_large_store_goes(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "TURN_S", 0.0)
    await library.ingest_all(files(tmp_path, FILES), store="shop", reader=ANNA)
    database, seen, is_over = Database(tmp_path / "data" / "store.db"), set[int](), threading.Event()

    def write_again_and_again() -> None:
        while not is_over.is_set():
            with database.write() as tx:
                seen.add(tx.rows("SELECT count(*) FROM documents")[0][0])
            is_over.wait(0.005)

    other = threading.Thread(target=write_again_and_again)
    other.start()
    await library.archive.remove_store("shop", ANNA)
    is_over.set()
    other.join()
    left = [count(database, table) for table in ("stores", "documents")]
    database.close()

    assert left == [0, 0]
    assert {1, FILES - 1} <= seen


async def test_words_wait_for_the_purge_and_not_the_caller(library: Library, tmp_path: Path) -> None:
    await library.ingest_all(files(tmp_path, FILES), store="shop", reader=ANNA)
    database = Database(tmp_path / "data" / "store.db")
    chunks = count(database, "chunks")

    await library.archive.remove_store("shop", ANNA)

    assert count(database, "leaving") == chunks > 0
    await library.purge()
    assert count(database, "leaving") == 0
    database.close()


@pytest.mark.parametrize("what", ["stores", "files"])
async def test_what_has_expired_goes_in_turns_too(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(clearing, "TURN_S", 0.0)
    store = await library.archive.make_store(Description("old", expires_days=1), ANNA)
    for number in range(3):
        await library.archive.attach(store.store_id, Attachment(await uploaded(library, f"pear {number}")), ANNA)
    database, left = Database(tmp_path / "data" / "store.db"), list[int]()
    with database.write() as tx:
        tx.run("UPDATE stores SET last_active_at = 1" if what == "stores" else "UPDATE files SET expires_at = 1")
    monkeypatch.setattr(threading.Event, "wait", lambda *_: left.append(count(database, "documents")))

    await run_sync(library.archive.tend)

    assert sorted(set(left)) == [0, 1, 2, 3]
    assert len(list((tmp_path / "data" / "files").iterdir())) == (3 if what == "stores" else 0)
    database.close()


async def test_a_library_that_closes_waits_for_a_turn_alone_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        await library.ingest_all(files(tmp_path, FILES), store="shop", reader=ANNA)
        take_away(tmp_path)
        monkeypatch.setattr(clearing, "TURN_S", 0.0)
        library.archive.stop()
        await run_sync(library.archive.tend)
        database = Database(data / "store.db")
        left = [count(database, "documents")]
    left.append(count(database, "documents"))
    monkeypatch.undo()

    async with open_library(data, WordsEmbedder()) as library:
        await run_sync(library.archive.tend)
        left.append(count(database, "documents"))
    database.close()

    assert left == [FILES, FILES - 1, 0]


async def test_a_caller_that_leaves_ends_nothing(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "TURN_S", 0.0)
    await library.ingest_all(files(tmp_path, FILES), store="shop", reader=ANNA)
    database = Database(tmp_path / "data" / "store.db")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.archive.remove_store, "shop", ANNA)
        while count(database, "documents") == FILES:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert count(database, "documents") > 0
    with anyio.fail_after(20):
        while count(database, "stores"):  # noqa: ASYNC110
            await anyio.sleep(0.01)
    database.close()
