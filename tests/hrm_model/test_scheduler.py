"""hrm_model.scheduler: who runs in the next step, in plain Python."""

import subprocess
import sys
from collections.abc import Sequence as Items

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hrm_model.errors import EngineOverloaded, NeverFits
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.scheduler import Scheduler, Sequence, Step
from hrm_model.types import Sampling

PAGES = 12
PLACES = 4
QUEUE = 3
PREFILL = 48


def scheduler(*, pages: int = PAGES, places: int = PLACES, queue: int = QUEUE, prefill: int = PREFILL) -> Scheduler:
    return Scheduler(pages, max_running=places, max_waiting=queue, prefill_tokens=prefill)


def request(number: int, *, prompt: int = 8, answer: int = 8, n: int = 1) -> list[Sequence]:
    return [Sequence(number, c, [1] * prompt, prompt, prompt, Sampling(seed=0), answer) for c in range(n)]


def numbers(sequences: Items[Sequence]) -> list[int]:
    return [sequence.request for sequence in sequences]


def advance(step: Step) -> None:
    """Do what a runner does: everything pending is cached, and each sequence has one token more."""
    for sequence in step.sequences:
        sequence.cached = len(sequence.ids)
        sequence.ids.append(2)


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


def test_prompts_join_a_step_up_to_its_share_of_prompt_tokens() -> None:
    queue = scheduler(prefill=20)
    for number in (1, 2, 3):
        queue.add(request(number, prompt=10))

    assert numbers(queue.next_step().admitted) == [1, 2]
    step = queue.next_step()
    assert numbers(step.admitted) == [3]
    assert numbers(step.sequences) == [1, 2, 3]


def test_a_prompt_counts_once_however_many_choices_share_it() -> None:
    queue = scheduler(prefill=20)
    queue.add(request(1, prompt=10, n=2))
    queue.add(request(2, prompt=10, n=2))

    assert numbers(queue.next_step().admitted) == [1, 1, 2, 2]


def test_a_prompt_longer_than_a_steps_share_goes_alone_and_is_never_passed_over() -> None:
    queue = scheduler(prefill=20)
    queue.add(request(1, prompt=2))
    queue.add(request(2, prompt=90))
    queue.add(request(3, prompt=2))

    assert [numbers(queue.next_step().admitted) for _ in range(4)] == [[1], [2], [3], []]


@pytest.mark.parametrize(
    "choices",
    [request(1, prompt=16, answer=PAGES * PAGE_TOKENS), request(1, answer=3 * PAGE_TOKENS, n=4), request(1, n=5)],
    ids=["too long", "too many choices for the pages", "too many choices for a step"],
)
def test_what_could_never_run_is_refused_at_once(choices: list[Sequence]) -> None:
    queue = scheduler()

    with pytest.raises(NeverFits) as refusal:
        queue.add(choices)

    assert refusal.value.needed_tokens == sum(sequence.reserved_tokens for sequence in choices)
    assert refusal.value.kv_tokens == PAGES * PAGE_TOKENS
    assert queue.is_idle


def test_what_just_fits_is_taken() -> None:
    queue = scheduler()
    queue.add(request(1, prompt=PAGE_TOKENS, answer=2 * PAGE_TOKENS, n=4))

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
    assert queue.waiting == QUEUE
    queue.cancel(2)
    queue.add(request(9))


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

    assert queue.requests() == {1, 3}
    queue.cancel(1)
    assert numbers(queue.next_step().admitted) == [3]


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
        self.queue = scheduler()
        self.next_number = 0
        self.line: list[int] = []  # waiting, in order
        self.batch: list[Sequence] = []

    @rule(prompt=st.integers(1, 70), answer=st.integers(1, 120), n=st.integers(1, PLACES))
    def ask(self, prompt: int, answer: int, n: int) -> None:
        choices = request(self.next_number, prompt=prompt, answer=answer, n=n)
        try:
            self.queue.add(choices)
        except NeverFits:
            assert n * pages_for(prompt + answer) > PAGES
        except EngineOverloaded:
            assert len(self.line) >= QUEUE
        else:
            self.line.append(self.next_number)
        self.next_number += 1

    @rule()
    def take_a_step(self) -> None:
        step = self.queue.next_step()
        begun = list(dict.fromkeys(numbers(step.admitted)))
        assert begun == self.line[: len(begun)]
        assert step.sequences == (*self.batch, *step.admitted)
        prompts = [sequence.prompt_len for sequence in step.admitted if sequence.choice == 0]
        assert len(begun) <= 1 or sum(prompts) <= PREFILL
        self.line = self.line[len(begun) :]
        self.batch = list(step.sequences)
        advance(step)
        for sequence in step.sequences:
            assert pages_for(sequence.cached) <= len(sequence.pages)
        for sequence in [s for s in self.batch if len(s.ids) >= s.reserved_tokens]:
            self.batch.remove(sequence)
            self.queue.end(sequence)

    @precondition(lambda self: self.batch)
    @rule(data=st.data())
    def end_one(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.batch))
        self.batch.remove(sequence)
        self.queue.end(sequence)

    @precondition(lambda self: self.next_number)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, self.next_number))
        self.queue.cancel(number)
        self.line = [other for other in self.line if other != number]
        self.batch = [sequence for sequence in self.batch if sequence.request != number]

    @invariant()
    def no_page_is_lost_or_held_twice(self) -> None:
        held = [page for sequence in self.batch for page in sequence.pages]
        assert len(held) == len(set(held)) == self.queue.pages_used
        assert set(held) <= set(range(PAGES))

    @invariant()
    def the_counts_are_right(self) -> None:
        assert (self.queue.waiting, self.queue.running) == (len(self.line), len(self.batch))
        assert self.queue.requests() == {*self.line, *numbers(self.batch)}
        assert self.queue.is_idle == (not self.line and not self.batch)

    def teardown(self) -> None:
        """Whatever has happened, nobody waits for ever, and in the end everything is free."""
        for _ in range(1000):
            if self.queue.is_idle:
                break
            self.take_a_step()
        assert self.queue.is_idle
        self.queue.add(request(self.next_number, answer=PAGES * PAGE_TOKENS - 8))
        assert sorted(self.queue.next_step().sequences[0].pages) == list(range(PAGES))


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


class MuchTraffic(Traffic):
    """The same, for `make soak`."""


TestMuchTraffic = pytest.mark.soak(MuchTraffic.TestCase)
TestMuchTraffic.settings = settings(max_examples=3000, stateful_step_count=60, deadline=None)
