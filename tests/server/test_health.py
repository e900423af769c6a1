"""The probes: open to everybody, and honest about not being ready."""

import asyncio
import threading
from dataclasses import replace

import pytest

from tests.fakes.serving import client_of, services

pytestmark = pytest.mark.anyio


async def test_a_ready_server_says_so_without_a_key() -> None:
    async with client_of(services(), key=None) as client:
        live, ready = await client.get("/livez"), await client.get("/readyz")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "warnings": []})


async def test_what_somebody_has_to_see_to_is_said_while_the_server_answers() -> None:
    async with client_of(services(warnings=lambda: ["the certificate ends"]), key=None) as client:
        ready = await client.get("/readyz")

    assert (ready.status_code, ready.json()["warnings"]) == (200, ["the certificate ends"])


async def test_a_look_that_waits_for_the_disk_holds_up_nobody_else() -> None:
    is_alive = threading.Event()

    def ready() -> str | None:
        return None if is_alive.wait(10) else "nobody could say that the server lives"

    async with client_of(replace(services(), ready=ready), key=None) as client:
        looking = asyncio.create_task(client.get("/readyz"))
        await asyncio.sleep(0.05)
        assert (await client.get("/livez")).status_code == 200
        is_alive.set()

        assert (await looking).status_code == 200


async def test_a_server_that_still_loads_lives_and_says_what_it_waits_for() -> None:
    async with client_of(services(not_ready="the model is still loading"), key=None) as client:
        live, ready = await client.get("/livez"), await client.get("/readyz")

    assert (live.status_code, ready.status_code) == (200, 503)
    assert ready.json()["error"]["message"] == "the model is still loading"
    assert "retry-after" in ready.headers
