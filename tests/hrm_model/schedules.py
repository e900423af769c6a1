"""Random schedules under a tiny cache: acts, an engine that follows them step by step, and what all should hear."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
from hypothesis import strategies as st

from hrm_model.cache import PagedCache
from hrm_model.errors import EngineOverloaded
from hrm_model.model import HrmText
from hrm_model.request import Request, open_request
from hrm_model.runner import Runner
from hrm_model.scheduler import Scheduler
from hrm_model.stepper import Stepper
from hrm_model.types import Limits, Sampling, Tokens
from tests.engines import CONFIG, Reply, Tiny

PAGES = 14
LIMITS = Limits(context_tokens=256, kv_tokens=PAGES * 16, default_max_tokens=8, max_context_tokens=128)
NEAR_TIE = 1e-4  # of the two likeliest tokens' logits; so close, another order of summation may choose the other

# Lengths around a page's, a whole page, a long one, and one whose last tokens are given answer.
PROMPTS = (
    Tokens(tuple(range(20, 25)), 5),
    Tokens(tuple(range(30, 46)), 16),
    Tokens(tuple(range(40, 57)), 17),
    Tokens(tuple(9 + at * 7 % 250 for at in range(70)), 70),
    Tokens(tuple(range(60, 92)), 21),
    Tokens((*range(100, 110), *range(100, 110), *range(100, 110)), 30),
)
SAMPLINGS = (
    Sampling(max_tokens=12, logprobs=2),
    Sampling(max_tokens=5, temperature=1.0, seed=3, logprobs=2),
    Sampling(max_tokens=9, temperature=0.7, seed=8, top_p=0.9, repetition_penalty=1.2, logprobs=2),
    Sampling(max_tokens=1, logprobs=2),
    Sampling(max_tokens=0, logprobs=2),
)


@dataclass(frozen=True)
class Ask:
    """Somebody asks."""

    prompt: int
    sampling: int
    n: int
    partition: str | None


@dataclass(frozen=True)
class Leave:
    """The `which`th of those who have asked goes away."""

    which: int


@dataclass(frozen=True)
class Steps:
    """The engine makes some steps."""

    count: int


@dataclass(frozen=True)
class Purge:
    """What was kept is forgotten."""

    partition: str | None


Act = Ask | Leave | Steps | Purge
PARTITIONS = st.sampled_from([None, "a", "a", "b"])
ACTS: st.SearchStrategy[Act] = st.one_of(
    st.builds(Ask, st.integers(0, len(PROMPTS) - 1), st.integers(0, len(SAMPLINGS) - 1), st.integers(1, 3), PARTITIONS),
    st.builds(Steps, st.integers(1, 6)),
    st.builds(Leave, st.integers(0, 9)),
    st.builds(Purge, PARTITIONS),
)
SCHEDULES = st.lists(ACTS, min_size=4, max_size=24)
Build = Callable[[HrmText, PagedCache, str], Runner]


def stepper(tiny: Tiny, build: Build, *, slice_tokens: int, draft_tokens: int, pages: int, kept: int) -> Stepper:
    runner = build(tiny.model, PagedCache(CONFIG, pages, dtype=torch.float32, device="cpu"), "cpu")
    scheduler = Scheduler(
        pages, max_running=6, max_waiting=8, prefill_tokens=80, slice_tokens=slice_tokens, kept_pages=kept
    )
    return Stepper(runner, scheduler, tiny.tokenizer, draft_tokens=draft_tokens)


@cache
def alone(tiny: Tiny, ask: Ask, build: Build = Runner) -> Reply:
    """What somebody hears who asks an engine of their own."""

    async def run() -> Reply:
        own = stepper(tiny, build, slice_tokens=4096, draft_tokens=0, pages=64, kept=0)
        request = opened(tiny, 0, replace(ask, partition=None), draft_tokens=0)
        own.add(request)
        for _ in range(200):
            own.step()
        (reply,) = heard([request], await said([request]))
        return reply

    return asyncio.run(run())


def opened(tiny: Tiny, number: int, ask: Ask, draft_tokens: int) -> Request:
    prompt, sampling = PROMPTS[ask.prompt], SAMPLINGS[ask.sampling]
    return open_request(number, prompt, sampling, ask.n, LIMITS, tiny.tokenizer, draft_tokens, ask.partition)


async def said(requests: Sequence[Request]) -> list[list[object]]:
    """What has been sent to each."""
    await asyncio.sleep(0)
    return [[request.inbox.get_nowait() for _ in range(request.inbox.qsize())] for request in requests]


def heard(requests: Sequence[Request], events: Sequence[list[object]]) -> Iterator[Reply]:
    for _, mine in zip(requests, events, strict=True):
        reply = Reply()
        for event in mine:
            if not isinstance(event, EngineOverloaded):
                reply.take(event)  # type: ignore[arg-type]  # an inbox holds events and refusals
        yield reply


def follow(
    tiny: Tiny,
    acts: Sequence[Act],
    slice_tokens: int,
    draft_tokens: int,
    build: Build = Runner,
    *,
    pages: int = PAGES,
    build_alone: Build = Runner,
) -> int:
    """Follow a schedule, and compare everybody's answer with what they would have heard alone.

    Returns:
        Answers that differ, all of them from a near tie on.
    """
    expected = [alone(tiny, act, build_alone) for act in acts if isinstance(act, Ask)]
    engine = stepper(tiny, build, slice_tokens=slice_tokens, draft_tokens=draft_tokens, pages=pages, kept=6)
    return asyncio.run(_follow(tiny, engine, acts, expected, draft_tokens))


async def _follow(
    tiny: Tiny, engine: Stepper, acts: Sequence[Act], expected: Sequence[Reply], draft_tokens: int
) -> int:
    asks: list[Ask] = []
    requests: list[Request] = []
    left: set[int] = set()
    for act in acts:
        match act:
            case Ask():
                requests.append(opened(tiny, len(requests), act, draft_tokens))
                asks.append(act)
                engine.add(requests[-1])
            case Leave(which) if requests:
                left.add(which % len(requests))
                engine.cancel(which % len(requests))
            case Steps(count):
                for _ in range(count):
                    engine.step()
            case Purge(partition):
                engine.purge(partition)
    for _ in range(400):
        engine.step()
    assert not engine.requests, "somebody still waits"

    events = await said(requests)
    near_ties = 0
    for number, (ask, reply) in enumerate(zip(asks, heard(requests, events), strict=True)):
        if any(isinstance(event, EngineOverloaded) for event in events[number]):
            continue
        if number not in left:
            assert sorted(reply.finished) == list(range(ask.n))
        for choice in range(ask.n):
            near_ties += differs(reply, expected[number], choice, is_whole=number not in left)
    return near_ties


def differs(got: Reply, expected: Reply, choice: int, *, is_whole: bool) -> bool:
    """Compare token by token up to the first near tie; False: there is no difference."""
    for one, other in zip(got.scored.get(choice, ()), expected.scored.get(choice, ()), strict=is_whole):
        assert one.token == other.token
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
    mine, theirs = got.logprobs.get(choice, []), expected.logprobs.get(choice, [])
    for place, one in enumerate(mine):
        other = theirs[place]
        if one.token != other.token:
            gap = other.top[0][1] - other.top[1][1]
            assert gap < NEAR_TIE, f"choice {choice} says {one.token!r} for {other.token!r} at {place}, {gap} apart"
            return True
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
    if is_whole:
        assert len(mine) == len(theirs)
        assert got.texts.get(choice) == expected.texts.get(choice)
        assert got.finished[choice].counts == expected.finished[choice].counts
    return False
