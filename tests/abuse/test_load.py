"""More clients than a process can serve at once, over the bundled model: all are answered or told to come back."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from random import Random
from time import monotonic

import httpx
import pytest

from server.schemas.objects import ErrorBody
from server.settings import BUNDLED_MODEL
from tests.e2e.served import Served, serving
from tests.fakes.serving import chunks, question

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

STREAMS = 1000
MINUTES = float(os.environ.get("SOAK_MINUTES", "3"))
CHAT = "/v1/chat/completions"
MODEL = "hrm-text-mini@none"


def clients(served: Served, count: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=count)
    return httpx.AsyncClient(base_url=served.url, timeout=httpx.Timeout(600, connect=60), limits=limits)


async def streamed(client: httpx.AsyncClient, number: int) -> str:
    """How one stream ended: `done`, or `told to come back`."""
    asked = question(f"What is {number}?", model=MODEL, stream=True, max_tokens=8)
    response = await client.post(CHAT, json=asked)
    if response.status_code == 200:
        assert chunks(response.text)[-1]["choices"][0]["finish_reason"] in ("stop", "length")
        return "done"
    assert response.status_code in (429, 503), response.text
    ErrorBody.model_validate(response.json())
    assert int(response.headers["retry-after"]) >= 1
    return "told to come back"


@pytest.mark.parametrize("flags", [(), ("--max-waiting", "1000")], ids=["as it comes", "with a queue for all"])
async def test_a_thousand_streams_at_once(flags: tuple[str, ...], tmp_path: Path) -> None:
    began = monotonic()
    with serving(tmp_path, BUNDLED_MODEL, flags) as served:
        async with clients(served, STREAMS) as client:
            ends = Counter(await asyncio.gather(*(streamed(client, number) for number in range(STREAMS))))
            after = await streamed(client, STREAMS)
        resident = memory_mib(served)

    print(f"\n{dict(ends)} in {monotonic() - began:.0f} s, {resident:.0f} MiB resident afterwards")
    assert ends.total() == STREAMS
    assert ends["done"] >= (STREAMS if flags else 64 + 256)
    assert after == "done"


async def test_memory_stays_flat_while_clients_come_and_leave(tmp_path: Path) -> None:
    # All of so small a cache is touched early.
    # A small share of clients reads to the end; the others leave whenever it occurs to them.
    random, stop = Random(1), monotonic() + 60 * MINUTES
    seen: list[float] = []
    with serving(tmp_path, BUNDLED_MODEL, ["--kv-cache-bytes", "64MiB"]) as served:
        async with clients(served, 64) as client:

            async def come_and_leave() -> None:
                while monotonic() < stop:
                    asked = question(f"What is {random.random()}?", model=MODEL, stream=True, max_tokens=64)
                    async with client.stream("POST", CHAT, json=asked) as response:
                        async for _ in response.aiter_raw():
                            if random.random() < 0.1:
                                break

            async def watch() -> None:
                while monotonic() < stop:
                    await asyncio.sleep(MINUTES)
                    seen.append(memory_mib(served))

            await asyncio.gather(watch(), *(come_and_leave() for _ in range(48)))

    # The first third warms up: allocators, caches, the prompts that are kept.
    early, late = seen[len(seen) // 3 : len(seen) // 2], seen[-len(seen) // 6 :]
    print(f"\nresident: {min(seen):.0f} to {max(seen):.0f} MiB over {MINUTES:g} minutes")
    assert max(late) < 1.03 * max(early), seen


def memory_mib(served: Served) -> float:
    """Resident memory of the server's process."""
    lines = Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii").splitlines()
    (found,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(found.split()[1]) / 1024
