"""The same answer whatever the load: random schedules under a tiny cache, against each request alone, in fp32.

Requests come, wait, share steps, are read in slices, find their prompts again, fork, are guessed ahead, and are
cancelled; greedy tokens and seeded draws of the others must not notice.
"""

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_model.cache import PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.step import CompiledStep
from hrm_model.graphed import GraphedStep
from hrm_model.model import HrmText
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.sequence import Reading
from hrm_model.sequence import Sequence as Running
from tests.engines import Tiny
from tests.hrm_model.schedules import SCHEDULES, Act, Ask, Build, Steps, follow
from tests.hrm_model.test_graphed import done_again


@pytest.fixture(scope="module")
def ties(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Collects how many answers each schedule changed at a near tie, and says it in the end."""
    counted: list[int] = []
    yield counted
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f" [{sum(counted)} answers of {len(counted)} schedules differ at a near tie] ", end="")


def compiled_on_threads(model: HrmText, cache: PagedCache, device: str) -> Runner:
    """More of them than a small machine has cores, so that some lag behind."""
    return Runner(model, cache, device, CompiledStep(model, cache, threads=3))


def over_int8(model: HrmText, cache: PagedCache, device: str) -> Runner:
    """Keys and values of a byte, in place of those of the cache."""
    rounded = Int8Cache(model.config, cache.pages, dtype=torch.float32, device=device)
    return Runner(model, rounded, device, CompiledStep(model, rounded, threads=3))


def graphed(model: HrmText, cache: PagedCache, device: str) -> Runner:
    """What CUDA graphs do, in memory that stays, without CUDA."""
    return Runner(model, cache, device, GraphedStep(model, cache, done_again))


# Each alone is read and written by torch, so what is compiled is held against that as well.
BUILDS = pytest.mark.parametrize(
    "build",
    [
        pytest.param(Runner, id="torch"),
        pytest.param(graphed, id="graphed"),
        pytest.param(compiled_on_threads, id="compiled", marks=pytest.mark.compiled),
    ],
)


@BUILDS
@settings(max_examples=40, deadline=None)
@given(acts=SCHEDULES, slice_tokens=st.sampled_from([1, 8, 40, 4096]), draft_tokens=st.sampled_from([0, 5]))
def test_no_schedule_changes_an_answer(
    tiny: Tiny, ties: list[int], build: Build, acts: list[Act], slice_tokens: int, draft_tokens: int
) -> None:
    ties.append(follow(tiny, acts, slice_tokens, draft_tokens, build))


@pytest.mark.compiled
@settings(max_examples=20, deadline=None)
@given(acts=SCHEDULES, slice_tokens=st.sampled_from([1, 8, 40, 4096]), draft_tokens=st.sampled_from([0, 5]))
def test_no_schedule_changes_an_answer_over_keys_and_values_in_int8(
    tiny: Tiny, acts: list[Act], slice_tokens: int, draft_tokens: int
) -> None:
    assert follow(tiny, acts, slice_tokens, draft_tokens, over_int8, build_alone=over_int8) == 0, "not even a near tie"


@pytest.mark.soak
@BUILDS
@settings(max_examples=3000, deadline=None)
@given(acts=SCHEDULES, slice_tokens=st.sampled_from([1, 8, 40, 4096]), draft_tokens=st.sampled_from([0, 5]))
def test_thousands_of_schedules_change_no_answer(
    tiny: Tiny, ties: list[int], build: Build, acts: list[Act], slice_tokens: int, draft_tokens: int
) -> None:
    ties.append(follow(tiny, acts, slice_tokens, draft_tokens, build))


# Faults that the property has to catch: an eventful schedule, and one thing that is done wrong.

EVENTFUL = (
    Ask(2, 0, 1, "a"),
    Ask(3, 0, 2, "a"),
    Steps(3),
    Ask(1, 1, 3, "a"),
    Steps(40),
    Ask(2, 1, 2, "a"),
    Ask(3, 2, 1, "a"),
    Steps(2),
    Ask(5, 0, 1, None),
)


class CopiesNothing(Runner):
    def _fork(self, sequences: Sequence[Running]) -> None:
        for sequence in sequences:
            sequence.source = []


class SwapsPages(Runner):
    def _fork(self, sequences: Sequence[Running]) -> None:
        for sequence in sequences:
            sequence.source = sequence.source[::-1]
        super()._fork(sequences)


class LosesASlice(Runner):
    def read(self, reading: Reading, layers: int) -> bool:
        if self._reading is not None:
            # Whoever runs in between writes over what has been read so far.
            assert isinstance(self._cache, PagedCache)
            self._cache.key[0].neg_()
        return super().read(reading, layers)


class KeepsOtherLogits(Runner):
    def step(self, sequences: Sequence[Running]) -> list[list[Drawn | NotFinite]]:
        for sequence in sequences:
            if isinstance(sequence.first, torch.Tensor):
                sequence.first = sequence.first.roll(1)
        return super().step(sequences)


@pytest.mark.parametrize("fault", [CopiesNothing, SwapsPages, LosesASlice, KeepsOtherLogits])
def test_a_planted_fault_is_caught(tiny: Tiny, fault: type[Runner]) -> None:
    assert follow(tiny, EVENTFUL, 8, 0) == 0
    with pytest.raises(AssertionError):
        follow(tiny, EVENTFUL, 8, 0, fault)
