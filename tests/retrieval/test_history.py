"""retrieval.store.history: changes are forgotten in time, and no index is wrong for it."""

import logging
from pathlib import Path

import anyio
import pytest

from retrieval.opening import open_library
from retrieval.store import history, leaving
from retrieval.store.database import Database
from tests.retrieval.desk import ANNA, WordsEmbedder, write
from tests.retrieval.test_mirror import Interrupted, Shop, found

pytestmark = pytest.mark.anyio


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def counted(database: Database) -> tuple[list[int], list[int]]:
    """The generations, and the chunks known to be removed."""
    with database.read() as tx:
        generations = tx.rows("SELECT generation FROM generations ORDER BY generation")
        removals = tx.rows("SELECT chunk_no FROM removals ORDER BY chunk_no")
    return [row[0] for row in generations], [row[0] for row in removals]


def test_the_newest_changes_are_kept_and_what_they_removed(shop: Shop) -> None:
    history.forget_oldest(shop.database, kept=1)
    apple, pear, _ = shop.add("apple", "pear", "plum")
    shop.remove(apple)
    shop.remove(pear)
    leaving.take_out(shop.database)
    generations, removals = counted(shop.database)

    history.forget_oldest(shop.database, kept=1)

    assert counted(shop.database) == (generations[-1:], removals[-1:])


def test_a_chunk_whose_words_are_still_there_is_still_known_to_be_removed(shop: Shop) -> None:
    apple, pear = shop.add("apple", "pear")
    shop.remove(apple)
    shop.remove(pear)
    _, removals = counted(shop.database)

    history.forget_oldest(shop.database, kept=1)
    assert counted(shop.database)[1] == removals

    leaving.take_out(shop.database)
    shop.add("plum")
    history.forget_oldest(shop.database, kept=1)
    assert counted(shop.database)[1] == []


def test_an_index_that_is_further_behind_is_made_anew(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    apple, pear = shop.add("apple", "pear")
    behind, ahead = shop.mirror(), shop.mirror()
    behind.save()
    shop.remove(apple)
    assert found(ahead, "apple") == [pear]
    history.forget_oldest(shop.database, kept=1)

    assert found(ahead, "apple") == [pear]
    assert caplog.records == []
    assert found(behind, "apple") == [pear]
    assert found(shop.mirror(), "apple") == [pear]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING]


def test_a_snapshot_of_which_nobody_knows_what_was_removed_since_is_not_published(shop: Shop) -> None:
    apple, _ = shop.add("apple", "pear")
    index = shop.folder / "index"

    def fall_behind() -> None:
        shop.remove(apple)
        leaving.take_out(shop.database)
        shop.add("plum", "cherry")
        history.forget_oldest(shop.database, kept=1)

    mirror = shop.mirror(Interrupted(index, fall_behind))

    mirror.save()
    assert list(index.glob("*.json")) == []

    mirror.save()
    assert len(list(index.iterdir())) == 2


async def test_a_server_forgets_a_part_at_a_time(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        with Database(tmp_path / "data" / "store.db").write() as tx:
            tx.run(
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
                " INSERT INTO generations (stamp) SELECT n FROM numbers",
                history.KEPT + 6_000,
            )
        lengths = []

        for _ in range(3):
            await anyio.to_thread.run_sync(library.archive.tend)
            lengths.append(len(counted(Database(tmp_path / "data" / "store.db"))[0]))

        assert lengths == [history.KEPT + 1_000, history.KEPT, history.KEPT]
        kept = await library.ingest(write(tmp_path, "a.txt", "apple"), store="shop", reader=ANNA)
        passages = (await library.search("apple", stores=["shop"], k=1, reader=ANNA)).passages
        assert [passage.file_id for passage in passages] == [kept.file_id]
