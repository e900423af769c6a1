"""retrieval.ingest with several owners: nobody's files hold up another's."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from retrieval.batching import ASIDE_EACH, BATCH, LARGE_AT_ONCE, LARGE_SHARE, WINDOW, Pool, Reading
from retrieval.chunking import Chunk
from retrieval.embedder import WINDOW_TOKENS, Vectors
from retrieval.errors import DocumentRefused
from retrieval.holding import Holding, LeaseLost
from retrieval.ingest import FILL_S
from retrieval.parsed import Parsed
from retrieval.store import jobs
from retrieval.store.jobs import RUN_DEADLINE_S, Job
from retrieval.types import Progress, Reader
from tests.retrieval.desk import WordsEmbedder
from tests.retrieval.shop import Meddler, Shop

LARGE = WINDOW + 100


def hand_in(shop: Shop, name: str, chunks: int = 1) -> None:
    """A file of the person whose name is the first part of its name, into a store of theirs."""
    owner, _ = name.split("-")
    text = "\n\n".join(f"Paragraph {number} of {name}: " + "word " * 100 for number in range(chunks))
    shop.enqueue(shop.write(name, text), store=f"of-{owner}", reader=Reader(frozenset({f"user:{owner}"})))


class Ends:
    """The names of files in the order in which they were completed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, progress: Progress) -> None:
        if progress.status == "completed":
            self.names.append(progress.filename)


class Slow(WordsEmbedder):
    """Takes time for each measuring and each batch."""

    def __init__(self, shop: Shop, *, count_s: float = 0.0, embed_s: float = 0.0, told: Callable[[], None]) -> None:
        super().__init__()
        self._clock, self._count_s, self._embed_s, self._told = shop.clock, count_s, embed_s, told

    def count(self, texts: Sequence[str]) -> list[int]:
        self._clock.now += self._count_s
        return super().count(texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        self._clock.now += self._embed_s
        self._told()
        return super().embed(texts)


def claimed(shop: Shop) -> str:
    with shop.database.write() as tx:
        job = jobs.claim(tx, shop.clock())
        assert job is not None, "there are jobs left"
        jobs.complete(tx, job.job_no, shop.clock())
    return job.filename


def test_owners_take_turns_and_each_ones_oldest_file_comes_first(shop: Shop) -> None:
    for name in ("anna-1", "anna-2", "anna-3", "ben-1", "carl-1", "carl-2"):
        hand_in(shop, f"{name}.txt")

    found = [claimed(shop) for _ in range(6)]

    assert [name.removesuffix(".txt") for name in found] == ["anna-1", "ben-1", "carl-1", "anna-2", "carl-2", "anna-3"]


def test_whoever_comes_later_waits_for_one_file_of_each(shop: Shop) -> None:
    for number in range(5):
        hand_in(shop, f"anna-{number}.txt")
    claimed(shop)
    claimed(shop)
    hand_in(shop, "ben-1.txt")

    assert claimed(shop) == "ben-1.txt"
    assert claimed(shop) == "anna-2.txt"


def test_who_puts_a_job_back_has_lost_no_turn(shop: Shop) -> None:
    for name in ("anna-1", "ben-1", "carl-1", "anna-2"):
        hand_in(shop, f"{name}.txt")
    holding = Holding(shop.database, "words@1", 10, shop.clock)
    first = holding.claim()
    assert first is not None

    holding.put_back(first)
    names = [job.filename for _ in range(4) if (job := holding.claim()) is not None]

    assert names == ["anna-1.txt", "ben-1.txt", "carl-1.txt", "anna-2.txt"]


def test_who_has_lost_the_lease_writes_nothing_more_of_a_file(shop: Shop) -> None:
    hand_in(shop, "anna-1.txt")
    late = shop.ingester()
    job = late._holding.claim()
    assert job is not None
    shop.clock.now += 60
    another = Holding(shop.database, "words@1", 10, shop.clock).claim()
    assert another is not None

    with pytest.raises(LeaseLost):
        late._end(job, lambda _: None, refused=DocumentRefused(Path("anna-1.txt"), "late"))

    with shop.database.read() as tx:
        assert jobs.is_open(tx, another.job_no)


def test_turns_are_kept_for_those_alone_who_have_open_jobs(shop: Shop) -> None:
    for number in range(20):
        hand_in(shop, f"owner{number}-1.txt")
    shop.ingester().run_pending()
    hand_in(shop, "anna-1.txt")
    claimed(shop)

    with shop.database.read() as tx:
        assert tx.rows("SELECT owner FROM turns") == [("user:anna",)]


def test_one_file_is_read_in_the_midst_of_anothers_hundreds(shop: Shop) -> None:
    for number in range(30):
        hand_in(shop, f"anna-{number}.txt", chunks=100)
    hand_in(shop, "ben-1.txt")
    ends = Ends()

    shop.ingester().run_pending(ends)

    assert ends.names.index("ben-1.txt") <= WINDOW // 100
    assert len(ends.names) == 31


def test_a_file_that_comes_while_a_huge_one_is_embedded_is_done_before_it(shop: Shop) -> None:
    hand_in(shop, "anna-1.txt", chunks=4 * WINDOW)
    ends = Ends()
    batches: list[int] = []

    class Counting(Meddler):
        def embed(self, texts: Sequence[str]) -> Vectors:
            batches.append(len(ends.names))
            return super().embed(texts)

    shop.ingester(Counting(lambda: hand_in(shop, "ben-1.txt"))).run_pending(ends)

    assert ends.names == ["ben-1.txt", "anna-1.txt"]
    assert batches.count(0) <= 2 * LARGE_SHARE // BATCH


def test_chunks_of_many_tokens_count_for_as_much_as_they_take(shop: Shop) -> None:
    hand_in(shop, "anna-1.txt", chunks=8000)
    with shop.database.write() as tx:
        tx.run("UPDATE documents SET chunk_tokens = 4000, overlap_tokens = 0")
    ends, sizes = Ends(), list[int]()

    class Measuring(Meddler):
        def embed(self, texts: Sequence[str]) -> Vectors:
            sizes.append(sum(-(-count // WINDOW_TOKENS) for count in self.count(texts)))
            return super().embed(texts)

    shop.ingester(Measuring(lambda: hand_in(shop, "ben-1.txt"))).run_pending(ends)

    assert max(sizes) < BATCH + 4000 / WINDOW_TOKENS + 1
    assert ends.names == ["ben-1.txt", "anna-1.txt"]
    with shop.database.read() as tx:
        assert tx.rows("SELECT count(*) FROM chunks WHERE document_no = 1")[0][0] < WINDOW, "few, and yet large"


@pytest.mark.parametrize("owner", ["anna", "ben"])
def test_small_files_pass_a_large_one_many_at_a_time_whoever_owns_it(shop: Shop, owner: str) -> None:
    hand_in(shop, "anna-large.txt", chunks=6 * WINDOW)
    for number in range(2 * BATCH):
        hand_in(shop, f"{owner}-{number}.txt")
    ends, batches = Ends(), list[int]()

    class Counting(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            batches.append(len(ends.names))
            time.sleep(0.1)  # as long as reading a few dozen of these files takes
            return super().embed(texts)

    shop.ingester(Counting()).run_pending(ends)

    assert ends.names[-1] == "anna-large.txt"
    assert len(ends.names) == 2 * BATCH + 1
    # Of each window of 128, half; a turn for each file would be as many windows as there are files.
    assert sum(done < 2 * BATCH for done in batches) <= 4 * 2 * LARGE_SHARE // BATCH


def test_two_large_files_are_embedded_side_by_side(shop: Shop) -> None:
    hand_in(shop, "anna-1.txt", chunks=3 * WINDOW)
    hand_in(shop, "ben-1.txt", chunks=2 * WINDOW)
    ends = Ends()

    shop.ingester().run_pending(ends)

    assert ends.names == ["ben-1.txt", "anna-1.txt"]


def test_small_files_pass_the_large_ones_that_wait_for_another_of_their_owner(shop: Shop) -> None:
    for number in range(ASIDE_EACH):
        hand_in(shop, f"anna-large{number}.txt", chunks=3 * WINDOW)
    for number in range(20):
        hand_in(shop, f"anna-{number}.txt")
    ends = Ends()

    class Timely(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            if len(ends.names) < 20:
                time.sleep(0.1)  # as long as reading some of these files takes
            return super().embed(texts)

    shop.ingester(Timely()).run_pending(ends)

    assert ends.names[:20] == [f"anna-{number}.txt" for number in range(20)]
    assert ends.names[20:] == [f"anna-large{number}.txt" for number in range(ASIDE_EACH)]
    with shop.database.read() as tx:
        assert set(tx.rows("SELECT attempts FROM jobs")) == {(1,)}


def test_large_files_that_wait_are_read_though_the_one_whose_turn_it_is_is_gone(shop: Shop) -> None:
    for number in range(3):
        hand_in(shop, f"anna-large{number}.txt", chunks=LARGE)
    ends = Ends()

    def note(progress: Progress) -> None:
        ends(progress)
        if ends.names == ["anna-large0.txt"]:
            with shop.database.write() as tx:
                jobs.cancel(tx, 2)

    shop.ingester().run_pending(note)

    assert ends.names == ["anna-large0.txt", "anna-large2.txt"]


def test_nor_does_it_wait_for_an_end_of_what_others_hand_in(shop: Shop) -> None:
    for number in range(3):
        hand_in(shop, f"anna-large{number}.txt", chunks=LARGE)
    ends, handed_in = Ends(), list[int]()

    class Busy(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            if "anna-large2.txt" not in ends.names and len(handed_in) < 200:
                handed_in.append(len(handed_in))
                hand_in(shop, f"ben-{len(handed_in)}.txt")
            return super().embed(texts)

    def note(progress: Progress) -> None:
        ends(progress)
        if ends.names[-1:] == ["anna-large0.txt"]:
            with shop.database.write() as tx:
                jobs.cancel(tx, 2)

    shop.ingester(Busy()).run_pending(note)

    assert "anna-large2.txt" in ends.names
    assert len(handed_in) < 200


def test_a_small_file_that_is_tried_again_is_read_alone(shop: Shop) -> None:
    class Killed(BaseException):
        pass

    class Kills(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            raise Killed

    hand_in(shop, "anna-1.txt")
    with shop.database.write() as tx:
        tx.run("UPDATE jobs SET attempts = 1, status = 'running'")
    hand_in(shop, "ben-1.txt")

    with pytest.raises(Killed):
        shop.ingester(Kills()).run_pending()

    with shop.database.read() as tx:
        assert tx.rows("SELECT status, attempts FROM jobs ORDER BY job_no") == [("running", 2), ("queued", 0)]


def test_beside_a_large_file_that_is_tried_again_others_are_read_and_not_blamed(shop: Shop) -> None:
    class Killed(BaseException):
        pass

    class Kills(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            if begun == {"anna-large.txt", "ben-1.txt"}:
                raise Killed
            return super().embed(texts)

    begun, ends = set[str](), Ends()
    hand_in(shop, "anna-large.txt", chunks=6 * WINDOW)
    with shop.database.write() as tx:
        tx.run("UPDATE jobs SET attempts = 1, status = 'running'")
    hand_in(shop, "ben-1.txt")

    with pytest.raises(Killed):
        shop.ingester(Kills()).run_pending(lambda progress: begun.add(progress.filename))
    with shop.database.read() as tx:
        assert tx.rows("SELECT status, attempts FROM jobs ORDER BY job_no") == [("running", 2), ("running", 0)]
    shop.ingester().run_pending(ends)

    assert ends.names == ["ben-1.txt", "anna-large.txt"]


def test_large_files_that_were_given_up_keep_nobodys_small_ones_waiting(shop: Shop) -> None:
    for number in range(1 + ASIDE_EACH):
        hand_in(shop, f"anna-large{number}.txt", chunks=6 * WINDOW)
    ends, batches = Ends(), list[int]()

    class GivingUp(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            batches.append(len(ends.names))
            if len(batches) == 4 * LARGE_SHARE // BATCH:
                with shop.database.write() as tx:
                    for document_no in range(2, 2 + ASIDE_EACH):
                        jobs.cancel(tx, document_no)
                hand_in(shop, "anna-1.txt")
            return super().embed(texts)

    shop.ingester(GivingUp()).run_pending(ends)

    assert ends.names == ["anna-1.txt", "anna-large0.txt"]


def test_of_one_owners_large_files_one_is_in_hand_at_a_time(shop: Shop) -> None:
    for number in range(3):
        hand_in(shop, f"anna-large{number}.txt", chunks=LARGE)
    seen: list[tuple[str, str]] = []

    shop.ingester().run_pending(lambda progress: seen.append((progress.filename, progress.status)))

    for number in range(2):
        ended = seen.index((f"anna-large{number}.txt", "completed"))
        assert all(name != f"anna-large{number + 1}.txt" for name, _ in seen[:ended])


def test_few_large_files_are_read_before_their_time(shop: Shop) -> None:
    for number in range(ASIDE_EACH + 3):
        hand_in(shop, f"anna-large{number}.txt", chunks=LARGE)
    counted = Counter[str]()

    class Counting(WordsEmbedder):
        def count(self, texts: Sequence[str]) -> list[int]:
            counted.update(text.split(" of ")[1].split(":")[0] for text in texts if "Paragraph 0 of" in text)
            return super().count(texts)

    shop.ingester(Counting()).run_pending(ends := Ends())

    assert ends.names == [f"anna-large{number}.txt" for number in range(ASIDE_EACH + 3)]
    assert max(counted.values()) <= 2 * min(counted.values()), "once aside, and once in its turn"


def test_of_large_files_only_some_are_in_hand_and_small_ones_pass_them(shop: Shop) -> None:
    owners = [f"owner{number}" for number in range(LARGE_AT_ONCE + 3)]
    for owner in owners:
        hand_in(shop, f"{owner}-1.txt", chunks=LARGE)
    hand_in(shop, "ben-1.txt")
    ends = Ends()
    begun: list[tuple[str, int]] = []

    def note(progress: Progress) -> None:
        ends(progress)
        if progress.status == "in_progress" and not progress.chunks:
            begun.append((progress.filename, len(ends.names)))

    shop.ingester().run_pending(note)

    assert ends.names[0] == "ben-1.txt"
    assert sorted(ends.names[1:]) == sorted(f"{owner}-1.txt" for owner in owners)
    in_hand = [at + 1 - ended for at, (_, ended) in enumerate(begun)]
    assert max(in_hand) <= LARGE_AT_ONCE + 1  # and ben's
    with shop.database.read() as tx:
        assert set(tx.rows("SELECT attempts FROM jobs")) == {(1,)}


def test_what_others_take_of_the_time_counts_for_no_files_deadline(shop: Shop) -> None:
    hand_in(shop, "anna-1.txt", chunks=600)
    hand_in(shop, "ben-1.txt", chunks=600)
    began = shop.clock.now
    ends = Ends()

    shop.ingester(Slow(shop, embed_s=40, told=lambda: None)).run_pending(ends)

    assert sorted(ends.names) == ["anna-1.txt", "ben-1.txt"]
    assert shop.clock.now - began > RUN_DEADLINE_S


def test_nor_does_the_time_that_reading_another_took(shop: Shop) -> None:
    hand_in(shop, "anna-1.txt")
    hand_in(shop, "ben-1.txt")

    class Stuck(WordsEmbedder):
        def count(self, texts: Sequence[str]) -> list[int]:
            if any("ben-1.txt" in text for text in texts):
                shop.clock.now += RUN_DEADLINE_S + 1
            return super().count(texts)

    shop.ingester(Stuck()).run_pending(ends := Ends())

    assert ends.names == ["anna-1.txt"]


def test_an_owner_of_large_and_small_files_has_no_more_of_a_window_than_others() -> None:
    owners = Counter[str]()

    class Counting(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            owners.update(text.split("\n")[0] for text in texts)
            return super().embed(texts)

    pool = Pool(Counting(), lambda _: None, time.time)
    for number, (owner, chunks) in enumerate((("anna", WINDOW), ("ben", WINDOW), ("ben", LARGE))):
        job = Job(number, number, "file-1", f"{owner}.txt", "", 0.0, 1, owner, None)
        assert pool.admit(Reading(job, Parsed(owner, "word " * chunks), [Chunk(0, 4, owner)] * chunks, [1] * chunks))
    ended = list(pool.embed(lambda _: None, lambda: False))

    assert not ended
    assert owners == {"anna": WINDOW // 2, "ben": WINDOW // 2}


def test_no_more_is_read_ahead_than_a_window_has_room_for(shop: Shop) -> None:
    files = 8 * WINDOW // BATCH
    for number in range(files):
        hand_in(shop, f"owner{number}-1.txt", chunks=BATCH)
    in_hand: list[int] = []

    class Counting(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            time.sleep(0.1)  # as long as reading some of these files takes, and all of them in a window's batches
            with shop.database.read() as tx:
                in_hand.extend(tx.rows("SELECT count(*) FROM jobs WHERE status = 'running'")[0])
            return super().embed(texts)

    shop.ingester(Counting()).run_pending(ends := Ends())

    assert len(ends.names) == files
    assert WINDOW // BATCH < max(in_hand) <= files // 2


def test_what_has_been_read_does_not_wait_until_slow_files_fill_a_window(shop: Shop) -> None:
    for number in range(20):
        hand_in(shop, f"anna-{number}.txt")
    hand_in(shop, "ben-1.txt")
    ends = Ends()

    shop.ingester(Slow(shop, count_s=FILL_S / 2, told=lambda: None)).run_pending(ends)

    assert ends.names.index("ben-1.txt") <= 2
    assert len(ends.names) == 21
