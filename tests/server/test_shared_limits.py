"""The limits of a key that people share: what one of them can tell by it of what the others do."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from server.identity import Caller, Limits, Unauthenticated
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import CLAIMS, HANDBOOK, MODEL, client_of, question, services, stocked

pytestmark = pytest.mark.anyio

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
LIMIT = 900
PORTAL = Caller("user:portal", frozenset({"group:claims"}), frozenset({"ask", "act-for"}), key_id="key_1")
PEOPLE = {
    "anna": Caller("user:anna", roles=frozenset({"ask"})),
    "ben": Caller("user:ben", frozenset({"group:claims"}), frozenset({"ask"})),
}
ABSENT, CLAIMS_DESK = f"{MODEL}@absent", f"{MODEL}@handbook"


async def authenticate(authorization_header: str | None, on_behalf_of: str | None = None) -> Caller:
    """Know one application, and the people that it acts for by their names."""
    if authorization_header is None:
        raise Unauthenticated
    return PORTAL if on_behalf_of is None else PEOPLE[on_behalf_of].behind(PORTAL)


class Portal:
    """One server behind the portal, and its people."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def asks(self, person: str, model: str, max_tokens: int) -> httpx.Response:
        body = question("Who leads the claims desk?", model=model, max_tokens=max_tokens)
        return await self._client.post(CHAT, json=body, headers={"X-On-Behalf-Of": person})

    async def completes(self, person: str, prompt: str, max_tokens: int) -> httpx.Response:
        body = {"model": MODEL, "prompt": prompt, "max_tokens": max_tokens}
        return await self._client.post(COMPLETIONS, json=body, headers={"X-On-Behalf-Of": person})

    async def use_up(self) -> None:
        """Let Ben ask until nothing is left."""
        while await self.left():
            assert (await self.asks("ben", CLAIMS_DESK, 500)).status_code == 200

    async def left(self) -> int:
        """What the application is told when it asks for itself."""
        return int((await self._client.get("/v1/models")).headers["x-ratelimit-remaining-tokens"])


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    shelf = await stocked(tmp_path, HANDBOOK, read="group:claims")
    given = services(ScriptedEngine(CLAIMS), shelf, key_limits=Limits(tokens_per_minute=LIMIT))
    given = replace(given, authenticate=authenticate, clock=lambda: 1000.25)
    async with client_of(given) as client:
        yield Portal(client)


async def told(portal: Portal) -> list[tuple[int, str]]:
    """What Anna hears when she asks for longer and longer answers that cost nothing."""
    answers = [await portal.asks("anna", ABSENT, most) for most in (1, LIMIT // 2, LIMIT - 4, LIMIT - 1)]
    return [(answer.status_code, answer.text) for answer in answers]


async def test_what_others_have_used_of_a_shared_key_shows_in_nothing_while_anything_is_left(portal: Portal) -> None:
    before = await told(portal)

    used = (await portal.asks("ben", CLAIMS_DESK, 500)).json()["usage"]["total_tokens"]

    assert used > 0
    assert await portal.left() == LIMIT - used
    assert await told(portal) == before
    assert {status for status, _ in before} == {404}


async def test_a_shared_key_that_is_used_up_is_a_429_for_everybody_behind_it(portal: Portal) -> None:
    await portal.use_up()

    refused = [await portal.asks("anna", ABSENT, 1), await portal.completes("anna", "x", 1)]

    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "61"


async def test_a_long_answer_that_is_asked_for_costs_a_shared_key_what_was_written_of_it(portal: Portal) -> None:
    used = [(await portal.completes("anna", "x", LIMIT - 10)).json()["usage"]["total_tokens"] for _ in range(3)]

    assert await portal.left() == LIMIT - sum(used)


async def test_more_than_a_minute_of_a_shared_key_has_is_a_400_whatever_is_left(portal: Portal) -> None:
    answers = [await portal.asks("anna", ABSENT, LIMIT)]
    await portal.use_up()
    answers.append(await portal.asks("anna", ABSENT, LIMIT))

    assert [answer.json()["error"]["code"] for answer in answers] == ["exceeds_tokens_per_minute"] * 2
