"""The probes: open to everybody, and honest about not being ready."""

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


async def test_a_server_that_still_loads_lives_and_says_what_it_waits_for() -> None:
    async with client_of(services(not_ready="the model is still loading"), key=None) as client:
        live, ready = await client.get("/livez"), await client.get("/readyz")

    assert (live.status_code, ready.status_code) == (200, 503)
    assert ready.json()["error"]["message"] == "the model is still loading"
    assert "retry-after" in ready.headers
