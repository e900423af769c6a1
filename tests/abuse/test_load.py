"""More clients than a process can serve at once, over the bundled model: those whom the queue holds are served, the
rest told to come back.
"""

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
from tests.day.acts import FLOOR, act
from tests.day.notebook import Notebook
from tests.day.people import Office
from tests.day.visitor import Life, Visitor
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
    assert response.status_code == 503, response.text
    ErrorBody.model_validate(response.json())
    assert int(response.headers["retry-after"]) >= 1
    return "told to come back"


async def test_a_thousand_streams_at_once_are_served_as_far_as_the_default_queue_goes_and_the_rest_get_a_503(
    tmp_path: Path,
) -> None:
    ends = await a_thousand_streams(tmp_path)

    assert ends["done"] >= 64 + 256  # HRM_MAX_RUNNING and HRM_MAX_WAITING
    assert ends["done"] + ends["told to come back"] == STREAMS


async def test_a_thousand_streams_at_once_are_all_served_where_the_queue_holds_them(tmp_path: Path) -> None:
    ends = await a_thousand_streams(tmp_path, "--max-waiting", str(STREAMS))

    assert ends["done"] == STREAMS


async def a_thousand_streams(folder: Path, *flags: str) -> Counter[str]:
    """How they ended; one that comes after them is served."""
    began = monotonic()
    with serving(folder, BUNDLED_MODEL, flags) as served:
        async with clients(served, STREAMS) as client:
            ends = Counter(await asyncio.gather(*(streamed(client, number) for number in range(STREAMS))))
            after = await streamed(client, STREAMS)
        resident = memory_mib(served)

    print(f"\n{dict(ends)} in {monotonic() - began:.0f} s, {resident:.0f} MiB resident afterwards")
    assert after == "done"
    return ends


async def test_memory_stays_flat_under_mixed_load_while_clients_come_and_leave(tmp_path: Path) -> None:
    # All of so small a cache is touched early.
    seen: list[tuple[float, float]] = []
    office, notebook = Office(tmp_path), Notebook(Random(1))
    try:
        with serving(tmp_path, BUNDLED_MODEL, [*office.flags, "--kv-cache-bytes", "64MiB"]) as served:
            life, stop = Life(1, served.url), monotonic() + 60 * MINUTES
            async with clients(served, 64) as client:
                visitor = Visitor(client, office, notebook, life, Random(1))
                made = {"name": FLOOR, "access": {"read": ["*"], "write": ["*"]}}
                await visitor.send(office.admin, "POST", "/v1/vector_stores", json=made)

                async def be_busy(number: int) -> None:
                    one = visitor.with_luck(Random(number))
                    while monotonic() < stop:
                        await act(one, "hrm-text-mini")

                async def watch() -> None:
                    while monotonic() < stop:
                        await asyncio.sleep(MINUTES)
                        seen.append((memory_mib(served, "RssAnon"), memory_mib(served)))
                        print(f"{len(seen)} {life.acts} acts, MiB: {seen[-1]}", flush=True)

                await asyncio.gather(watch(), *(be_busy(number) for number in range(24)))
    finally:
        office.close()

    # The first third warms up: allocators, caches, the prompts that are kept.
    early, late = seen[len(seen) // 3 : len(seen) // 2], seen[-len(seen) // 6 :]
    # What is mapped from files (libraries, weights) comes in when it is first used, and is the system's to drop. Of the
    # rest, what is never given back raises the lowest that is seen.
    own = [each for each, _ in seen]
    third = len(own) // 3
    before, after = min(own[third:-third]), min(own[-third:])
    left = sum(one.was_left for one in notebook.told)
    moments = [seen[len(seen) // 3], seen[len(seen) // 2], seen[-1]]
    said = "; ".join(f"{each:.0f} ({resident:.0f})" for each, resident in moments)
    print(f"\nown (resident) MiB after a third, half and all of {MINUTES:g} minutes: {said};", end=" ")
    print(f"{len(notebook.told)} requests, {left} left")
    assert notebook.problems == []
    assert after < 1.03 * before, seen
    assert max(resident for _, resident in late) < 1.03 * max(resident for _, resident in early), seen


def memory_mib(served: Served, kind: str = "VmRSS") -> float:
    """Resident memory of the server's process: all of it, or what is in no file (RssAnon)."""
    lines = Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii").splitlines()
    (found,) = [line for line in lines if line.startswith(f"{kind}:")]
    return int(found.split()[1]) / 1024
