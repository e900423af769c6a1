"""A purge reaches what is in hand as well: none of it is kept afterwards, and its pages are overwritten in the end."""

import asyncio
import threading
from collections.abc import Callable

import pytest
import torch

from hrm_model.cache import KvCache, PagedCache
from hrm_model.compiled.step import CompiledStep
from hrm_model.errors import EngineError
from hrm_model.model import HrmText
from hrm_model.request import open_request
from hrm_model.runner import Runner
from hrm_model.scheduler import Scheduler
from hrm_model.sequence import Reading
from hrm_model.stepper import Stepper
from hrm_model.types import Limits, Sampling, Tokens
from tests.engines import CONFIG, Tiny, reply_of, running
from tests.waiting import until

pytestmark = pytest.mark.anyio

PAGES = 32
LIMITS = Limits(context_tokens=256, kv_tokens=PAGES * 16, default_max_tokens=8, max_context_tokens=128)
LONG = Tokens(tuple(range(20, 90)), 70)
SHORT = Tokens(tuple(range(100, 120)), 20)


class WatchedRunner(Runner):
    """Lets others see whether it holds a prompt that is half read."""

    @property
    def holds_a_reading(self) -> bool:
        return self._reading is not None


class Engine:
    """A stepper with all its parts at hand."""

    def __init__(self, tiny: Tiny, compiled: Callable[[HrmText, PagedCache], CompiledStep | None]) -> None:
        self.cache = PagedCache(CONFIG, PAGES, dtype=torch.float32, device="cpu")
        self.runner = WatchedRunner(tiny.model, self.cache, "cpu", compiled(tiny.model, self.cache))
        self.scheduler = Scheduler(
            PAGES, max_running=4, max_waiting=8, prefill_tokens=80, slice_tokens=32, kept_pages=16
        )
        self.stepper = Stepper(self.runner, self.scheduler, tiny.tokenizer, draft_tokens=0)
        self._tokenizer = tiny.tokenizer
        self._next = 0

    def ask(self, prompt: Tokens, partition: str | None, n: int = 1, max_tokens: int = 5) -> int:
        number, self._next = self._next, self._next + 1
        sampling = Sampling(max_tokens=max_tokens)
        self.stepper.add(open_request(number, prompt, sampling, n, LIMITS, self._tokenizer, 0, partition))
        return number

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.stepper.step()

    @property
    def rows_left(self) -> int:
        """Tokens of which there is anything in the cache."""
        stored = (self.cache.key.flatten(2).any(-1) | self.cache.value.flatten(2).any(-1)).any(0)
        return int(stored.sum())

    @property
    def numbers_left(self) -> int:
        return int(self.cache.key.count_nonzero() + self.cache.value.count_nonzero())


def by_torch(model: HrmText, cache: PagedCache) -> None:
    return None


def by_one_call(model: HrmText, cache: PagedCache) -> CompiledStep:
    return CompiledStep(model, cache, threads=1)


@pytest.fixture(params=[by_torch, pytest.param(by_one_call, marks=pytest.mark.compiled)])
def engine(request: pytest.FixtureRequest, tiny: Tiny) -> Engine:
    return Engine(tiny, request.param)


@pytest.mark.parametrize("partition", ["a", None], ids=["that may be found again", "of nobody"])
async def test_a_prompt_that_is_half_read_is_not_kept_and_leaves_nothing(engine: Engine, partition: str | None) -> None:
    engine.ask(LONG, partition, n=2)
    engine.step()
    assert engine.runner.holds_a_reading

    engine.stepper.purge(None)
    engine.step(60)

    assert not engine.stepper.requests
    assert engine.scheduler.pages_kept == 0
    assert engine.numbers_left == 0


async def test_an_answer_that_is_written_leaves_nothing_when_it_ends(engine: Engine) -> None:
    engine.ask(SHORT, "a", n=3)
    engine.step(2)
    assert engine.scheduler.pages_kept > 0

    engine.stepper.purge(None)
    assert engine.numbers_left > 0, "it goes on"
    engine.step(20)

    assert engine.scheduler.pages_kept == 0
    assert engine.numbers_left == 0


async def test_what_waited_at_the_purge_is_not_kept_and_leaves_nothing(engine: Engine) -> None:
    engine.ask(SHORT, "b", n=4)
    engine.step()
    engine.ask(LONG, "a")
    engine.step()

    engine.stepper.purge("a")
    engine.step(60)

    assert not engine.stepper.requests
    assert engine.scheduler.pages_kept == 2, "the other partition's prompt"
    engine.stepper.purge("b")
    assert engine.numbers_left == 0


async def test_the_other_partitions_are_left_alone(engine: Engine) -> None:
    engine.ask(LONG, "a")
    engine.ask(SHORT, "b")
    engine.step()

    engine.stepper.purge("a")
    engine.step(60)
    engine.ask(SHORT, "b")
    engine.ask(LONG, "a")
    engine.step(60)

    assert engine.stepper.reused_tokens == 20
    assert engine.scheduler.pages_kept == 2 + 5, "who asks after the purge is found again"


async def test_what_is_cancelled_after_the_purge_is_overwritten_at_once(engine: Engine) -> None:
    written = engine.ask(SHORT, "a")
    engine.step()
    read = engine.ask(LONG, "a")
    engine.step()
    assert engine.runner.holds_a_reading

    engine.stepper.purge(None)
    engine.stepper.cancel(written)
    engine.stepper.cancel(read)

    assert engine.numbers_left == 0
    assert not engine.runner.holds_a_reading


async def test_a_reading_that_was_cancelled_is_given_up_by_the_purge(engine: Engine) -> None:
    read = engine.ask(LONG, "a")
    engine.step()
    engine.stepper.cancel(read)

    engine.stepper.purge(None)

    assert engine.numbers_left == 0
    assert not engine.runner.holds_a_reading


async def test_a_reading_that_others_still_wait_for_goes_on(engine: Engine) -> None:
    cancelled = engine.ask(Tokens(tuple(range(20, 60)), 40), "a")
    engine.ask(Tokens(tuple(range(60, 100)), 40), "a")
    engine.step()
    engine.stepper.cancel(cancelled)

    engine.stepper.purge(None)

    assert engine.runner.holds_a_reading
    engine.step(60)
    assert not engine.stepper.requests
    assert engine.numbers_left == 0


OWN = Tokens(tuple(range(200, 220)), 20)


def leave(engine: Engine) -> None:
    """Let three answers of x end; most of what they leave is free for others."""
    engine.ask(LONG, "x", n=3, max_tokens=100)
    engine.step(150)
    assert not engine.stepper.requests
    assert engine.rows_left > 300


async def test_what_an_ended_answer_left_in_pages_that_another_has_by_now_is_overwritten(engine: Engine) -> None:
    leave(engine)
    engine.ask(OWN, "y", n=2, max_tokens=200)
    engine.step(3)

    engine.stepper.purge("x")

    # A prompt, a copy of the part of its last page that two answers do not share, and two tokens of each.
    assert engine.rows_left == 20 + 4 + 2 * 2
    engine.step(250)
    engine.stepper.purge("x")
    engine.stepper.purge("y")
    assert engine.rows_left == 0


async def test_it_is_overwritten_in_the_pages_of_a_prompt_that_is_kept_and_of_one_that_waits(engine: Engine) -> None:
    leave(engine)
    engine.ask(OWN, "y")
    engine.step(20)
    engine.ask(LONG, "z", max_tokens=50)
    engine.step()
    assert engine.runner.holds_a_reading
    engine.ask(Tokens(tuple(range(30, 100)), 70), "z", max_tokens=50)  # has its pages, and waits to be read
    engine.step()

    engine.stepper.purge("x")

    assert engine.scheduler.pages_kept == 2
    assert engine.rows_left == 20 + 70


async def test_a_prompt_that_is_being_read_leaves_nothing_of_others_however_it_ends(engine: Engine) -> None:
    leave(engine)
    reading = engine.ask(LONG, "y")
    engine.step()
    assert engine.runner.holds_a_reading

    engine.stepper.purge("x")
    engine.stepper.cancel(reading)

    assert engine.rows_left == 0


class SlicedRunner(Runner):
    """Reads a slice of a prompt whenever it may."""

    def __init__(self, model: HrmText, cache: KvCache, device: str) -> None:
        super().__init__(model, cache, device)
        self.slices, self.asked, self.has_read = threading.Semaphore(0), 0, False

    def read(self, reading: Reading, layers: int) -> bool:
        self.asked += 1
        assert self.slices.acquire(timeout=60)
        self.has_read = super().read(reading, layers)
        return self.has_read


async def test_a_purge_is_done_when_the_prompt_is_read_that_was_being_read(tiny: Tiny) -> None:
    runners: list[SlicedRunner] = []

    def build(model: HrmText, cache: KvCache, device: str) -> Runner:
        runners.append(SlicedRunner(model, cache, device))
        return runners[0]

    async with running(tiny.engine(runner=build, slice_tokens=16)) as engine, asyncio.timeout(60):
        answer = asyncio.create_task(reply_of(engine.generate(LONG, Sampling(max_tokens=3), partition="y")))
        (runner,) = runners
        await until(lambda: runner.asked == 1)
        purge = asyncio.create_task(engine.purge("x"))
        await asyncio.sleep(0)
        runner.slices.release()
        await until(lambda: runner.asked == 2)  # the purge stood before the second slice
        await asyncio.sleep(0.05)
        assert not purge.done()

        runner.slices.release(1000)
        await purge
        assert runner.has_read
        assert (await answer).finished


class BrokenRunner(Runner):
    """Cannot overwrite anything, as a device that has failed."""

    def __init__(self, model: HrmText, cache: KvCache, device: str) -> None:
        super().__init__(model, cache, device)
        self.is_called, self.may_fail = threading.Event(), threading.Event()

    def clear(self, pages: list[int]) -> None:
        self.is_called.set()
        assert self.may_fail.wait(60)
        raise RuntimeError("the device fell over")


@pytest.mark.parametrize("waits", [True, False], ids=["somebody waits", "nobody waits any more"])
async def test_a_purge_that_fails_tells_whoever_waits_and_ends_the_engine(tiny: Tiny, waits: bool) -> None:
    runners: list[BrokenRunner] = []

    def build(model: HrmText, cache: KvCache, device: str) -> Runner:
        runners.append(BrokenRunner(model, cache, device))
        return runners[0]

    async with running(tiny.engine(runner=build)) as engine, asyncio.timeout(60):
        purge = asyncio.create_task(engine.purge())
        await until(runners[0].is_called.is_set)
        behind = asyncio.create_task(engine.purge())
        if not waits:
            purge.cancel()
        await asyncio.sleep(0)
        runners[0].may_fail.set()

        if waits:
            with pytest.raises(EngineError, match="the device fell over") as failure:
                await purge
            assert isinstance(failure.value.__cause__, RuntimeError)
        await behind
        await until(lambda: not engine.load().is_alive)
