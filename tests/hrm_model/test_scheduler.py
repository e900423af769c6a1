"""hrm_model.scheduler: who runs in the next step, in plain Python."""

import subprocess
import sys
from collections.abc import Sequence as Items

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hrm_model.errors import EngineOverloaded, InvalidSampling, NeverFits
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.scheduler import Scheduler
from hrm_model.sequence import Reading, Sequence, Step
from hrm_model.types import Sampling

PAGES = 12
PLACES = 4
QUEUE = 3
PREFILL = 48


SLICE = 20


def scheduler(
    *,
    pages: int = PAGES,
    places: int = PLACES,
    queue: int = QUEUE,
    prefill: int = PREFILL,
    piece: int = SLICE,
    kept: int = 0,
) -> Scheduler:
    return Scheduler(
        pages, max_running=places, max_waiting=queue, prefill_tokens=prefill, slice_tokens=piece, kept_pages=kept
    )


def request(number: int, *, prompt: int = 8, answer: int = 8, n: int = 1) -> list[Sequence]:
    return [Sequence(number, c, [1] * prompt, prompt, Sampling(seed=0), answer) for c in range(n)]


def numbers(sequences: Items[Sequence]) -> list[int]:
    return [sequence.request for sequence in sequences]


def advance(step: Step) -> None:
    """Do what a runner does: everything pending is cached, and each sequence has one token more."""
    write(step.sequences)


def write(sequences: Items[Sequence]) -> None:
    for sequence in sequences:
        sequence.cached = len(sequence.ids)
        sequence.first = None
        sequence.ids.append(2)


def read(queue: Scheduler, reading: Reading | None) -> tuple[Sequence, ...]:
    """Do what a runner does in as many slices as it takes; returns who begins to write."""
    assert reading is not None
    for leader in reading.leaders:
        leader.cached, leader.first = leader.prompt_len, f"logits of {leader.request}"
    return queue.end_reading()


def test_it_loads_without_torch_and_numpy() -> None:
    code = "import sys, hrm_model.scheduler; sys.exit(bool({'torch', 'numpy'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_requests_begin_in_the_order_in_which_they_came() -> None:
    queue = scheduler(places=2)
    for number in (5, 3, 9):
        queue.add(request(number))

    step = queue.next_step()

    assert numbers(step.admitted) == numbers(step.sequences) == [5, 3]
    queue.end(step.sequences[1])
    assert numbers(queue.next_step().admitted) == [9]


def test_a_small_request_does_not_overtake_a_large_one_that_waits_for_pages() -> None:
    queue = scheduler()
    queue.add(request(1, answer=10 * PAGE_TOKENS))
    (running,) = queue.next_step().sequences
    queue.add(request(2, answer=10 * PAGE_TOKENS))
    queue.add(request(3))

    assert queue.next_step().admitted == ()

    queue.end(running)
    assert numbers(queue.next_step().admitted) == [2, 3]


def test_prompt_and_longest_answer_are_reserved_at_admission() -> None:
    queue = scheduler()
    queue.add(request(1, prompt=17, answer=16))
    (sequence,) = queue.next_step().sequences

    assert len(sequence.pages) == queue.pages_used == 3
    while len(sequence.ids) < sequence.prompt_len + sequence.max_tokens:
        step = queue.next_step()
        assert step.sequences == (sequence,)
        advance(step)
        assert pages_for(len(sequence.ids)) <= len(sequence.pages)


def test_the_first_step_reads_the_prompt_and_later_ones_a_token_each() -> None:
    queue = scheduler()
    queue.add(request(1, prompt=5))
    step = queue.next_step()

    assert step.sequences[0].pending == [1] * 5
    advance(step)
    assert queue.next_step().sequences[0].pending == [2]


def test_whoever_runs_is_in_every_step_until_it_ends_however_many_wait() -> None:
    queue = scheduler(places=2)
    queue.add(request(1, n=2))
    running = queue.next_step().sequences
    pages = [list(sequence.pages) for sequence in running]
    for number in (2, 3, 4):
        queue.add(request(number))

    for _ in range(20):
        step = queue.next_step()
        assert step.sequences == running
        assert step.admitted == ()
    assert [sequence.pages for sequence in running] == pages


def test_all_choices_of_a_request_begin_together() -> None:
    queue = scheduler(places=3)
    queue.add(request(1))
    queue.add(request(2, n=3))

    assert numbers(queue.next_step().admitted) == [1]
    queue.cancel(1)
    assert numbers(queue.next_step().admitted) == [2, 2, 2]


def test_short_prompts_join_the_others_step_a_slice_at_a_time() -> None:
    queue = scheduler(piece=20)
    queue.add(request(0, prompt=4))
    advance(queue.next_step())
    for number in (1, 2, 3):
        queue.add(request(number, prompt=10))

    step = queue.next_step()
    assert numbers(step.admitted) == [1, 2, 3]
    assert numbers(step.sequences) == [0, 1, 2]
    advance(step)
    assert numbers(queue.next_step().sequences) == [0, 1, 2, 3]


def test_a_prompt_counts_once_however_many_choices_share_it() -> None:
    queue = scheduler(piece=20)
    queue.add(request(1, prompt=10, n=2))
    queue.add(request(2, prompt=10, n=2))

    assert numbers(queue.next_step().sequences) == [1, 1, 2, 2]


def test_while_nobody_writes_prompts_are_read_together() -> None:
    queue = scheduler(piece=20, prefill=50)
    for number in (1, 2, 3, 4):
        queue.add(request(number, prompt=22))

    step = queue.next_step()

    assert step.sequences == ()
    assert step.reading is not None
    assert numbers(step.reading.leaders) == [1, 2]
    assert queue.next_step().reading is step.reading, "until it has been read"
    assert numbers(read(queue, step.reading)) == [1, 2]
    later = queue.next_step()
    assert numbers(later.sequences) == [1, 2]
    assert later.reading is not None
    assert numbers(later.reading.leaders) == [3], "beside those who write, one at a time"


def test_a_long_prompt_is_read_beside_those_who_write_and_short_ones_join_meanwhile() -> None:
    queue = scheduler(piece=20, prefill=20)
    queue.add(request(1, prompt=2))
    advance(queue.next_step())
    queue.add(request(2, prompt=90, n=2))
    queue.add(request(3, prompt=2))

    step = queue.next_step()

    assert numbers(step.admitted) == [2, 2, 3]
    assert numbers(step.sequences) == [1, 3]
    assert step.reading is not None
    assert numbers(step.reading.leaders) == [2]
    begun = read(queue, step.reading)
    assert [(s.request, s.choice, s.cached, s.first) for s in begun] == [(2, c, 90, "logits of 2") for c in (0, 1)]
    assert begun[1].source == begun[0].pages
    assert numbers(queue.next_step().sequences) == [1, 3, 2, 2]


def test_pages_that_a_prompt_fills_are_shared_by_its_choices() -> None:
    queue = scheduler(piece=90)
    queue.add(request(1, prompt=2 * PAGE_TOKENS + 3, answer=8, n=4))
    sequences = queue.next_step().sequences

    assert queue.pages_used == 2 + 4
    assert len({tuple(sequence.pages[:2]) for sequence in sequences}) == 1
    assert len({sequence.pages[2] for sequence in sequences}) == 4
    for sequence in sequences[:3]:
        queue.end(sequence)
    assert queue.pages_used == 3
    assert set(sequences[3].pages).isdisjoint(queue.purge(None))


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_is_cancelled_while_it_is_read_keeps_its_pages_until_nobody_writes_to_them(is_alone: bool) -> None:
    queue = scheduler(piece=4)
    queue.add(request(1, prompt=20))
    if not is_alone:
        queue.add(request(2, prompt=20))
    reading = queue.next_step().reading
    assert reading is not None

    assert numbers(queue.cancel(1)) == [1]

    if is_alone:
        assert queue.is_idle
        assert queue.pages_used == 0
        assert queue.next_step().reading is None
    else:
        assert queue.pages_used == 4
        assert queue.next_step().reading is reading
        assert numbers(read(queue, reading)) == [2]
        assert queue.pages_used == 2


def test_a_reading_that_failed_leaves_its_prompts_to_be_read_again() -> None:
    queue = scheduler(piece=4)
    queue.add(request(1, prompt=20))
    queue.add(request(2, prompt=20))
    queue.next_step()

    again = queue.end_reading(is_read=False)

    assert [(s.request, len(s.pending), s.first) for s in again] == [(1, 20, None), (2, 20, None)]


# Prompts that are found again


def private(number: int, partition: str | None, *, prompt: int = 20, answer: int = 8, n: int = 1) -> list[Sequence]:
    choices = request(number, prompt=prompt, answer=answer, n=n)
    for sequence in choices:
        sequence.partition = partition
    return choices


def answer_of(queue: Scheduler, choices: list[Sequence]) -> tuple[Sequence, ...]:
    """Ask, read, keep and end; returns the sequences as they began."""
    queue.add(choices)
    step = queue.next_step()
    begun = step.sequences or read(queue, step.reading)
    for sequence in begun:
        queue.keep(sequence, f"logits of {sequence.request}")
        queue.end(sequence)
    return begun


def test_an_identical_prompt_is_found_again_by_its_own_partition() -> None:
    queue = scheduler(piece=90, kept=6)
    (first,) = answer_of(queue, private(1, "a"))
    pages = queue.pages_kept
    queue.add(private(2, "a", n=2))

    sequences = queue.next_step().sequences

    assert (pages, first.pages) == (2, [])
    assert [(s.pending, s.first, len(s.source)) for s in sequences] == [([], "logits of 1", 2)] * 2
    assert all(s.pages[0] == s.source[0] and s.pages[1] != s.source[1] for s in sequences), "one page is full"


@pytest.mark.parametrize(
    "other",
    [private(2, "b"), private(2, None), private(2, "a", prompt=21)],
    ids=["another partition", "no partition", "another prompt"],
)
def test_a_prompt_is_found_by_nobody_else(other: list[Sequence]) -> None:
    queue = scheduler(piece=90, kept=6)
    answer_of(queue, private(1, "a"))
    queue.add(other)

    (sequence,) = queue.next_step().sequences

    assert sequence.first is None
    assert len(sequence.pending) == sequence.prompt_len


def test_kept_prompts_make_way_for_whoever_needs_pages_the_oldest_first() -> None:
    queue = scheduler(piece=200, kept=12)
    for number, length in ((1, 40), (2, 41), (3, 42)):
        answer_of(queue, private(number, "a", prompt=length))
    assert (queue.pages_kept, queue.pages_used) == (9, 0)
    answer_of(queue, private(4, "a", prompt=40))  # which makes it the latest

    (large,) = answer_of(queue, request(5, prompt=40, answer=6 * PAGE_TOKENS))

    assert large.prompt_len == 40
    assert queue.pages_kept == 3
    for number, length, is_there in ((6, 40, True), (7, 41, False), (8, 42, False)):
        (sequence,) = answer_of(queue, private(number, "a", prompt=length))
        assert (sequence.first is not None) == is_there


def test_a_prompt_that_is_found_does_not_stand_in_its_own_way() -> None:
    queue = scheduler(piece=90, kept=6)
    answer_of(queue, private(1, "a", prompt=5))
    queue.add(private(2, "a", prompt=5, answer=28, n=4))

    sequences = queue.next_step().sequences

    assert queue.pages_used == PAGES
    assert [s.first for s in sequences] == ["logits of 1"] * 4
    assert any(s.source[0] in s.pages for s in sequences), "who copies has to read before it writes"


def test_no_more_is_kept_than_allowed() -> None:
    queue = scheduler(piece=200, kept=4)
    for number in range(5):
        answer_of(queue, private(number, "a", prompt=20 + number))
    answer_of(queue, private(9, "a", prompt=100))

    assert queue.pages_kept == 4


def test_a_prompt_in_use_is_not_given_away() -> None:
    queue = scheduler(piece=200, kept=12)
    answer_of(queue, private(1, "a", prompt=40))
    queue.add(private(2, "a", prompt=40))
    (reader,) = queue.next_step().sequences
    queue.add(request(3, prompt=8 * PAGE_TOKENS, answer=8))

    (_, other) = queue.next_step().sequences

    assert set(other.pages).isdisjoint(reader.pages)
    assert queue.pages_used == 3 + 9


def test_a_purge_forgets_a_partition_and_names_the_pages_that_were_let_go_since_the_last_one() -> None:
    queue = scheduler(piece=90, kept=12)
    (first,) = private(1, "a")
    queue.add([first])
    queue.next_step()
    pages = list(first.pages)
    queue.keep(first, "logits")
    queue.end(first)
    answer_of(queue, private(2, "b"))
    queue.add(private(3, "b"))
    (reader,) = queue.next_step().sequences

    assert queue.purge("a") == sorted(pages)
    assert queue.purge("a") == [], "what never held anything, and what was named before, needs no overwriting"
    assert queue.pages_kept == 2
    assert set(queue.purge(None)).isdisjoint(reader.pages)
    assert queue.pages_kept == 0
    queue.end(reader)
    assert len(queue.purge(None)) == 2


def test_what_is_in_hand_at_a_purge_is_not_kept_and_its_pages_are_named_when_they_are_let_go() -> None:
    queue = scheduler(piece=90, kept=12, places=3)
    queue.add(private(1, "a", n=2))
    (first, second) = queue.next_step().sequences
    pages = {*first.pages, *second.pages}
    queue.add(private(2, "b"))
    queue.add(private(3, "a"))
    (*_, other) = queue.next_step().sequences

    queue.purge("a")
    queue.keep(first, "logits")
    queue.keep(other, "logits")

    assert (queue.pages_kept, queue.remains()) == (len(other.pages), [])
    queue.end(first)
    assert len(queue.remains()) == 1, "the other page is still held by the second choice"
    queue.end(second)
    assert set(queue.remains()) < pages
    queue.end(other)
    assert queue.remains() == []
    (waited,) = queue.next_step().sequences
    pages = set(waited.pages)
    queue.keep(waited, "logits")
    queue.end(waited)
    assert set(queue.remains()) == pages
    assert queue.pages_kept == 2


def test_the_same_prompt_is_read_once_by_those_who_ask_at_the_same_time() -> None:
    queue = scheduler(piece=20, kept=12, places=8)
    for number in (1, 2):
        queue.add(private(number, "a", prompt=24))
    queue.add(private(3, "b", prompt=24))

    step = queue.next_step()
    assert step.reading is not None
    assert numbers(step.reading.leaders) == [1, 3]
    assert step.awaiting == {2}
    for sequence in read(queue, step.reading):
        queue.keep(sequence, sequence.first)

    later = queue.next_step()
    assert numbers(later.sequences) == [1, 3, 2]
    assert later.sequences[2].first == "logits of 1"
    assert not later.awaiting


@pytest.mark.parametrize("kept", [0, 1], ids=["nothing is kept", "it is too long to be kept"])
def test_nobody_waits_for_the_same_prompt_to_be_read_that_will_not_be_kept(kept: int) -> None:
    together, beside = scheduler(piece=80, kept=kept), scheduler(prefill=96, kept=kept)
    for number in (1, 2, 3):
        together.add(private(number, "a", prompt=24))
        beside.add(private(number, "a", prompt=24))

    at_once, in_slices = together.next_step(), beside.next_step()

    assert numbers(at_once.sequences) == [1, 2, 3]
    assert in_slices.reading is not None
    assert numbers(in_slices.reading.leaders) == [1, 2, 3]
    assert not at_once.awaiting
    assert not in_slices.awaiting


@pytest.mark.parametrize(
    ("choices", "pages"),
    [
        (request(1, prompt=16, answer=PAGES * PAGE_TOKENS), PAGES + 1),
        (request(1, answer=3 * PAGE_TOKENS, n=4), 4 * 4),
        (request(1, prompt=PAGE_TOKENS, answer=3 * PAGE_TOKENS, n=4), 1 + 4 * 3),
    ],
    ids=["too long", "too many choices", "too many choices though they share"],
)
def test_what_could_never_run_is_refused_at_once(choices: list[Sequence], pages: int) -> None:
    queue = scheduler()

    with pytest.raises(NeverFits) as refusal:
        queue.add(choices)

    assert refusal.value.needed_tokens == pages * PAGE_TOKENS
    assert refusal.value.kv_tokens == PAGES * PAGE_TOKENS
    assert queue.is_idle


def test_more_choices_than_a_step_has_places_are_refused_by_their_number() -> None:
    queue = scheduler(places=4)

    with pytest.raises(InvalidSampling, match="n: 5 choices; the engine writes at most 4 at once") as refusal:
        queue.add(request(1, n=5))

    assert refusal.value.param == "n"
    assert queue.is_idle


def test_what_just_fits_is_taken() -> None:
    queue = scheduler()
    queue.add(request(1, prompt=8, answer=2 * PAGE_TOKENS + 8, n=4))

    assert len(queue.next_step().sequences) == 4
    assert queue.pages_used == PAGES


def test_a_full_queue_refuses_and_says_how_full_it_is() -> None:
    queue = scheduler(places=1)
    queue.add(request(0))
    queue.next_step()
    for number in range(1, QUEUE + 1):
        queue.add(request(number))

    with pytest.raises(EngineOverloaded) as refusal:
        queue.add(request(9))

    assert (refusal.value.waiting, refusal.value.limit) == (QUEUE, QUEUE)
    queue.cancel(2)
    queue.add(request(9))
    with pytest.raises(EngineOverloaded):
        queue.add(request(10))


@pytest.mark.parametrize("limit", [0, 2])
def test_a_burst_fills_the_free_places_before_the_queue_counts_as_full(limit: int) -> None:
    queue = scheduler(places=4, queue=limit)

    for number in range(4 + limit):
        queue.add(request(number))
    with pytest.raises(EngineOverloaded) as refusal:
        queue.add(request(9))

    assert (refusal.value.waiting, refusal.value.limit) == (limit, limit)
    assert numbers(queue.next_step().admitted) == [0, 1, 2, 3]


def test_cancelling_a_waiting_request_leaves_the_others_in_order() -> None:
    queue = scheduler(places=1)
    for number in (1, 2, 3):
        queue.add(request(number))
    queue.next_step()

    assert numbers(queue.cancel(2)) == [2]

    assert numbers(queue.next_step().sequences) == [1]
    queue.cancel(1)
    assert numbers(queue.next_step().admitted) == [3]
    queue.cancel(3)
    assert queue.is_idle


def test_cancelling_a_running_request_frees_all_its_choices() -> None:
    queue = scheduler()
    queue.add(request(1, n=3))
    queue.add(request(2))
    queue.next_step()

    assert numbers(queue.cancel(1)) == [1, 1, 1]

    assert numbers(queue.next_step().sequences) == [2]
    assert queue.pages_used == 1


def test_cancelling_a_stranger_changes_nothing() -> None:
    queue = scheduler()
    queue.add(request(1))
    queue.next_step()

    assert queue.cancel(7) == []
    assert (queue.running, queue.pages_used) == (1, 1)


class Traffic(RuleBasedStateMachine):
    """Requests come, run, end and are cancelled in any order; a list of what should be there is kept beside."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = scheduler(kept=6)
        self.next_number = 0
        self.line: list[int] = []  # waiting, in order
        self.reserved: list[Sequence] = []  # with pages
        self.batch: list[Sequence] = []  # of those, the ones that write
        self.slices = 1  # until what is being read is read
        self.read_before: set[tuple[str | None, tuple[int, ...], object]] = set()
        self.asked: list[str | None] = []  # the partition of each request
        self.purged: set[int] = set()  # requests that had been made when theirs was purged
        self.read_over: set[int] = set()  # requests that were being read when anything was purged

    @rule(
        prompt=st.one_of(st.sampled_from([5, 16, 33]), st.integers(1, 70)),
        answer=st.integers(1, 120),
        n=st.integers(1, PLACES),
        partition=st.sampled_from([None, "a", "b"]),
    )
    def ask(self, prompt: int, answer: int, n: int, partition: str | None) -> None:
        choices = private(self.next_number, partition, prompt=prompt, answer=answer, n=n)
        try:
            self.queue.add(choices)
        except NeverFits:
            full = prompt // PAGE_TOKENS
            assert full + n * (pages_for(prompt + answer) - full) > PAGES
        except EngineOverloaded:
            assert len(self.line) >= QUEUE
        else:
            self.line.append(self.next_number)
        self.next_number += 1
        self.asked.append(partition)

    @rule()
    def take_a_step(self) -> None:
        step = self.queue.next_step()
        begun = list(dict.fromkeys(numbers(step.admitted)))
        assert begun == self.line[: len(begun)]
        assert step.sequences[: len(self.batch)] == tuple(self.batch)
        self.line = self.line[len(begun) :]
        self.reserved += step.admitted
        joined = [s for s in step.sequences if s not in self.batch and not s.cached]
        assert sum(s.prompt_len for s in joined if s.choice == 0) <= SLICE
        self.batch = list(step.sequences)
        self.write(step.sequences)
        if step.reading is not None:
            assert len(step.reading.leaders) == 1 or step.reading.tokens <= PREFILL
            self.slices -= 1
            if self.slices < 0:
                self.slices = len(self.reserved) % 3
                begun_now = read(self.queue, step.reading)
                self.batch += begun_now
                self.write(begun_now)

    def write(self, sequences: Items[Sequence]) -> None:
        """Write a token each, keep what was read, and end what is complete."""
        for sequence in [s for s in sequences if len(s.ids) == s.prompt_len]:
            first = sequence.first or f"logits of {sequence.request}"
            asked = (sequence.partition, tuple(sequence.ids[: sequence.prompt_len]), first)
            if first != f"logits of {sequence.request}":
                assert asked in self.read_before, "found, but never read"
                assert first not in {f"logits of {number}" for number in self.purged}, "found, but purged"
            self.read_before.add(asked)
            self.queue.keep(sequence, first)
        write(sequences)
        for sequence in sequences:
            assert pages_for(sequence.cached) <= len(sequence.pages)
            if len(sequence.ids) >= sequence.reserved_tokens:
                self.batch.remove(sequence)
                self.reserved.remove(sequence)
                self.queue.end(sequence)

    @rule(partition=st.sampled_from([None, "a", "b"]))
    def purge(self, partition: str | None) -> None:
        self.read_over |= {sequence.request for sequence in self.queue.being_read}
        free = self.queue.purge(partition)
        assert not {page for sequence in self.reserved for page in sequence.pages} & set(free)
        self.purged |= {number for number, asked in enumerate(self.asked) if partition in (None, asked)}
        assert all(s.is_purged == (s.request in self.purged | self.read_over) for s in self.reserved)
        written = {
            s.pages[token // PAGE_TOKENS] * PAGE_TOKENS + token % PAGE_TOKENS
            for s in self.batch
            for token in range(s.written)
        }
        assert written.isdisjoint(self.queue.unwritten())

    @precondition(lambda self: self.batch)
    @rule(data=st.data())
    def end_one(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.batch))
        self.batch.remove(sequence)
        self.reserved.remove(sequence)
        self.queue.end(sequence)

    @precondition(lambda self: self.next_number)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, self.next_number))
        self.queue.cancel(number)
        self.line = [other for other in self.line if other != number]
        self.batch = [sequence for sequence in self.batch if sequence.request != number]
        self.reserved = [sequence for sequence in self.reserved if sequence.request != number]

    @invariant()
    def no_page_is_lost_and_none_is_written_by_two(self) -> None:
        held = {page for sequence in self.reserved for page in sequence.pages}
        assert held.isdisjoint(self.queue.remains())
        # What is cancelled while it is read has its pages for a while yet.
        assert len(held) <= self.queue.pages_used <= PAGES
        assert held <= set(range(PAGES))
        written = [page for sequence in self.reserved for page in sequence.pages[sequence.shareable :]]
        assert len(written) == len(set(written))
        shared = {page for sequence in self.reserved for page in sequence.pages[: sequence.shareable]}
        assert shared.isdisjoint(written)

    @invariant()
    def the_counts_are_right(self) -> None:
        # What is cancelled while it is read counts as running for a while yet.
        assert self.queue.running >= len(self.reserved)
        assert self.queue.is_idle == (not self.line and not self.queue.running)

    def teardown(self) -> None:
        """Whatever has happened, nobody waits for ever, and in the end everything is free."""
        for _ in range(1000):
            if self.queue.is_idle:
                break
            self.take_a_step()
        assert self.queue.is_idle
        assert self.queue.pages_used == 0
        self.queue.add(request(self.next_number, answer=PAGES * PAGE_TOKENS - 8))
        assert sorted(self.queue.next_step().sequences[0].pages) == list(range(PAGES))


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


class MuchTraffic(Traffic):
    """The same, for `make soak`."""


TestMuchTraffic = pytest.mark.soak(MuchTraffic.TestCase)
TestMuchTraffic.settings = settings(max_examples=3000, stateful_step_count=60, deadline=None)
