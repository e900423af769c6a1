"""retrieval.ingest: an attempt that ended through no fault of the file is as if it had not been."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from retrieval.embedder import AT_ONCE
from retrieval.errors import StoreFailed
from retrieval.ingest import Ingester
from retrieval.store.jobs import MAX_ATTEMPTS, RUN_DEADLINE_S
from tests.retrieval.desk import WordsEmbedder
from tests.retrieval.shop import PARAGRAPHS, Meddler, Shop

COMMITS = "BEFORE INSERT ON chunks"
ALSO_GIVING_BACK = "BEFORE UPDATE OF status ON jobs WHEN new.status = 'queued'"


@contextmanager
def full(shop: Shop, *moments: str) -> Iterator[None]:
    """Have SQLite fail at some writes, as it does where the disk is full."""
    with shop.database.write() as tx:
        for number, moment in enumerate(moments):
            tx.run(f"CREATE TRIGGER full_{number} {moment} BEGIN SELECT raise(ABORT, 'database or disk is full'); END")
    yield
    with shop.database.write() as tx:
        for number in range(len(moments)):
            tx.run(f"DROP TRIGGER full_{number}")


def fails(ingester: Ingester) -> None:
    with pytest.raises(StoreFailed, match="disk is full"):
        ingester.run_pending()


def test_a_stopped_job_has_all_its_time_again_when_it_is_taken_up(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", PARAGRAPHS))
    stopped = shop.ingester()
    stopped._embedder = Meddler(stopped._stopping.set)
    stopped.run_pending()
    shop.clock.now += RUN_DEADLINE_S + 1

    shop.ingester().run_pending()

    assert shop.states() == [("a.txt", "completed")]


class Cutter(WordsEmbedder):
    """Has the ingestion stopped while a file is cut, and notes how much it counts at once."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: Callable[[], None] = lambda: None
        self.counted: list[int] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        self.counted.append(sum(map(len, texts)))
        self.stop()
        return super().count(texts)


@pytest.mark.parametrize("between", [" ", "\n\n"])
def test_a_stop_does_not_wait_until_a_large_file_is_cut(shop: Shop, between: str) -> None:
    shop.enqueue(shop.write("a.txt", between.join(["A line of the log."] * (20 * AT_ONCE // 19))))
    cutter = Cutter()
    stopped = shop.ingester(cutter)
    cutter.stop = stopped._stopping.set
    stopped.run_pending()
    shop.clock.now += RUN_DEADLINE_S + 1
    assert len(cutter.counted) == 1
    assert cutter.counted[0] < 2 * AT_ONCE

    shop.ingester().run_pending()

    assert shop.states() == [("a.txt", "completed")]


def test_while_the_store_cannot_be_written_no_attempts_are_counted(shop: Shop) -> None:
    for name in ("a.txt", "b.txt"):
        shop.enqueue(shop.write(name, name))
    with full(shop, COMMITS):
        for _ in range(2 * MAX_ATTEMPTS):
            fails(shop.ingester())

    shop.ingester().run_pending()

    assert shop.states() == [("a.txt", "completed"), ("b.txt", "completed")]


def test_what_cannot_be_given_back_at_once_is_given_back_later(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    ingester = shop.ingester()
    with full(shop, COMMITS, ALSO_GIVING_BACK):
        for _ in range(2 * MAX_ATTEMPTS):
            fails(ingester)
    shop.clock.now += RUN_DEADLINE_S + 1

    ingester.run_pending()

    assert shop.states() == [("a.txt", "completed")]
