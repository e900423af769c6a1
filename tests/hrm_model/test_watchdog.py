"""What readiness is told of an engine that is stuck, or whose every step fails; server/process.py makes use of it."""

import asyncio
import threading
from collections.abc import Sequence as Items

import pytest

from hrm_model.cache import KvCache
from hrm_model.engine import NativeEngine
from hrm_model.errors import EngineClosed, EngineError
from hrm_model.model import HrmText
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.sequence import Reading, Sequence
from hrm_model.stepper import FAILED_STEPS
from hrm_model.types import Failed, Sampling, Tokens
from tests.engines import Tiny, reply_of, running
from tests.waiting import until

pytestmark = pytest.mark.anyio

SHORT = Tokens((20, 21, 22), 3)
LONG = Tokens(tuple(range(20, 90)), 70)
POISON = 23
FEW = Sampling(max_tokens=3)


class StickingRunner(Runner):
    """Goes no further in the one place that a test names, until it may."""

    def __init__(self, model: HrmText, cache: KvCache, device: str) -> None:
        super().__init__(model, cache, device)
        self.sticks_in = ""
        self.is_stuck, self.may_go_on = threading.Event(), threading.Event()

    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        if self.sticks_in == "retry":
            if len({sequence.request for sequence in sequences}) > 1:
                raise RuntimeError("the device fell over")
            if sequences[0].request == 2:
                self._stick()
        return super().step(sequences)

    def read(self, reading: Reading, layers: int) -> bool:
        if self.sticks_in == "read":
            self._stick()
        return super().read(reading, layers)

    def clear(self, pages: list[int]) -> None:
        if self.sticks_in == "clear":
            self._stick()
        super().clear(pages)

    def _stick(self) -> None:
        self.is_stuck.set()
        assert self.may_go_on.wait(60)


class Sticking:
    """Builds a StickingRunner and keeps it at hand."""

    runner: StickingRunner

    def __call__(self, model: HrmText, cache: KvCache, device: str) -> Runner:
        self.runner = StickingRunner(model, cache, device)
        return self.runner


@pytest.mark.parametrize(("place", "prompt"), [("read", LONG), ("retry", SHORT)])
async def test_a_step_that_is_stuck_after_others_have_had_their_answers_is_seen(
    tiny: Tiny, place: str, prompt: Tokens
) -> None:
    sticking = Sticking()
    async with running(tiny.engine(runner=sticking, slice_tokens=8)) as engine:
        writing = engine.generate(SHORT, Sampling(max_tokens=1500))
        await anext(writing)
        await anext(writing)
        sticking.runner.sticks_in = place
        beside = asyncio.create_task(reply_of(engine.generate(prompt, FEW)))
        await until(sticking.runner.is_stuck.is_set)

        age = engine.load().step_age_s

        sticking.runner.sticks_in = ""
        sticking.runner.may_go_on.set()
        assert age is not None
        assert (await beside).finished
        await writing.aclose()
        await until(lambda: engine.load().step_age_s is None)


async def test_overwriting_that_is_stuck_is_seen(tiny: Tiny) -> None:
    sticking = Sticking()
    async with running(tiny.engine(runner=sticking)) as engine:
        await reply_of(engine.generate(SHORT, FEW))
        sticking.runner.sticks_in = "clear"
        purge = asyncio.create_task(engine.purge())
        await until(sticking.runner.is_stuck.is_set)

        age = engine.load().step_age_s

        sticking.runner.may_go_on.set()
        await purge
        assert age is not None
        assert engine.load().step_age_s is None


class FailingRunner(Runner):
    """Raises in every step, and in every reading, that holds a poisonous prompt."""

    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        self._stumble(sequences)
        return super().step(sequences)

    def read(self, reading: Reading, layers: int) -> bool:
        self._stumble(reading.leaders)
        return super().read(reading, layers)

    def _stumble(self, sequences: Items[Sequence]) -> None:
        if any(sequence.ids[0] == POISON for sequence in sequences):
            raise RuntimeError("the device fell over")


async def failures(engine: NativeEngine, prompt: Tokens, count: int) -> list[object]:
    """Ask one after the other, and see each answer fail."""
    ends = [(await reply_of(engine.generate(prompt, FEW))).ends[0] for _ in range(count)]
    assert all(isinstance(end, Failed) for end in ends)
    return list(ends)


@pytest.mark.parametrize("length", [3, 70], ids=["read in a step", "read beside it"])
async def test_an_engine_whose_steps_all_fail_ends(tiny: Tiny, length: int) -> None:
    poison = Tokens((POISON,) * length, length)
    async with running(tiny.engine(runner=FailingRunner, slice_tokens=8)) as engine:
        await failures(engine, poison, FAILED_STEPS - 1)
        assert engine.load().is_alive

        (last,) = await failures(engine, poison, 1)

        assert isinstance(last, Failed)
        assert isinstance(last.error, EngineError)
        assert not isinstance(last.error, EngineClosed), "it is told what failed"
        await until(lambda: not engine.load().is_alive)
        with pytest.raises(EngineClosed):
            await anext(engine.generate(SHORT, FEW))


async def test_a_single_good_step_shows_that_the_engine_is_not_to_blame(tiny: Tiny) -> None:
    poison = Tokens((POISON,), 1)
    async with running(tiny.engine(runner=FailingRunner)) as engine:
        for _ in range(3):
            await failures(engine, poison, FAILED_STEPS - 1)
            assert (await reply_of(engine.generate(SHORT, FEW))).finished

        assert engine.load().is_alive


async def test_many_that_fail_together_are_one_failed_step(tiny: Tiny) -> None:
    poison = Tokens((POISON,), 1)
    async with running(tiny.engine(runner=FailingRunner, max_running=64)) as engine:
        asked = [reply_of(engine.generate(poison, FEW, n=2)) for _ in range(2 * FAILED_STEPS)]
        for reply in await asyncio.gather(*asked):
            assert all(isinstance(end, Failed) for end in reply.ends.values())

        assert (await reply_of(engine.generate(SHORT, FEW))).finished
