"""retrieval.archive: files and stores as an API manages them."""

import re
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from retrieval.errors import CursorUnknown, DocumentNotFound, StoreExpired
from retrieval.library import Library
from retrieval.store.database import Database
from retrieval.types import Access, Attachment, Chunking, Cursor, Description, Reader
from tests.retrieval.desk import ANNA, BEN, write
from tests.retrieval.handing_in import read, upload

pytestmark = pytest.mark.anyio

ADMIN = Reader(frozenset({"user:root"}), is_admin=True)


async def found(library: Library, store: str, query: str = "apple", reader: Reader = ANNA) -> list[str]:
    hits = await library.search(query, stores=[store], k=50, reader=reader)
    return [passage.text for passage in hits.passages]


async def store_of(library: Library, name: str = "shop", expires_days: int | None = None) -> str:
    return (await library.archive.make_store(Description(name, expires_days=expires_days), ANNA)).store_id


async def test_an_expired_file_is_gone_at_once_and_cleared_away_later(library: Library, tmp_path: Path) -> None:
    store = await store_of(library)
    file = await upload(library, "apple", expires_in_s=3600)
    await read(library, store, Attachment(file.file_id))
    assert await found(library, store) == ["apple"]

    with Database(tmp_path / "data" / "store.db").write() as tx:
        tx.run("UPDATE files SET expires_at = 1")

    assert await found(library, store) == []
    assert (await library.archive.files(ANNA, Cursor(10))).items == ()
    assert (await library.store(store, ANNA)).counts.total == 0
    with pytest.raises(DocumentNotFound):
        await library.text(file.file_id, ANNA)
    await anyio.to_thread.run_sync(library.archive.tend)
    assert list((tmp_path / "data" / "files").iterdir()) == []
    assert not (tmp_path / "data" / "index").exists() or list((tmp_path / "data" / "index").iterdir()) == []


async def test_a_store_that_nobody_used_expires_and_its_uploaded_files_stay(library: Library, tmp_path: Path) -> None:
    store = await store_of(library, expires_days=3)
    file = await upload(library, "apple")
    await read(library, store, Attachment(file.file_id))

    with Database(tmp_path / "data" / "store.db").write() as tx:
        tx.run("UPDATE stores SET last_active_at = last_active_at - 3 * 86400")

    assert (await library.store(store, ANNA)).is_expired
    with pytest.raises(StoreExpired, match=store):
        await found(library, store)
    with pytest.raises(StoreExpired):
        await library.archive.attach(store, Attachment(file.file_id), ANNA)
    await anyio.to_thread.run_sync(library.archive.tend)
    assert (await library.store(store, ANNA)).counts.total == 0
    assert (await library.archive.file(file.file_id, ANNA)).status == "processed"


@pytest.mark.parametrize("use", ["search", "attach"])
async def test_what_is_used_does_not_expire(library: Library, tmp_path: Path, use: str) -> None:
    store = await store_of(library, expires_days=3)
    file = await upload(library, "apple")
    with Database(tmp_path / "data" / "store.db").write() as tx:
        tx.run("UPDATE stores SET last_active_at = last_active_at - 2 * 86400")
    before = (await library.store(store, ANNA)).last_active_at

    if use == "search":
        await found(library, (await library.store(store, ANNA)).name)
    else:
        await library.archive.attach(store, Attachment(file.file_id), ANNA)
    await anyio.to_thread.run_sync(library.archive.tend)

    assert (await library.store(store, ANNA)).last_active_at >= before + 2 * 86400


async def test_a_file_put_in_again_is_read_anew_only_where_it_is_to_be_cut_otherwise(library: Library) -> None:
    store = await store_of(library)
    file = await upload(library, " ".join(f"apple{number}" for number in range(300)))
    first = await read(library, store, Attachment(file.file_id))

    same = await library.archive.attach(store, Attachment(file.file_id, {"a": 1}), ANNA)
    other = await library.archive.attach(store, Attachment(file.file_id, {"a": 1}, Chunking(100)), ANNA)
    cut = await read(library, store, Attachment(file.file_id, {"a": 1}, Chunking(100)))

    assert (same.status, same.attributes, same.chunks) == ("completed", {"a": 1}, first.chunks)
    assert (other.status, other.chunks) == ("in_progress", 0)
    assert cut.chunks == 3
    assert cut.chunks > first.chunks


@pytest.mark.parametrize("chunking", [None, Chunking(100)])
async def test_a_file_put_in_again_keeps_its_attributes_unless_others_are_given(
    library: Library, chunking: Chunking | None
) -> None:
    store = await store_of(library)
    file = await upload(library, "An apple a day.")
    await read(library, store, Attachment(file.file_id, {"a": 1}))

    kept = await read(library, store, Attachment(file.file_id, chunking=chunking))
    taken = await read(library, store, Attachment(file.file_id, {}, chunking))

    assert (kept.attributes, taken.attributes) == ({"a": 1}, {})


async def test_what_failed_or_was_cancelled_is_tried_again_when_it_is_put_in_again(library: Library) -> None:
    store = await store_of(library)
    file = await upload(library, "apple")
    batch = await library.archive.start_batch(store, [Attachment(file.file_id)], ANNA)
    await library.archive.cancel_batch(store, batch.batch_id, ANNA)
    assert (await library.archive.held(store, file.file_id, ANNA)).status == "cancelled"

    assert (await read(library, store, Attachment(file.file_id))).status == "completed"


async def test_a_batch_of_which_all_was_read_cannot_be_cancelled_any_more(library: Library) -> None:
    store = await store_of(library)
    file = await upload(library, "apple")
    await read(library, store, Attachment(file.file_id))
    batch = await library.archive.start_batch(store, [Attachment(file.file_id)], ANNA)
    assert batch.status == "completed"

    cancelled = await library.archive.cancel_batch(store, batch.batch_id, ANNA)

    assert cancelled.status == "completed"


async def test_cancelling_a_batch_again_leaves_a_file_alone_that_was_put_in_since(library: Library) -> None:
    store = await store_of(library)
    file = await upload(library, "apple")
    batch = await library.archive.start_batch(store, [Attachment(file.file_id)], ANNA)
    await library.archive.cancel_batch(store, batch.batch_id, ANNA)
    await library.archive.attach(store, Attachment(file.file_id), ANNA)

    await library.archive.cancel_batch(store, batch.batch_id, ANNA)

    assert (await library.archive.held(store, file.file_id, ANNA)).status == "in_progress"


async def test_a_file_handed_in_on_the_command_line_goes_with_its_last_store(library: Library, tmp_path: Path) -> None:
    document = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    other = await store_of(library, "other")
    await read(library, other, Attachment(document.file_id))

    await library.archive.remove_store("shop", ANNA)
    assert await found(library, other) == ["apple"]
    await library.archive.remove_store(other, ANNA)

    with pytest.raises(DocumentNotFound):
        await library.archive.file(document.file_id, ANNA)
    assert list((tmp_path / "data" / "files").iterdir()) == []


async def test_two_files_of_one_content_are_two_files_in_one_store(library: Library) -> None:
    store = await store_of(library)
    files = [await upload(library, "apple") for _ in range(2)]
    for file in files:
        await read(library, store, Attachment(file.file_id))

    assert (await library.store(store, ANNA)).counts.completed == 2
    assert await found(library, store) == ["apple"]
    await library.archive.detach(store, files[0].file_id, ANNA)
    assert await found(library, store) == ["apple"]


async def test_a_batch_with_an_unknown_file_puts_nothing_in(library: Library) -> None:
    store = await store_of(library)
    file = await upload(library, "apple")

    with pytest.raises(DocumentNotFound, match="file-none"):
        await library.archive.start_batch(store, [Attachment(file.file_id), Attachment("file-none")], ANNA)
    with pytest.raises(DocumentNotFound):
        await library.archive.make_store(Description("other"), ANNA, attachments=[Attachment("file-none")])

    assert (await library.store(store, ANNA)).counts.total == 0
    assert [found.store_id for found in await library.stores(ANNA)] == [store]


@pytest.mark.parametrize(
    ("name", "slug"),
    [("hr_docs", "hr_docs"), ("Staff Handbook!", "staff-handbook"), ("Käse", "kase"), ("vs_1", "vs-1")],
)
async def test_a_slug_is_made_of_the_name(library: Library, name: str, slug: str) -> None:
    theirs = await library.archive.make_store(Description(name), ANNA)
    store = await library.archive.make_store(Description(name), ADMIN)

    assert (store.name, store.description.name) == (slug, name)
    assert (await library.store(slug, ADMIN)).store_id == store.store_id
    assert re.fullmatch(f"{slug}-[0-9a-f]{{8}}", theirs.name)
    assert (await library.store(theirs.name, ANNA)).store_id == theirs.store_id


@pytest.mark.parametrize(
    "reader",
    [
        replace(ADMIN, stores=frozenset({"vs_1"})),
        replace(ADMIN, through=ANNA),
        replace(ANNA, through=ADMIN),
        replace(ADMIN, through=replace(ADMIN, stores=frozenset({"vs_1"}))),
    ],
)
async def test_whoever_may_not_see_every_store_gets_no_slug_that_another_could_have(
    library: Library, reader: Reader
) -> None:
    await library.create_store("taken", BEN)

    slugs = [(await library.archive.make_store(Description(name), reader)).name for name in ("taken", "free")]

    assert all(re.fullmatch("(taken|free)-[0-9a-f]{8}", slug) for slug in slugs)


@pytest.mark.parametrize("reader", [ANNA, ADMIN])
@pytest.mark.parametrize("name", [None, "", "none", "資料", "twice"])
async def test_a_name_that_makes_no_free_slug_gets_one_that_is_free(
    library: Library, name: str | None, reader: Reader
) -> None:
    await library.create_store("twice", BEN)

    slugs = {(await library.archive.make_store(Description(name), reader)).name for _ in range(2)}

    assert len(slugs) == 2
    assert not slugs & {"none", "twice"}


@pytest.mark.parametrize("param", ["after", "before"])
async def test_a_place_that_is_not_in_the_list_is_named(library: Library, param: str) -> None:
    hidden = await upload(library, "x", BEN)

    for place in (hidden.file_id, "file-none"):
        with pytest.raises(CursorUnknown, match=param):
            await library.archive.files(ANNA, Cursor(3, **{param: place}))  # type: ignore[arg-type]  # a str


async def test_lists_of_a_file_count_in_every_store(library: Library) -> None:
    store = await store_of(library)
    await library.set_access(store, Access(read=("*",)), ANNA)
    file = await upload(library, "apple")
    await read(library, store, Attachment(file.file_id))
    assert await found(library, store, reader=BEN) == ["apple"]

    await library.archive.share_file(file.file_id, Access(read=("group:board",)), ANNA)
    assert await found(library, store, reader=BEN) == []
    assert await found(library, store) == ["apple"]

    await library.archive.share_file(file.file_id, None, ANNA)
    assert await found(library, store, reader=BEN) == ["apple"]


async def test_an_application_that_drops_lists_for_a_person_leaves_the_file_in_stores_of_the_person(
    library: Library,
) -> None:
    portal = Reader(frozenset({"user:portal"}))
    store = await store_of(library)
    file = await upload(library, "apple")
    await read(library, store, Attachment(file.file_id))
    await library.archive.share_file(file.file_id, Access(write=("user:portal",)), ANNA)

    await library.archive.share_file(file.file_id, None, replace(ANNA, through=portal))

    assert await found(library, store) == ["apple"]


async def test_a_file_that_came_with_a_store_is_its_owner_s_when_it_is_taken_out_with_its_lists(
    library: Library, tmp_path: Path
) -> None:
    await library.create_store("shop", BEN, Access(write=("user:anna",)))
    file_id = (await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)).file_id
    await library.archive.share_file(file_id, Access(read=("user:ben",)), ANNA)
    await library.set_access("shop", Access(), BEN)

    await library.archive.share_file(file_id, None, ANNA)

    assert (await library.store("shop", BEN)).counts.total == 0
    with await library.archive.original(file_id, ANNA) as original:
        assert original.read() == b"apple"
    assert [file.file_id for file in (await library.archive.files(ANNA, Cursor(9))).items] == [file_id]
