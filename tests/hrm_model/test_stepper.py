"""hrm_model.stepper: what a step that fails leaves, whom it harms, and what those are told who ask the same at once."""

import random
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_model.cache import PagedCache
from hrm_model.compiled.step import CompiledStep
from hrm_model.model import HrmText
from hrm_model.request import Request
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.sequence import Reading
from hrm_model.sequence import Sequence as Running
from hrm_model.stepper import Stepper
from hrm_model.types import Started
from tests.engines import Reply, Tiny
from tests.hrm_model.schedules import PAGES, SCHEDULES, Act, Ask, Steps, follow, heard, opened, said, stepper

pytestmark = pytest.mark.anyio


class FalteringRunner(Runner):
    """Raises where it is told to, and only where several requests share the work: none of them fails alone."""

    def __init__(
        self,
        model: HrmText,
        cache: PagedCache,
        device: str,
        compiled: CompiledStep | None = None,
        *,
        falters: Callable[[str], bool],
    ) -> None:
        super().__init__(model, cache, device, compiled)
        self._falters, self._is_shared = falters, False

    def step(self, sequences: Sequence[Running]) -> list[list[Drawn | NotFinite]]:
        self._is_shared = len({sequence.request for sequence in sequences}) > 1
        return super().step(sequences)

    def read(self, reading: Reading, layers: int) -> bool:
        is_read = super().read(reading, layers)
        self._is_shared = len(reading.leaders) > 1
        self._falter("read")
        return is_read

    def _copy(self, source_of: dict[int, int]) -> None:
        super()._copy(source_of)
        if source_of:
            self._falter("copied")

    def _picked(self, logits_RV: torch.Tensor, rows: list[int]) -> torch.Tensor:
        self._falter("drawing")
        return super()._picked(logits_RV, rows)

    def _falter(self, where: str) -> None:
        if self._is_shared and self._falters(where):
            raise RuntimeError(f"the device faltered: {where}")


# The second of those who ask the same finds the prompt, and copies its last page, which its neighbour gets and fills.
UNDER_PRESSURE = (
    Ask(2, 0, 1, "a"),
    Steps(20),
    Ask(2, 0, 1, "a"),
    Ask(3, 3, 1, None),
    Steps(40),
    Ask(2, 0, 1, "a"),
)


@pytest.mark.parametrize("where", ["copied", "drawing"])
def test_a_step_made_again_copies_nothing_from_a_page_that_is_somebody_else_s_by_now(tiny: Tiny, where: str) -> None:
    planted = [where]

    def falters(here: str) -> bool:
        return here in planted and planted.pop() == here

    def build(model: HrmText, cache: PagedCache, device: str) -> Runner:
        return FalteringRunner(model, cache, device, falters=falters)

    assert follow(tiny, UNDER_PRESSURE, 4096, 0, build, pages=7) == 0
    assert not planted


def crowd(again: int, others: list[Ask], steps: int) -> list[Act]:
    """Somebody asks the same again, and others come with it, who need more pages than are free."""
    return [Ask(again, 0, 1, "a"), Steps(30), Ask(again, 0, 1, "a"), *others, Steps(steps)]


OTHERS = st.builds(
    Ask, st.sampled_from([2, 3, 5]), st.sampled_from([0, 3]), st.integers(1, 2), st.sampled_from([None, "a"])
)
CROWDS = st.lists(
    st.builds(crowd, st.sampled_from([2, 5]), st.lists(OTHERS, min_size=1, max_size=3), st.sampled_from([1, 3, 30])),
    min_size=1,
    max_size=3,
).map(lambda crowds: [act for acts in crowds for act in acts])


def check_faltering(tiny: Tiny, acts: list[Act], slice_tokens: int, seed: int, pages: int) -> None:
    chance = random.Random(seed)

    def build(model: HrmText, cache: PagedCache, device: str) -> Runner:
        return FalteringRunner(model, cache, device, falters=lambda _: chance.random() < 0.3)

    follow(tiny, acts, slice_tokens, 5, build, pages=pages)


@settings(max_examples=40, deadline=None)
@given(acts=CROWDS, slice_tokens=st.sampled_from([8, 4096]), seed=st.integers(0, 99))
def test_steps_that_fail_and_are_made_again_change_no_answer(
    tiny: Tiny, acts: list[Act], slice_tokens: int, seed: int
) -> None:
    check_faltering(tiny, acts, slice_tokens, seed, pages=8)


@settings(max_examples=20, deadline=None)
@given(acts=SCHEDULES, slice_tokens=st.sampled_from([1, 8, 40, 4096]), seed=st.integers(0, 99))
def test_no_schedule_with_failing_steps_changes_an_answer(
    tiny: Tiny, acts: list[Act], slice_tokens: int, seed: int
) -> None:
    check_faltering(tiny, acts, slice_tokens, seed, pages=PAGES)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None)
@given(acts=CROWDS, slice_tokens=st.sampled_from([8, 4096]), seed=st.integers(0, 99))
def test_thousands_of_crowds_with_failing_steps_change_no_answer(
    tiny: Tiny, acts: list[Act], slice_tokens: int, seed: int
) -> None:
    check_faltering(tiny, acts, slice_tokens, seed, pages=8)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None)
@given(acts=SCHEDULES, slice_tokens=st.sampled_from([1, 8, 40, 4096]), seed=st.integers(0, 99))
def test_thousands_of_schedules_with_failing_steps_change_no_answer(
    tiny: Tiny, acts: list[Act], slice_tokens: int, seed: int
) -> None:
    check_faltering(tiny, acts, slice_tokens, seed, pages=PAGES)


# Those who ask the same at the same time


async def replies(engine: Stepper, requests: list[Request]) -> list[Reply]:
    for _ in range(60):
        engine.step()
    return list(heard(requests, await said(requests)))


@pytest.mark.parametrize("slice_tokens", [8, 4096], ids=["read in slices", "read in a step"])
async def test_who_asks_the_same_while_it_is_read_is_told_that_it_was_found(tiny: Tiny, slice_tokens: int) -> None:
    engine = stepper(tiny, Runner, slice_tokens=slice_tokens, draft_tokens=0, pages=64, kept=16)
    requests = [opened(tiny, number, Ask(3, 0, 2, "a"), 0) for number in range(3)]
    for request in requests:
        engine.add(request)

    (first, *others) = await replies(engine, requests)

    assert first.started == [Started(70, 0)]
    assert [reply.started for reply in others] == [[Started(70, 70)]] * 2
    assert (engine.asked_tokens, engine.reused_tokens) == (3 * 70, 2 * 70)
    assert first.texts == others[0].texts == others[1].texts


async def test_who_waits_for_another_to_read_the_same_reads_it_alone_if_the_other_leaves(tiny: Tiny) -> None:
    engine = stepper(tiny, Runner, slice_tokens=8, draft_tokens=0, pages=64, kept=16)
    requests = [opened(tiny, number, Ask(3, 0, 1, "a"), 0) for number in range(3)]
    for request in requests:
        engine.add(request)
    engine.step()
    assert [len(events) for events in await said(requests)] == [1, 0, 0]

    engine.cancel(0)
    engine.cancel(1)
    (_, _, last) = await replies(engine, requests)

    assert last.started == [Started(70, 0)]
    assert last.finished
    assert engine.reused_tokens == 0


async def test_who_waits_for_another_to_read_the_same_reads_it_alone_after_a_purge(tiny: Tiny) -> None:
    engine = stepper(tiny, Runner, slice_tokens=8, draft_tokens=0, pages=64, kept=16)
    requests = [opened(tiny, number, Ask(3, 0, 1, "a"), 0) for number in range(2)]
    for request in requests:
        engine.add(request)
    engine.step()

    engine.purge(None)
    (*_, last) = await replies(engine, requests)

    assert last.started == [Started(70, 0)]
    assert last.finished
