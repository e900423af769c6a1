"""Files and stores past their expiry, cleared away or not yet: gone for callers, and nothing brings them back."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from retrieval import clearing
from retrieval.errors import StoreExpired
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store.database import Database
from retrieval.types import Access, Attachment, Cursor, Description
from tests.retrieval.desk import ANNA, WordsEmbedder

pytestmark = pytest.mark.anyio


async def three(library: Library) -> tuple[str, list[str]]:
    """A store that holds three files."""
    file_ids = []
    for text in ("apple", "pear", "plum"):
        with library.archive.staging() as staged:
            staged.write(text.encode())
            file = await library.archive.add_file(staged, filename="a.txt", purpose="assistants", reader=ANNA)
        file_ids.append(file.file_id)
    attachments = [Attachment(file_id) for file_id in file_ids]
    store = await library.archive.make_store(Description("shop", expires_days=1), ANNA, None, attachments)
    return store.store_id, file_ids


def change(tmp_path: Path, sql: str, *values: str) -> None:
    database = Database(tmp_path / "data" / "store.db")
    with database.write() as tx:
        tx.run(sql, *values)
    database.close()


@pytest.mark.parametrize("is_cleared_away", [False, True])
async def test_a_list_goes_on_behind_a_file_that_has_expired(
    library: Library, tmp_path: Path, is_cleared_away: bool
) -> None:
    store, (first, second, third) = await three(library)
    change(tmp_path, "UPDATE files SET expires_at = 1 WHERE file_id = ?", second)
    if is_cleared_away:
        await anyio.to_thread.run_sync(library.archive.tend)

    async def ids(cursor: Cursor) -> list[list[str]]:
        files = await library.archive.files(ANNA, cursor)
        held = await library.archive.page_of_held(store, ANNA, cursor)
        return [[one.file_id for one in files.items], [one.file_id for one in held.items]]

    assert await ids(Cursor(2, is_descending=False, after=second)) == [[third]] * 2
    assert await ids(Cursor(2, is_descending=False, before=second)) == [[first]] * 2


async def test_a_change_does_not_bring_an_expired_store_back(library: Library, tmp_path: Path) -> None:
    store, _ = await three(library)
    change(tmp_path, "UPDATE stores SET last_active_at = last_active_at - 100000")

    for said in (lambda said: said, lambda said: replace(said, expires_days=None)):
        with pytest.raises(StoreExpired, match=store):
            await library.archive.change_store(store, said, ANNA, Access())

    found = await library.store(store, ANNA)
    assert found.is_expired
    assert found.description.expires_days == 1


async def test_a_search_made_before_does_not_bring_back_a_store_of_which_a_part_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        store, _ = await three(library)
        async with open_library(tmp_path / "data", WordsEmbedder()) as other:
            other.archive.note_search([store])
            change(tmp_path, "UPDATE stores SET last_active_at = last_active_at - 86400")
            monkeypatch.setattr(clearing, "TURN_S", 0.0)
            library.archive.stop()
            await anyio.to_thread.run_sync(lambda: library.archive.tend(is_last=True))
            assert (await library.store(store, ANNA)).counts.total == 2

            await anyio.to_thread.run_sync(other.archive.tend)

            assert (await library.store(store, ANNA)).is_expired
            assert (await library.store(store, ANNA)).counts.total == 0


async def test_a_search_made_before_keeps_a_store_that_nobody_has_begun_to_empty(
    library: Library, tmp_path: Path
) -> None:
    store, _ = await three(library)
    change(tmp_path, "UPDATE stores SET last_active_at = last_active_at - 86399")
    library.archive.note_search([store])
    change(tmp_path, "UPDATE stores SET last_active_at = last_active_at - 1")

    await anyio.to_thread.run_sync(library.archive.tend)

    found = await library.store(store, ANNA)
    assert (found.is_expired, found.counts.total) == (False, 3)
