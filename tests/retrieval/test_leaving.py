"""Removing a large document: what other writers wait for is small, and the rest is done between their turns."""

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store import documents, erasures, files, leaving
from retrieval.store.database import Database
from retrieval.store.erasures import deleted
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, write

pytestmark = pytest.mark.anyio

OURS = str(Path(erasures.__file__).parents[1])


async def ingest(library: Library, folder: Path, seed: int, words: int) -> str:
    path = write(folder, f"{seed}.txt", canary(seed, words=words))
    return (await library.ingest(path, store="shop", reader=ANNA)).file_id


def removal(database: Database, file_id: str) -> Counter[str]:
    """Remove a file, and count which of our functions ran while everybody else waited."""
    calls = Counter[str]()

    def count(frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_name
        # Steps of generators are those of one statement, which hands rows on.
        if event == "call" and frame.f_code.co_filename.startswith(OURS) and name != "<genexpr>":
            calls[name] += 1

    with database.write() as tx:
        sys.setprofile(count)
        try:
            documents.remove_file(tx, files.number(tx, file_id, ANNA, "write"), deleted(ANNA))
        finally:
            sys.setprofile(None)
    return calls


def left(database: Database) -> int:
    with database.write() as tx:
        return int(tx.rows("SELECT count(*) FROM leaving")[0][0])


async def test_a_removal_does_the_same_work_in_its_transaction_however_long_the_document(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        first, short = await ingest(library, tmp_path, 1, 100), await ingest(library, tmp_path, 2, 100)
        long = await ingest(library, tmp_path, 3, 20_000)
        database = Database(tmp_path / "data" / "store.db")
        removal(database, first)

        of_short, of_long = removal(database, short), removal(database, long)

        assert of_long == of_short
        assert of_long.keys().isdisjoint({"hashed", "of_texts", "of_heads", "words"})
        assert left(database) > leaving.TOGETHER, "no word was taken out of the lexical index yet"
        database.close()


async def test_writers_get_their_turn_while_the_words_of_a_large_document_are_taken_out(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        file_id = await ingest(library, tmp_path, 1, 60_000)
        database = Database(tmp_path / "data" / "store.db")
        removal(database, file_id)
        before = now = left(database)
        assert before > 3 * leaving.TOGETHER
        taking = threading.Thread(target=leaving.take_out, args=(database,))

        taking.start()
        while now == before:
            now = left(database)
        taking.join()

        assert 0 < now < before
        assert left(database) == 0
        database.close()


async def test_words_that_others_add_meanwhile_are_theirs_to_take_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        first, second = await ingest(library, tmp_path, 1, 20_000), await ingest(library, tmp_path, 2, 5_000)
        database = Database(tmp_path / "data" / "store.db")
        removal(database, first)

        def meanwhile(_: float) -> None:
            monkeypatch.setattr(time, "sleep", lambda _: None)
            removal(database, second)

        monkeypatch.setattr(time, "sleep", meanwhile)
        leaving.take_out(database)

        assert left(database) > 0
        leaving.take_out(database)
        assert left(database) == 0
        database.close()


async def test_reading_files_waits_for_no_words_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        gone = await ingest(library, tmp_path, 1, 20_000)
        database = Database(tmp_path / "data" / "store.db")
        removal(database, gone)
        before = left(database)

        await ingest(library, tmp_path, 2, 100)

        assert left(database) == before
        database.close()


async def test_what_a_process_leaves_that_dies_is_found_by_no_search_and_taken_out_by_the_next_purge(
    tmp_path: Path,
) -> None:
    data, text = tmp_path / "data", canary(1, words=20_000)
    async with open_library(data, WordsEmbedder()) as library:
        kept, gone = await ingest(library, tmp_path, 2, 100), await ingest(library, tmp_path, 1, 20_000)
        database = Database(data / "store.db")
        removal(database, gone)

        found = await library.search(text[:200], stores=["shop"], k=20, reader=ANNA)
        assert {passage.file_id for passage in found.passages} <= {kept}
        purge = await library.purge()

        assert purge.problem is None
        assert left(database) == 0
        with database.write() as tx:
            tx.run("INSERT INTO chunk_words (chunk_words, rank) VALUES ('integrity-check', 1)")
        database.close()
        assert holding(data, text, canary(2), str(tmp_path), "1.txt") == {}


SHORT = "We will all go to the old mill by the sea at ten. "  # no word that the lexical index would be rewritten for


async def test_what_is_replaced_while_a_purge_takes_words_out_waits_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        gone = await ingest(library, tmp_path, 1, 20_000)
        replaced = await library.ingest(write(tmp_path, "b.txt", SHORT), store="shop", reader=ANNA)
        database = Database(data / "store.db")
        removal(database, gone)

        def meanwhile(_: float) -> None:
            monkeypatch.setattr(time, "sleep", lambda _: None)
            removal(database, replaced.file_id)

        monkeypatch.setattr(time, "sleep", meanwhile)
        first = await library.purge()
        for erasure in first.erasures:
            await library.settle(erasure)
        waiting = await library.erasures()

        assert (first.problem, [erasure.file_id for erasure in first.erasures]) == (None, [gone])
        assert [erasure.file_id for erasure in waiting] == [replaced.file_id]
        second = await library.purge()
        assert (second.problem, list(second.erasures)) == (None, waiting)
        assert holding(data, SHORT, str(tmp_path)) == {}
        database.close()


async def test_what_is_on_its_way_out_is_not_held_by_right(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        gone = await library.ingest(write(tmp_path, "a.txt", SHORT), store="shop", reader=ANNA)
        alike = await library.ingest(write(tmp_path, "b.txt", f"{SHORT}Bring tea."), store="shop", reader=ANNA)
        database = Database(data / "store.db")
        await library.delete(gone.file_id, ANNA)

        def replaced_meanwhile() -> tuple[str, ...]:
            """Asked for when the files have been looked through."""
            if (data / "files" / alike.file_id).exists():
                removal(database, alike.file_id)
                (data / "files" / alike.file_id).unlink()
            return ()

        purge = await library.purge(replaced_meanwhile)

        assert purge.problem is None
        assert [erasure.file_id for erasure in purge.erasures] == [gone.file_id]
        assert left(database) == 0
        assert holding(data, SHORT, str(tmp_path)) == {}
        database.close()


async def test_a_lexical_index_that_is_made_anew_has_nothing_left_to_take_out(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        gone, _ = await ingest(library, tmp_path, 1, 5_000), await ingest(library, tmp_path, 2, 100)
        database = Database(tmp_path / "data" / "store.db")
        removal(database, gone)

        with database.write() as tx:
            erasures.respell(tx, wholly=True)
        leaving.take_out(database)

        with database.write() as tx:
            tx.run("INSERT INTO chunk_words (chunk_words, rank) VALUES ('integrity-check', 1)")
        database.close()
