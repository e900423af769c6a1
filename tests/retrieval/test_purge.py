"""retrieval.purge: after it, no file of the data directory has a 12-character run of what was removed."""

import gzip
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from retrieval.library import Library
from retrieval.locks import PURGE, take
from retrieval.opening import open_library
from retrieval.purge import ELSEWHERE, READERS
from retrieval.store.database import Database
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, write

pytestmark = pytest.mark.anyio


async def ingest(library: Library, folder: Path, seed: int, name: str | None = None) -> str:
    path = write(folder, name or f"{canary(seed)[:30].replace(chr(10), ' ')}.txt", canary(seed))
    return (await library.ingest(path, store="shop", reader=ANNA)).file_id


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_of_many_removed_documents_is_left_in_any_file(tmp_path: Path, seed: int) -> None:
    await check_leaves_nothing(tmp_path, seed, documents=25)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
async def test_nothing_is_left_in_larger_stores_either(tmp_path: Path, seed: int) -> None:
    await check_leaves_nothing(tmp_path, seed, documents=300)


async def check_leaves_nothing(tmp_path: Path, seed: int, documents: int) -> None:
    """Add, replace and remove in some order, with reopenings; then look."""
    data, papers, draw = tmp_path / "data", tmp_path / "papers", random.Random(seed)
    held: dict[str, int] = {}
    gone: list[int] = []
    library = open_library(data, WordsEmbedder())
    for number in range(seed * 1000, seed * 1000 + documents):
        held[await ingest(library, papers, number)] = number
        if draw.random() < 0.5:
            file_id = draw.choice(list(held))
            await library.delete(file_id, ANNA)
            gone.append(held.pop(file_id))
        if draw.random() < 0.1:
            await library.aclose()
            library = open_library(data, WordsEmbedder())
    before = await ingest(library, papers, seed * 1000 + 900, "changing.txt")
    gone.append(seed * 1000 + 900)
    held[await ingest(library, papers, seed * 1000 + 901, "changing.txt")] = seed * 1000 + 901

    purge = await library.purge()

    assert purge.problem is None
    assert purge.scan is not None
    assert purge.scan.traces == ()
    assert before in {erasure.file_id for erasure in purge.erasures if erasure.reason == "replaced"}
    for erasure in purge.erasures:
        await library.settle(erasure)
    removed = "\n".join(map(canary, gone))
    assert holding(data, removed, "\n".join(map(canary, held.values())), str(papers), "changing.txt") == {}
    found = await library.search(canary(gone[0])[:200], stores=["shop"], k=20, reader=ANNA)
    assert not {passage.file_id for passage in found.passages} - held.keys()
    await library.aclose()
    assert holding(data, removed, "\n".join(map(canary, held.values())), str(papers), "changing.txt") == {}


async def test_what_other_documents_hold_as_well_is_no_trace_and_is_counted(tmp_path: Path) -> None:
    shared = "Terms and conditions apply to everything that is said here.\n\n"
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.ingest(write(tmp_path, "a.txt", shared + canary(1)), store="shop", reader=ANNA)
        doomed = await library.ingest(write(tmp_path, "b.txt", shared + canary(2)), store="shop", reader=ANNA)
        await library.delete(doomed.file_id, ANNA)

        purge = await library.purge()

    assert purge.scan is not None
    assert purge.scan.traces == ()
    assert purge.scan.shared > 20


async def test_a_snapshot_with_the_vector_of_a_like_document_is_no_trace(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        await library.ingest(write(tmp_path / "a", "same.txt", canary(1, words=4000)), store="shop", reader=ANNA)
        doomed = await library.ingest(
            write(tmp_path / "b", "same.txt", canary(1, words=4000)), store="other", reader=ANNA
        )
        await library.delete(doomed.file_id, ANNA)
    assert list((data / "index").glob("*.faiss")) != []

    async with open_library(data, WordsEmbedder()) as library:
        purge = await library.purge()

    assert purge.scan is not None
    assert (purge.scan.traces, purge.scan.rewrites) == ((), ())
    assert list((data / "index").glob("*.faiss")) != []


async def test_what_is_being_handed_in_again_meanwhile_is_no_remain(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.delete(await ingest(library, tmp_path, 1), ANNA)
        with library.archive.staging() as staged:
            await anyio.to_thread.run_sync(staged.write, canary(1).encode())

            purge = await library.purge()

            assert purge.problem is None
            assert purge.scan is not None
            assert purge.scan.rewrites == ()
            again = await library.archive.add_file(
                staged, filename="a.txt", purpose="assistants", reader=ANNA, expires_in_s=None
            )
        with await library.archive.original(again.file_id, ANNA) as content:
            assert content.read() == canary(1).encode()


@pytest.mark.parametrize("name", ["note.txt", "index/left", "deep/er/copy.gz"])
async def test_a_copy_that_somebody_left_in_the_data_directory_is_named_and_the_erasure_stays_open(
    tmp_path: Path, name: str
) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        await library.delete(await ingest(library, tmp_path, 1), ANNA)
        copy = data / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = b"x" * 1000 + canary(1).encode()[100:130]
        if not name.startswith("index"):
            copy.write_bytes(gzip.compress(part) if name.endswith("gz") else part)
            purge = await library.purge()

            assert purge.scan is not None
            assert purge.scan.traces == (name,)
            assert purge.problem == f"remains in {name}"
            assert purge.scan.rewrites == (), "of the store's own files none is the cause"
            assert await library.erasures() == list(purge.waiting) != []
            copy.unlink()
        else:
            copy.write_bytes(part)  # snapshots are the store's own, and go unasked

        purge = await library.purge()

        assert purge.problem is None
        assert not copy.exists()


async def test_a_folder_that_cannot_be_looked_into_is_named_and_the_erasure_stays_open(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        await library.delete(await ingest(library, tmp_path, 1), ANNA)
        with sunken(data, canary(1)) as top:
            purge = await library.purge()

            assert purge.problem is not None
            assert purge.problem.startswith(f"{top}/")
            assert purge.problem.endswith("cannot be read: File name too long")
            assert purge.scan is None
            assert await library.erasures() == list(purge.waiting) != []

        assert (await library.purge()).problem is None


@contextmanager
def sunken(folder: Path, text: str) -> Iterator[Path]:
    """A text so deep below a folder that its path is no path any more, which holds for root as well."""
    name = "deep" * 60
    at = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    with open("copy", "w", opener=partial(os.open, dir_fd=at)) as file:
        file.write(text)
    os.close(at)
    yield folder / name
    shutil.rmtree(folder / name)


async def test_a_link_to_nothing_is_no_problem(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.delete(await ingest(library, tmp_path, 1), ANNA)
        (tmp_path / "data" / "link").symlink_to("nowhere")

        assert (await library.purge()).problem is None


async def test_twelve_characters_are_found_wherever_in_a_long_document_they_stood(tmp_path: Path) -> None:
    data, text = tmp_path / "data", canary(3, words=60_000)
    places = (0, 1000, len(text) // 3, len(text) // 2, len(text) - 300, len(text) - 12)
    async with open_library(data, WordsEmbedder()) as library:
        document = await library.ingest(write(tmp_path, "long.txt", text), store="shop", reader=ANNA)
        await library.delete(document.file_id, ANNA)
        for place in places:
            (data / f"left-{place}.tmp").write_text(text[place : place + 12])

        purge = await library.purge()

        assert purge.scan is not None
        assert set(purge.scan.traces) == {f"left-{place}.tmp" for place in places}
        assert await library.erasures() == list(purge.waiting) != []
        for place in places:
            (data / f"left-{place}.tmp").unlink()
        assert (await library.purge()).problem is None


async def test_what_other_files_hold_by_right_can_be_named(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.delete(await ingest(library, tmp_path, 1), ANNA)
        (tmp_path / "data" / "ledger").write_text(canary(1)[:40])

        assert (await library.purge()).problem == "remains in ledger"
        assert (await library.purge(lambda: [canary(1)[:40]])).problem is None


async def test_a_copy_from_before_a_migration_goes_with_the_first_removal(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        file_id = await ingest(library, tmp_path, 1)
    database = Database(data / "store.db")
    database.copy_to(data / "store.db.v1.backup")
    database.close()

    async with open_library(data, WordsEmbedder()) as library:
        assert (data / "store.db.v1.backup").exists()
        await library.delete(file_id, ANNA)
        await library.purge()

    assert not (data / "store.db.v1.backup").exists()


async def test_a_purge_that_cannot_be_made_says_why_and_can_be_made_later(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        file_id = await ingest(library, tmp_path, 1)
        reading = Database(data / "store.db")
        with reading.read() as tx:
            tx.rows("SELECT * FROM documents")
            await library.delete(file_id, ANNA)
            assert (await library.purge()).problem == READERS
        reading.close()
        lock = take(data / PURGE, alone=True)
        assert lock is not None
        assert (await library.purge()).problem == ELSEWHERE
        lock.release()

        assert (await library.purge()).problem is None


async def test_an_erasure_outlives_the_process_that_made_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        erasure = await library.delete(await ingest(library, tmp_path, 1), ANNA)

    async with open_library(data, WordsEmbedder()) as library:
        assert await library.erasures() == [erasure]
        assert (await library.purge()).problem is None
