"""retrieval.library: one data directory, from opening to erasure, for several processes at once."""

import logging
from contextlib import aclosing, suppress
from pathlib import Path

import anyio
import anyio.from_thread
import numpy as np
import pytest

from retrieval.embedder import MiniLM
from retrieval.errors import DocumentNotFound, DocumentRefused, EmbedderMismatch, StoreFailed
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store.database import Database
from retrieval.types import Fusion, Progress, Reader
from tests.retrieval.desk import ANNA, BEN, WordsEmbedder, files, texts, write
from tests.retrieval.neighbour import neighbour
from tests.waiting import until

pytestmark = pytest.mark.anyio

SECRET = "the zanzibar protocol was signed by quentin abernathy"


async def search(library: Library, query: str, reader: Reader = ANNA) -> list[str]:
    return texts((await library.search(query, stores=["shop"], k=20, reader=reader)).passages)


def holding(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold any 12 characters of a text."""
    runs = {text[at : at + 12].encode() for at in range(len(text) - 11)}
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and (content := path.read_bytes().lower()) and any(run in content for run in runs)
    ]


async def test_documents_are_there_after_reopening(tmp_path: Path) -> None:
    paths = files(tmp_path, 3)
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        before = [await library.ingest(path, store="shop", reader=ANNA) for path in paths]
        found = await search(library, "subject1")

    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        assert await library.documents("shop", ANNA) == before
        assert await search(library, "subject1") == found


async def test_a_deleted_document_stays_deleted_after_reopening_and_leaves_no_trace(tmp_path: Path) -> None:
    data = tmp_path / "data"
    kept = write(tmp_path, "kept.txt", "an ordinary sentence about apples")
    path = write(tmp_path, "secret.txt", SECRET)
    async with open_library(data, WordsEmbedder()) as library:
        await library.ingest(kept, store="shop", reader=ANNA)
        document = await library.ingest(path, store="shop", reader=ANNA)
        vector = WordsEmbedder().embed([f"secret\n{SECRET}"])[0]
    stored, indexed = vector.tobytes(), vector.astype(np.float16).tobytes()
    assert holding(data, SECRET) != []
    assert any(indexed in file.read_bytes() for file in (data / "index").iterdir())

    async with open_library(data, WordsEmbedder()) as library:
        await library.delete(document.file_id, ANNA)

        assert await search(library, "zanzibar protocol") == ["an ordinary sentence about apples"]
        assert holding(data, SECRET) == []
        for file in data.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert stored not in content
            assert indexed not in content

    async with open_library(data, WordsEmbedder()) as library:
        assert await search(library, "zanzibar protocol") == ["an ordinary sentence about apples"]
        with pytest.raises(DocumentNotFound):
            await library.text(document.file_id, ANNA)
    assert holding(data, SECRET) == []


async def test_a_deletion_does_not_wait_for_a_reader_that_takes_its_time(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
    reading = Database(tmp_path / "data" / "store.db")

    with caplog.at_level(logging.INFO), reading.read() as tx:
        tx.rows("SELECT * FROM documents")
        with anyio.fail_after(10):
            await library.delete(document.file_id, ANNA)

    assert "kept the write-ahead log from being emptied" in caplog.text
    assert await search(library, "apple") == []


async def test_another_embedder_is_refused_and_both_are_named(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder("words@1")):
        pass

    with pytest.raises(EmbedderMismatch, match=r"words@1.*words@2.*hrm-serve reindex"):
        open_library(tmp_path / "data", WordsEmbedder("words@2"))

    async with open_library(tmp_path / "data", WordsEmbedder("words@1")):
        pass


async def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"something else entirely" * 100)

    with pytest.raises(StoreFailed):
        open_library(tmp_path, WordsEmbedder())


async def test_the_bundled_embedder_is_the_default(tmp_path: Path, embedder: MiniLM) -> None:
    async with open_library(tmp_path / "data"):
        pass

    async with open_library(tmp_path / "data", embedder):
        pass


async def test_many_files_are_taken_in_with_one_outcome_each(library: Library, tmp_path: Path) -> None:
    first, second = files(tmp_path, 2)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"Gr\xfc\xdfe")
    told: list[Progress] = []

    outcomes = await library.ingest_all(
        [first, tmp_path / "none.txt", bad, first, second], store="shop", reader=ANNA, report=told.append
    )

    assert [getattr(outcome, "status", type(outcome)) for outcome in outcomes] == [
        "completed",
        DocumentRefused,
        DocumentRefused,
        "completed",
        "completed",
    ]
    assert outcomes[0] == outcomes[3]
    ends = [(progress.filename, progress.status) for progress in told if progress.status != "in_progress"]
    assert sorted(ends) == [
        ("bad.txt", "failed"),
        (first.name, "completed"),
        (second.name, "completed"),
        ("none.txt", "failed"),
    ]


async def test_of_two_who_take_in_the_same_files_only_one_has_added_each(library: Library, tmp_path: Path) -> None:
    paths = files(tmp_path, 3)
    added: list[str] = []

    async def take_in() -> None:
        taken = await library.take_in([*paths, *paths], store="shop", reader=ANNA)
        added.extend(taken.added)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_in)
        tasks.start_soon(take_in)

    assert sorted(added) == sorted(document.file_id for document in await library.documents("shop", ANNA))
    assert len(added) == 3


async def test_what_waited_to_be_read_is_found_by_whoever_takes_it_in_again(library: Library, tmp_path: Path) -> None:
    waits, comes = files(tmp_path, 2)
    handed_in = await library.enqueue(waits, store="shop", reader=ANNA)

    first = await library.take_in([waits, comes], store="shop", reader=ANNA)
    second = await library.take_in([waits, comes], store="shop", reader=ANNA)

    (added,) = first.added
    assert first.found == {handed_in.file_id, added} != first.added
    assert (second.added, second.found) == (frozenset(), frozenset())


async def test_only_a_store_that_holds_nothing_to_find_can_be_removed(library: Library, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"Gr\xfc\xdfe")
    await library.ingest_all([bad], store="bare", reader=ANNA)
    await library.ingest_all([bad, write(tmp_path, "a.txt", "apple")], store="shop", reader=ANNA)

    assert await library.remove_if_bare("bare", ANNA)
    assert not await library.remove_if_bare("shop", ANNA)

    assert [store.name for store in await library.stores(ANNA)] == ["shop"]
    assert len(list((tmp_path / "data" / "files").iterdir())) == len(await library.documents("shop", ANNA))


async def test_a_document_deleted_before_it_is_read_is_an_outcome_too(library: Library, tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "apple")

    async def delete() -> None:
        (document,) = await library.documents("shop", ANNA)
        await library.delete(document.file_id, ANNA)

    def delete_when_cut(progress: Progress) -> None:
        if (progress.chunks, progress.status) == (0, "in_progress"):
            anyio.from_thread.run(delete)

    (outcome,) = await library.ingest_all([path], store="shop", reader=ANNA, report=delete_when_cut)

    assert isinstance(outcome, DocumentNotFound)
    assert await library.documents("shop", ANNA) == []


async def test_what_is_enqueued_is_done_by_whoever_works(library: Library, tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.work, 0.01)
        await library.enqueue(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
        with anyio.fail_after(10):
            while not await search(library, "apple"):
                pass
        tasks.cancel_scope.cancel()


async def test_work_goes_on_after_the_store_failed_for_a_while(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "data" / "store.db"
    aside = store.rename(store.with_name("aside.db"))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(library.work, 0.01)
            await until(lambda: caplog.text.count("ingest interrupted, to be tried again") > 1)
            aside.rename(store)

            await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
            assert await search(library, "apple") == ["apple"]
            tasks.cancel_scope.cancel()


async def test_searches_are_answered_while_files_are_read(library: Library, tmp_path: Path) -> None:
    await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)

    async def ingest(path: Path) -> None:
        await library.ingest(path, store="shop", reader=ANNA)

    async with anyio.create_task_group() as tasks:
        for path in files(tmp_path / "more", 60):
            tasks.start_soon(ingest, path)
        for _ in range(20):
            assert (await search(library, "apple"))[0] == "apple"

    assert len(await library.documents("shop", ANNA)) == 61


async def test_exact_codes_are_found_among_their_likes_which_vectors_alone_mix_up(
    tmp_path: Path, embedder: MiniLM
) -> None:
    codes = [f"KX-{7000 + 137 * number % 1000}/{'QRST'[number % 4]}" for number in range(40)]
    text = "\n\n".join(f"## Part {code}\n\nPart {code} belongs on shelf {number}." for number, code in enumerate(codes))
    async with open_library(tmp_path / "data", embedder) as library:
        await library.ingest(write(tmp_path, "parts.md", text), store="shop", reader=ANNA)

        async def found(fusion: Fusion | None) -> int:
            hits = 0
            for code in codes:
                query = f"Where do I put {code}?"
                best = await library.search(query, stores=["shop"], k=1, reader=ANNA, fusion=fusion)
                hits += code in best.passages[0].text
            return hits

        assert await found(None) == len(codes)
        assert await found(Fusion(1, 0)) < len(codes)


async def test_unrelated_passages_score_low_and_answers_high(tmp_path: Path, embedder: MiniLM) -> None:
    text = "Employees have 27 days of annual leave.\n"
    async with open_library(tmp_path / "data", embedder) as library:
        await library.ingest(write(tmp_path, "a.txt", text), store="shop", reader=ANNA)

        async def best(query: str) -> float:
            return (await library.search(query, stores=["shop"], k=1, reader=ANNA)).passages[0].score

        assert await best("How many days of annual leave do employees have?") > 0.6
        assert await best("How much holiday do I get?") > 0.15
        assert await best("Which planet is the largest?") < 0.1


@pytest.mark.parametrize("query", ["", "  \n", "the of and", '"', "AND OR NOT ( NEAR *", "naïve: ☃ x-y/z", "a" * 5000])
async def test_any_query_is_answered(library: Library, tmp_path: Path, query: str) -> None:
    await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)

    hits = await library.search(query, stores=["shop"], k=3, reader=ANNA)

    assert all(0 <= passage.score <= 1 for passage in hits.passages)


async def test_scores_do_not_depend_on_what_the_reader_may_not_see(library: Library, tmp_path: Path) -> None:
    await library.ingest(write(tmp_path, "a.txt", "apple pie"), store="shop", reader=ANNA)
    before = await library.search("apple pie recipe", stores=["shop"], k=3, reader=ANNA)

    for path in [write(tmp_path, f"b{number}.txt", f"apple recipe {number}") for number in range(20)]:
        await library.ingest(path, store="bens", reader=BEN)

    after = await library.search("apple pie recipe", stores=["shop"], k=3, reader=ANNA)
    assert [passage.score for passage in after.passages] == [passage.score for passage in before.passages]


async def test_a_process_sees_what_another_adds_and_no_longer_what_it_deletes(library: Library, tmp_path: Path) -> None:
    await library.create_store("shop", ANNA)
    with neighbour(tmp_path / "data") as other:
        assert other.hear() == "ready"
        assert other.ask(search="subject1") == []

        for path in files(tmp_path, 2):
            document = await library.ingest(path, store="shop", reader=ANNA)
        assert len(other.ask(search="subject1")) == 6

        await library.delete(document.file_id, ANNA)
        assert not [text for text in other.ask(search="subject1") if "subject1" in text]
        assert other.ask(ingest=[str(tmp_path / "document-01.md")]) == "done"
        assert len(await search(library, "subject1")) == 6

        (_, document) = await library.documents("shop", ANNA)
        assert other.ask(delete=document.file_id) == "done"
        assert not [text for text in await search(library, "subject1") if "subject1" in text]


async def test_two_processes_that_take_in_the_same_files_store_each_once(library: Library, tmp_path: Path) -> None:
    paths = files(tmp_path, 15)
    await library.create_store("shop", ANNA)
    with neighbour(tmp_path / "data") as other:
        assert other.hear() == "ready"
        other.tell(ingest=[str(path) for path in reversed(paths)])
        outcomes = await library.ingest_all(paths, store="shop", reader=ANNA)
        assert other.hear() == "done"

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    stored = await library.documents("shop", ANNA)
    assert sorted(document.filename for document in stored) == [path.name for path in paths]
    assert {document.status for document in stored} == {"completed"}


async def test_closing_twice_and_using_a_closed_library_are_told_apart(tmp_path: Path) -> None:
    library = open_library(tmp_path / "data", WordsEmbedder())
    async with aclosing(library):
        pass

    with pytest.raises(StoreFailed, match="closed"):
        await library.generation()
    with suppress(StoreFailed):
        await library.aclose()
