"""retrieval.reception and retrieval.ingest: jobs that are true about what became of a file, whoever runs them."""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from retrieval.batching import BATCH, WINDOW
from retrieval.embedder import Vectors
from retrieval.errors import DocumentRefused, ReaderUnavailable, StoreFailed
from retrieval.facts import Ended, Worked
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.store import documents, jobs, passages
from retrieval.store import files as stored_files
from retrieval.store.erasures import REPLACED
from retrieval.store.jobs import MAX_ATTEMPTS, RUN_DEADLINE_S
from retrieval.types import Progress
from tests.retrieval.desk import ANNA, WordsEmbedder, files, write
from tests.retrieval.shop import PARAGRAPHS, Meddler, Shop


def test_a_file_is_in_progress_until_its_job_has_run(shop: Shop) -> None:
    document = shop.enqueue(shop.write("a.txt", "apple"))
    assert (document.status, document.chunks) == ("in_progress", 0)
    assert shop.texts() == []

    shop.ingester().run_pending()

    (done,) = shop.documents()
    assert (done.file_id, done.status, done.chunks, done.bytes) == (document.file_id, "completed", 1, 5)
    assert shop.texts() == ["apple"]


def test_progress_is_told_for_each_batch_and_at_the_end(shop: Shop) -> None:
    told: list[Progress] = []
    shop.enqueue(shop.write("a.txt", PARAGRAPHS))

    shop.ingester().run_pending(told.append)

    assert [(progress.chunks, progress.chunks_total, progress.status) for progress in told] == [
        (0, BATCH + 8, "in_progress"),
        (BATCH, BATCH + 8, "in_progress"),
        (BATCH + 8, BATCH + 8, "completed"),
    ]


def test_a_file_that_cannot_be_read_fails_with_its_reason_and_the_others_go_on(shop: Shop) -> None:
    bad = shop.folder / "in" / "bad.txt"
    good = shop.write("good.txt", "apple")
    bad.write_bytes(b"Gr\xfc\xdfe")
    shop.enqueue(bad)
    shop.enqueue(good)

    shop.ingester().run_pending()

    failed, completed = shop.documents()
    assert (failed.status, completed.status) == ("failed", "completed")
    assert failed.error is not None
    assert "not UTF-8" in failed.error


def test_a_name_that_is_not_utf8_is_refused_and_spelled_out(shop: Shop) -> None:
    path = shop.write("a.txt", "apple").rename(shop.folder / "bad\udcffname.txt")

    with pytest.raises(DocumentRefused, match=r"bad\\udcffname\.txt': its name is not UTF-8"):
        shop.enqueue(path)


def test_a_pipe_is_refused_without_waiting_for_it(shop: Shop) -> None:
    os.mkfifo(shop.folder / "pipe.txt")

    with pytest.raises(DocumentRefused, match=r"pipe\.txt: it is not a regular file"):
        shop.enqueue(shop.folder / "pipe.txt")


def test_a_huge_file_is_refused_before_it_is_read(shop: Shop) -> None:
    path = shop.write("huge.txt", "")
    os.truncate(path, 1 << 43)  # as a hole: it takes no disk, but could never be held in memory

    with pytest.raises(DocumentRefused, match=r"huge\.txt: it has 8,796,093,022,208 bytes; at most"):
        shop.enqueue(path)


def test_what_can_be_refused_at_once_makes_no_store_and_no_job(shop: Shop) -> None:
    with pytest.raises(DocumentRefused, match="Word of before 2007; save it as docx"):
        shop.enqueue(shop.write("a.doc", "x"))

    assert shop.documents() == []
    with shop.database.read() as tx:
        assert tx.rows("SELECT * FROM stores") == []
    assert list((shop.folder / "originals").iterdir()) == []


def test_a_failed_file_that_comes_again_is_tried_again(shop: Shop) -> None:
    document = shop.enqueue(shop.write("a.txt", "apple"))
    shop.originals.remove(document.file_id)
    shop.ingester().run_pending()
    assert shop.states() == [("a.txt", "failed")]

    again = shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()

    assert again.file_id == document.file_id
    assert shop.states() == [("a.txt", "completed")]


def test_a_changed_file_replaces_the_old_one_only_when_it_has_been_read(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()

    shop.enqueue(shop.write("a.txt", "pear"))
    assert shop.texts() == ["apple"]
    shop.ingester().run_pending()

    assert shop.texts() == ["pear"]
    assert [path.name for path in (shop.folder / "originals").iterdir()] == [shop.documents()[0].file_id]


def test_a_changed_file_that_cannot_be_read_leaves_the_old_one(shop: Shop) -> None:
    path = shop.write("a.txt", "apple")
    shop.enqueue(path)
    shop.ingester().run_pending()
    path.write_bytes(b"Gr\xfc\xdfe")

    shop.enqueue(path)
    shop.ingester().run_pending()

    assert shop.texts() == ["apple"]
    assert [status for _, status in shop.states()] == ["completed", "failed"]

    shop.enqueue(shop.write("a.txt", "pear"))
    shop.ingester().run_pending()
    assert shop.states() == [("a.txt", "completed")]


def test_an_unchanged_file_is_told_without_writing_anything(shop: Shop) -> None:
    path = shop.write("a.txt", "apple")
    document = shop.enqueue(path)
    shop.ingester().run_pending()
    with shop.database.write() as tx:  # nobody else may write meanwhile
        assert tx.rows("SELECT 1") == [(1,)]
        again, is_new = shop.reception().hand_in(path, store="shop", reader=ANNA)

    assert (again.file_id, again.status, is_new) == (document.file_id, "completed", False)


def test_files_of_one_name_in_two_folders_are_two_documents(shop: Shop) -> None:
    shop.enqueue(write(shop.folder / "x", "readme.txt", "apple"))
    shop.enqueue(write(shop.folder / "y", "readme.txt", "pear"))
    shop.ingester().run_pending()

    assert shop.texts() == ["apple", "pear"]


def test_content_found_at_two_places_goes_when_it_is_at_neither(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.enqueue(shop.write("b.txt", "apple"))
    shop.ingester().run_pending()
    assert shop.states() == [("a.txt", "completed")]

    shop.enqueue(shop.write("a.txt", "pear"))
    shop.ingester().run_pending()
    assert sorted(shop.texts()) == ["apple", "pear"]

    shop.enqueue(shop.write("b.txt", "pear"))
    shop.ingester().run_pending()
    assert shop.texts() == ["pear"]


def titles(shop: Shop) -> list[tuple[str, str, str]]:
    with shop.database.read() as tx:
        return tx.rows(
            "SELECT filename, chunks.title, chunks.text FROM chunks JOIN documents USING (document_no)"
            " JOIN files USING (file_no) ORDER BY filename"
        )


def test_content_at_two_places_is_called_by_one_where_it_still_is(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.enqueue(shop.write("a_copy.txt", "apple"))
    shop.ingester().run_pending()
    assert titles(shop) == [("a.txt", "a", "apple")]
    (before,) = shop.documents()

    shop.enqueue(shop.write("a.txt", "pear"))
    assert titles(shop) == [("a.txt", "a", "apple")]
    shop.ingester().run_pending()

    assert titles(shop) == [("a.txt", "a", "pear"), ("a_copy.txt", "a copy", "apple")]
    assert before.file_id in {document.file_id for document in shop.documents() if document.title == "a copy"}


def test_content_that_is_not_read_yet_loses_the_name_of_a_file_that_changes(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.enqueue(shop.write("copy.txt", "apple"))
    shop.enqueue(shop.write("a.txt", "pear"))
    shop.ingester().run_pending()

    assert titles(shop) == [("a.txt", "a", "pear"), ("copy.txt", "copy", "apple")]


def test_a_renamed_file_is_the_same_document_under_its_new_name(shop: Shop) -> None:
    path = shop.write("a.txt", "apple")
    first = shop.enqueue(path)
    shop.ingester().run_pending()

    again = shop.enqueue(path.rename(path.with_name("b.txt")))
    shop.ingester().run_pending()

    assert (again.file_id, again.filename, again.title) == (first.file_id, "b.txt", "b")
    assert titles(shop) == [("b.txt", "b", "apple")]


def test_a_copy_leaves_the_name_and_a_title_that_the_text_gives_stays(shop: Shop) -> None:
    path = shop.write("fruit.md", "# fruit\n\napple")
    shop.enqueue(path)
    shop.enqueue(shop.write("copy.md", "# fruit\n\napple"))
    shop.ingester().run_pending()
    assert titles(shop) == [("fruit.md", "fruit", "apple")]

    shop.enqueue(shop.write("fruit.md", "# pear"))
    shop.ingester().run_pending()

    assert ("copy.md", "fruit", "apple") in titles(shop)


def test_what_got_another_name_is_found_by_its_new_words_and_not_by_the_old(shop: Shop) -> None:
    shop.enqueue(shop.write("quince.txt", "apple"))
    shop.enqueue(shop.write("medlar.txt", "apple"))
    shop.ingester().run_pending()
    shop.mirror.open()
    shop.enqueue(shop.write("quince.txt", "pear"))
    shop.ingester().run_pending()

    with shop.mirror.view() as tx:
        ((apple,),) = tx.rows("SELECT chunk_no FROM chunks WHERE text = 'apple'")
        assert passages.containing(tx, "medlar", 0).tolist() == [apple]
        assert apple not in passages.containing(tx, "quince", 0).tolist()
        assert shop.mirror.held[0] == 2


def test_a_file_that_changes_twice_before_it_is_read_is_read_once(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.enqueue(shop.write("a.txt", "pear"))
    shop.ingester().run_pending()

    assert shop.texts() == ["pear"]
    assert len(list((shop.folder / "originals").iterdir())) == 1


def test_a_file_that_changes_back_before_it_is_read_stays_what_it_was(shop: Shop) -> None:
    first = shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()
    shop.enqueue(shop.write("a.txt", "pear"))
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()

    assert [document.file_id for document in shop.documents()] == [first.file_id]
    assert shop.texts() == ["apple"]


def test_a_document_deleted_while_it_is_read_stays_deleted(shop: Shop) -> None:
    document = shop.enqueue(shop.write("a.txt", "apple"))

    def delete() -> None:
        with shop.database.write() as tx:
            documents.remove_file(tx, stored_files.number(tx, document.file_id, ANNA, "write"), REPLACED)

    shop.ingester(Meddler(delete)).run_pending()

    assert shop.documents() == []
    assert shop.texts() == []


def test_a_document_deleted_before_its_job_runs_takes_the_job_along(shop: Shop) -> None:
    document = shop.enqueue(shop.write("a.txt", "apple"))
    with shop.database.write() as tx:
        documents.remove_file(tx, stored_files.number(tx, document.file_id, ANNA, "write"), REPLACED)

    with shop.database.read() as tx:
        assert jobs.pending(tx) == 0


def test_while_one_holds_the_lease_another_runs_nothing(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    with shop.database.write() as tx:
        assert jobs.acquire(tx, "other", shop.clock(), 10)

    shop.ingester().run_pending()
    assert shop.states() == [("a.txt", "in_progress")]

    shop.clock.now += 11
    shop.ingester().run_pending()
    assert shop.states() == [("a.txt", "completed")]


def test_a_wait_for_the_lease_is_said_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    with shop.database.write() as tx:
        assert jobs.acquire(tx, "other", shop.clock(), 10)
    caplog.set_level("INFO", "retrieval.ingest")
    ingester = shop.ingester()

    for _ in range(3):
        ingester.run_pending()

    assert len([record for record in caplog.records if "paused" in record.message]) == 1


def test_who_has_lost_the_lease_commits_nothing(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))

    def take_over() -> None:
        with shop.database.write() as tx:  # so that the holder, which is alive, cannot renew it in between
            shop.clock.now += 11
            assert jobs.acquire(tx, "other", shop.clock(), 10)

    shop.ingester(Meddler(take_over)).run_pending()

    assert shop.states() == [("a.txt", "in_progress")]
    with shop.database.read() as tx:
        assert tx.rows("SELECT holder FROM lease") == [("other",)]


def test_a_long_file_renews_the_lease_between_batches(shop: Shop) -> None:
    def pass_time() -> None:
        shop.clock.now += 4

    shop.enqueue(shop.write("a.txt", PARAGRAPHS))
    expiries: list[float] = []

    def look(_: Progress) -> None:
        with shop.database.read() as tx:
            expiries.append(tx.rows("SELECT expires_at FROM lease")[0][0])

    shop.ingester(Meddler(pass_time)).run_pending(look)

    assert expiries == sorted(expiries)
    assert expiries[2] == expiries[0] + 4


def test_the_lease_is_kept_while_a_batch_takes_longer_than_it_lasts(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.batching.IDLE_S", 0.01)

    def dawdle() -> None:
        for _ in range(6):
            shop.clock.now += 4  # of the 10 seconds that it is held for
            renewed_by = time.monotonic() + 10
            while expiry() < shop.clock.now + 6:
                assert time.monotonic() < renewed_by, "the lease was not renewed"
                time.sleep(0.01)

    def expiry() -> float:
        with shop.database.read() as tx:
            return float(tx.rows("SELECT expires_at FROM lease")[0][0])

    shop.enqueue(shop.write("a.txt", "apple"))
    with shop.database.write() as tx:
        tx.run("UPDATE jobs SET attempts = 1")  # beside a file that is tried again nothing is read

    shop.ingester(Meddler(dawdle)).run_pending()

    assert shop.states() == [("a.txt", "completed")]


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_file_that_is_no_longer_wanted_is_embedded_no_further(shop: Shop, attempts: int) -> None:
    sizes: list[int] = []

    class Cancelled(Meddler):
        def embed(self, texts: Sequence[str]) -> Vectors:
            sizes.append(len(texts))
            return super().embed(texts)

    def cancel() -> None:
        with shop.database.write() as tx:
            jobs.cancel(tx, 1)

    shop.enqueue(shop.write("a.txt", "\n\n".join([PARAGRAPHS] * 5)))
    shop.enqueue(shop.write("b.txt", "apple"))
    with shop.database.write() as tx:
        tx.run("UPDATE jobs SET attempts = ? WHERE document_no = 1", attempts - 1)

    shop.ingester(Cancelled(cancel)).run_pending()

    assert shop.states() == [("a.txt", "cancelled"), ("b.txt", "completed")]
    assert len(sizes) == 2


def test_who_has_nothing_to_do_waits_for_no_writer(shop: Shop) -> None:
    ingester = shop.ingester()
    shop.enqueue(shop.write("a.txt", "One"))
    ingester.run_pending()

    with shop.database.write():
        began = time.monotonic()
        ingester.run_pending()

    assert time.monotonic() - began < 1


def test_a_lease_that_could_not_be_given_back_is_given_back_by_the_next_run(shop: Shop) -> None:
    ingester = shop.ingester()
    shop.enqueue(shop.write("a.txt", "One"))
    with shop.database.write() as tx:
        tx.run("CREATE TRIGGER full BEFORE DELETE ON lease BEGIN SELECT raise(ABORT, 'disk is full'); END")
    with pytest.raises(StoreFailed, match="disk is full"):
        ingester.run_pending()
    with shop.database.write() as tx:
        tx.run("DROP TRIGGER full")

    ingester.run_pending()

    with shop.database.read() as tx:
        assert tx.rows("SELECT * FROM lease") == []


def test_the_lease_is_given_back_when_nothing_is_left_to_do(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    shop.ingester().run_pending()

    with shop.database.read() as tx:
        assert tx.rows("SELECT * FROM lease") == []


def test_a_job_whose_process_died_starts_again(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    with shop.database.write() as tx:
        assert jobs.claim(tx, shop.clock()) is not None

    shop.ingester().run_pending()

    assert shop.states() == [("a.txt", "completed")]


def test_a_job_that_takes_its_process_with_it_is_given_up_after_some_attempts(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    for _ in range(MAX_ATTEMPTS):
        with shop.database.write() as tx:
            assert jobs.claim(tx, shop.clock()) is not None

    shop.ingester().run_pending()

    (failed,) = shop.documents()
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.startswith(f"the process ended {MAX_ATTEMPTS} times while it was read; attach it again")


def test_a_job_that_takes_too_long_fails_at_its_deadline(shop: Shop) -> None:
    def dawdle() -> None:
        shop.clock.now += RUN_DEADLINE_S + 1

    shop.enqueue(shop.write("a.txt", PARAGRAPHS))

    shop.ingester(Meddler(dawdle)).run_pending()

    (failed,) = shop.documents()
    assert (failed.status, failed.error) == ("failed", "reading it took longer than 600 seconds; split it")


def test_a_file_given_up_at_its_deadline_is_done_with_though_there_are_more_batches_of_it(shop: Shop) -> None:
    def dawdle() -> None:
        shop.clock.now += RUN_DEADLINE_S + 1

    shop.enqueue(shop.write("a.txt", f"{PARAGRAPHS}\n\n{PARAGRAPHS}\n\n{PARAGRAPHS}"))
    shop.enqueue(shop.write("b.txt", "apple"))

    shop.ingester(Meddler(dawdle)).run_pending()

    assert shop.states() == [("a.txt", "failed"), ("b.txt", "completed")]


def test_cutting_a_file_ends_at_its_deadline_too(shop: Shop) -> None:
    class Slow(WordsEmbedder):
        def count(self, texts: Sequence[str]) -> list[int]:
            shop.clock.now += RUN_DEADLINE_S / 10
            return super().count(texts)

    shop.enqueue(shop.write("a.txt", "word\n\n" * 20_000))

    shop.ingester(Slow()).run_pending()

    (failed,) = shop.documents()
    assert (failed.status, failed.error) == ("failed", "reading it took longer than 600 seconds; split it")


def test_a_file_of_too_many_passages_fails_and_the_next_one_is_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Limits(chunks=100))
    shop.enqueue(shop.write("a.md", "## a\n\nb\n\n" * 101))
    shop.enqueue(shop.write("b.txt", "pear"))

    shop.ingester().run_pending()
    shop.parser.close()

    failed, completed = shop.documents()
    assert (failed.status, completed.status) == ("failed", "completed")
    assert failed.error == "it falls into more than 100 passages; split it, or leave out headings"


@pytest.mark.parametrize("started", [True, False])
def test_what_was_handed_in_is_read_however_long_nobody_could(shop: Shop, started: bool) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    if started:
        with shop.database.write() as tx:
            jobs.claim(tx, shop.clock())
    shop.clock.now += 30 * 86_400

    shop.ingester().run_pending()

    assert shop.states() == [("a.txt", "completed")]


def test_a_job_whose_process_died_has_all_its_time_again(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", PARAGRAPHS))
    with shop.database.write() as tx:
        jobs.claim(tx, shop.clock())
    shop.clock.now += RUN_DEADLINE_S - 1

    def dawdle() -> None:
        shop.clock.now += RUN_DEADLINE_S - 1

    shop.ingester(Meddler(dawdle)).run_pending()

    assert shop.states() == [("a.txt", "completed")]


def test_a_file_that_ends_processes_takes_no_others_with_it(shop: Shop) -> None:
    for path in files(shop.folder / "in", 4):
        shop.enqueue(path)

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(Killed):
            shop.ingester(Meddler(die)).run_pending()
    shop.ingester().run_pending()

    assert [status for _, status in shop.states()] == ["failed", "completed", "completed", "completed"]


def test_a_stop_counts_as_no_attempt(shop: Shop) -> None:
    shop.enqueue(shop.write("a.txt", PARAGRAPHS))
    shop.enqueue(shop.write("b.txt", f"pear\n\n{PARAGRAPHS}"))
    for _ in range(2 * MAX_ATTEMPTS):
        ingester = shop.ingester()
        stopper = Meddler(ingester._stopping.set)
        ingester._embedder = stopper
        ingester.run_pending()
        assert [status for _, status in shop.states()] == ["in_progress", "in_progress"]

    shop.ingester().run_pending()

    assert [status for _, status in shop.states()] == ["completed", "completed"]


def test_while_nothing_can_be_read_the_jobs_stay_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.enqueue(shop.write("a.txt", "apple"))
    monkeypatch.setattr(sys, "executable", str(shop.folder / "missing"))
    for _ in range(2 * MAX_ATTEMPTS):
        with pytest.raises(ReaderUnavailable, match="cannot be started"):
            shop.ingester().run_pending()
    monkeypatch.undo()

    shop.ingester().run_pending()

    assert shop.states() == [("a.txt", "completed")]


def test_small_files_are_embedded_together_and_a_huge_one_keeps_no_other_waiting(shop: Shop) -> None:
    class Counting(WordsEmbedder):
        sizes: ClassVar[list[int]] = []

        def embed(self, texts: Sequence[str]) -> Vectors:
            self.sizes.append(len(texts))
            return super().embed(texts)

    small = [shop.write(f"{number:02}.txt", f"subject{number}") for number in range(20)]
    huge = "\n\n".join(f"Paragraph {number}: " + "word " * 100 for number in range(1200))
    for path in [*small, shop.write("huge.txt", huge)]:
        shop.enqueue(path)
    ended: list[tuple[str, int]] = []

    def note(progress: Progress) -> None:
        if progress.status == "completed":
            ended.append((progress.filename, len(Counting.sizes)))

    shop.ingester(Counting()).run_pending(note)

    assert [name for name, _ in ended] == [*(path.name for path in small), "huge.txt"]
    assert {batches for name, batches in ended if name != "huge.txt"} == {1}  # the shortest are embedded first
    assert Counting.sizes[:-1] == [BATCH] * (1220 // BATCH)


class Busy(WordsEmbedder):
    """Computes its first batch until it is told that there is no more to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self._is_first = threading.Event(), True

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self._is_first:
            assert self.go_on.wait(30), "nothing was read meanwhile"
            self._is_first = False
        return super().embed(texts)


def test_files_are_read_while_others_are_embedded_until_there_is_a_window_of_them(shop: Shop) -> None:
    embedder = Busy()
    shop.enqueue(shop.write("first.txt", PARAGRAPHS))
    for number in range(2 * WINDOW // BATCH):
        shop.enqueue(shop.write(f"{number:02}.txt", f"Number {number}\n\n{PARAGRAPHS}"))
    read: list[str] = []

    def note(progress: Progress) -> None:
        if progress.status == "in_progress" and not progress.chunks:
            read.append(progress.filename)
        if len(read) > WINDOW // BATCH:
            embedder.go_on.set()

    shop.ingester(embedder).run_pending(note)

    assert read[0] == "first.txt"
    assert len(read) == len(set(read)) == 1 + 2 * WINDOW // BATCH
    assert {status for _, status in shop.states()} == {"completed"}


def test_reading_others_meanwhile_counts_for_no_files_deadline(shop: Shop) -> None:
    begun, embedded = threading.Event(), threading.Event()

    class Quick(WordsEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            assert begun.wait(30), "nothing was read meanwhile"
            shop.clock.now += 2
            return super().embed(texts)

    def note(progress: Progress) -> None:
        if progress.filename == "second.txt" and progress.status == "in_progress" and not progress.chunks:
            begun.set()
            assert embedded.wait(30)
            shop.clock.now += RUN_DEADLINE_S - 1  # reading the second goes on after the batch of the first

    def observe(fact: Worked | Ended) -> None:
        if isinstance(fact, Worked) and fact.stage == "embed":
            embedded.set()

    shop.enqueue(shop.write("first.txt", PARAGRAPHS))
    shop.enqueue(shop.write("second.txt", f"Two\n\n{PARAGRAPHS}"))
    ingester = shop.ingester(Quick())
    ingester._observe = observe

    ingester.run_pending(note)

    assert shop.states()[0] == ("first.txt", "completed")


def test_what_stops_reading_meanwhile_stops_all_and_leaves_the_jobs_open(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, parse = Busy(), shop.parser.parse

    def refuse(path: Path, data: bytes, beat: Callable[[], None]) -> Parsed:
        if path.name == "second.txt":
            embedder.go_on.set()
            raise ReaderUnavailable("no more processes")
        return parse(path, data, beat)

    shop.enqueue(shop.write("first.txt", PARAGRAPHS))
    shop.enqueue(shop.write("second.txt", "Two"))
    monkeypatch.setattr(shop.parser, "parse", refuse)
    with pytest.raises(ReaderUnavailable):
        shop.ingester(embedder).run_pending()

    assert {status for _, status in shop.states()} == {"in_progress"}
    monkeypatch.undo()
    shop.ingester().run_pending()
    assert {status for _, status in shop.states()} == {"completed"}


def test_an_error_of_our_own_leaves_the_job_open(shop: Shop) -> None:
    class Broken(Exception):
        pass

    def fail() -> None:
        raise Broken

    shop.enqueue(shop.write("a.txt", "apple"))
    with pytest.raises(Broken):
        shop.ingester(Meddler(fail)).run_pending()

    assert shop.states() == [("a.txt", "in_progress")]
    shop.ingester().run_pending()
    assert shop.states() == [("a.txt", "completed")]


def test_stopping_ends_after_the_batch_and_leaves_the_rest_open(shop: Shop) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go_on.wait(10)

    shop.enqueue(shop.write("a.txt", PARAGRAPHS))
    shop.enqueue(shop.write("b.txt", f"pear\n\n{PARAGRAPHS}"))
    ingester = shop.ingester(Meddler(wait))
    running = threading.Thread(target=ingester.run_pending)
    running.start()
    assert reached.wait(10)
    stopping = threading.Thread(target=ingester.stop)
    stopping.start()
    while not ingester._stopping.is_set():
        pass
    go_on.set()
    stopping.join(10)
    running.join(10)

    assert [status for _, status in shop.states()] == ["in_progress", "in_progress"]
    ingester.run_pending()
    assert shop.texts() == []
    shop.ingester().run_pending()
    assert [status for _, status in shop.states()] == ["completed", "completed"]


def test_two_ingesters_at_once_read_each_file_once(shop: Shop) -> None:
    for path in files(shop.folder / "in", 12):
        shop.enqueue(path)
    told: list[Progress] = []
    threads = [threading.Thread(target=shop.ingester().run_pending, args=(told.append,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shop.ingester().run_pending(told.append)

    completed = [progress.filename for progress in told if progress.status == "completed"]
    assert sorted(completed) == sorted(name for name, _ in shop.states())
    assert len(shop.texts()) == 36


def test_originals_without_a_document_are_swept_and_those_being_handed_in_are_not(shop: Shop) -> None:
    kept = shop.enqueue(shop.write("a.txt", "apple"))
    folder = shop.folder / "originals"
    (folder / "file-orphan").write_bytes(b"x")
    (folder / ".aside-left").write_bytes(b"x")  # as by a process that died

    with shop.originals.staged(b"pear"):
        shop.originals.sweep({kept.file_id})
        held = {path.name for path in folder.iterdir()}

    assert len(held) == 2
    assert kept.file_id in held
    assert ".aside-left" not in held
    assert shop.originals.read(kept.file_id) == b"apple"
