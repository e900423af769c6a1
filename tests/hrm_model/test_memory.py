"""An engine's memory: as large after ten thousand requests as after the first few hundred."""

import asyncio
import gc
import random
from pathlib import Path

import pytest
import torch

from hrm_model.cache import zeros
from hrm_model.engine import NativeEngine
from hrm_model.types import Question, Sampling
from tests.engines import Tiny, reply_of, running

pytestmark = pytest.mark.anyio

WARM_UP = 600  # requests until allocators and caches have what they will ever need
GROWTH = 8 * 2**20  # bytes of fragments; a page of this network is 32 KiB, a request's own objects a few KiB


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def ask(engine: NativeEngine, chance: random.Random, count: int) -> None:
    """Ask so many different things, 50 at a time: some twice, some with choices, some of whom leave."""
    for _ in range(0, count, 50):
        answers = []
        for _ in range(50):
            question = Question(" ".join(chance.choices(["refund", "desk", "who", "claim"], k=chance.randint(1, 40))))
            sampling = Sampling(max_tokens=chance.randint(1, 4), temperature=chance.choice([0.0, 1.0]), logprobs=1)
            events = engine.generate(question, sampling, n=chance.randint(1, 2), partition=chance.choice(["a", None]))
            if chance.random() < 0.1:
                await anext(events)
                await events.aclose()
            else:
                answers.append(reply_of(events))
        for reply in await asyncio.gather(*answers):
            assert reply.finished


async def check_stays(tiny: Tiny, count: int) -> None:
    chance = random.Random(3)
    engine = tiny.engine(max_running=32, max_waiting=100, kept_pages=100, draft_tokens=4)
    async with running(engine):
        await ask(engine, chance, WARM_UP)
        before = resident()
        await ask(engine, chance, count)
        after = resident()
    assert after - before < GROWTH, f"{after - before:,} bytes more after {count} requests"


async def test_a_thousand_requests_leave_memory_as_it_was(tiny: Tiny) -> None:
    await check_stays(tiny, 1000)


@pytest.mark.soak
async def test_ten_thousand_requests_leave_memory_as_it_was(tiny: Tiny) -> None:
    await check_stays(tiny, 10_000)


async def test_memory_that_is_kept_is_seen(tiny: Tiny) -> None:
    kept: list[list[int]] = []
    before = resident()
    kept.append(list(range(1_000_000)))

    assert resident() - before > GROWTH


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_a_cache_takes_memory_only_where_it_is_written_to(dtype: torch.dtype) -> None:
    before = resident()

    cache = zeros((4, 64 * 2**20 // dtype.itemsize), dtype, "cpu")
    assert resident() - before < GROWTH

    cache[1].fill_(1)
    assert resident() - before > 60 * 2**20
    assert cache[0, :9].tolist() == [0] * 9
    assert cache[1, -9:].tolist() == [1] * 9
