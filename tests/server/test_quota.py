"""Limits of keys and people over HTTP: the refusal, the headers, what counts, and when it ends."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from hrm_model.errors import EngineError, EngineOverloaded
from server.deps import Services
from server.identity import Caller, Limits
from server.quota import subjects_of
from server.schemas.objects import ErrorBody
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import CALLERS, client_of, frames, listening, question, services

pytestmark = pytest.mark.anyio

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limited(
    engine: ScriptedEngine | None = None, clock: Clock | None = None, *, person: Limits | None = None, **limits: int
) -> Services:
    """Services that hold keys to these limits."""
    given = services(engine, key_limits=Limits(**limits), person_limits=person or Limits())
    return replace(given, clock=clock or Clock())


def key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def left(response: httpx.Response, resource: str = "requests") -> tuple[str | None, ...]:
    names = (f"x-ratelimit-{what}-{resource}" for what in ("limit", "remaining", "reset"))
    return tuple(response.headers.get(name) for name in names)


def is_over(response: httpx.Response, retry_after: int) -> bool:
    ErrorBody.model_validate(response.json())
    error = response.json()["error"]
    told = (response.status_code, error["type"], error["code"], response.headers["retry-after"])
    return told == (429, "rate_limit_error", "rate_limit_exceeded", str(retry_after))


async def test_a_request_too_many_is_a_429_that_says_when_to_come_back() -> None:
    clock, engine = Clock(), ScriptedEngine("a")
    async with client_of(limited(engine, clock, requests_per_minute=2)) as client:
        first = await client.post(CHAT, json=question())
        clock.now += 5
        second = await client.post(CHAT, json=question())
        third = await client.post(CHAT, json=question())
        clock.now += 56
        fourth = await client.post(CHAT, json=question())

    assert [response.status_code for response in (first, second, fourth)] == [200, 200, 200]
    assert is_over(third, 56)
    assert "this key may have 2 requests a minute. Try again in 56 s." in third.json()["error"]["message"]
    assert [left(response) for response in (first, second, third)] == [
        ("2", "1", "1m1s"),
        ("2", "0", "1m1s"),
        ("2", "0", "1m1s"),
    ]
    assert len(engine.prompts) == 3, "what is refused starts nothing"


async def test_other_routes_count_too_and_the_probes_and_metrics_do_not() -> None:
    async with client_of(limited(requests_per_minute=1)) as client:
        assert (await client.get("/v1/models")).status_code == 200
        assert is_over(await client.get("/v1/models"), 61)
        for _ in range(3):
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/metrics", headers=key("sk-probe"))).status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        (CHAT, b"{", 400),
        (CHAT, b'{"model": "hrm-text-mini", "messages": []}', 400),
        (CHAT, b'{"model": "another", "messages": [{"role": "user", "content": "Who?"}]}', 404),
        (CHAT, b"[" * 5_000_000, 413),
    ],
)
async def test_a_request_that_is_wrong_counts_as_one(path: str, content: bytes, status: int) -> None:
    async with client_of(limited(requests_per_minute=1)) as client:
        refused = await client.post(path, content=content, headers={"content-type": "application/json"})

        assert (refused.status_code, left(refused)[1]) == (status, "0")
        assert is_over(await client.post(CHAT, json=question()), 61)


async def test_a_refusal_for_want_of_a_role_counts_as_it_leaves_a_record_and_one_for_too_many_does_not() -> None:
    async with client_of(limited(requests_per_minute=1)) as client:
        assert (await client.post("/v1/files", headers=key("sk-ann"))).status_code == 403
        for _ in range(2):
            assert is_over(await client.post(CHAT, json=question()), 61)


async def test_a_stranger_uses_up_nothing_and_learns_nothing() -> None:
    async with client_of(limited(requests_per_minute=1), None) as client:
        for _ in range(3):
            response = await client.post(CHAT, json=question())
            assert response.status_code == 401
            assert left(response) == (None, None, None)


@pytest.mark.parametrize("route", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_reserved_and_what_was_not_used_comes_back(route: str, stream: bool) -> None:
    engine = ScriptedEngine("a ", "b")  # three tokens, with the one that closes
    asked: dict[str, Any] = {"model": "hrm-text-mini", "max_tokens": 50, "stream": stream}
    asked |= {"messages": [{"role": "user", "content": "one two"}]} if route == CHAT else {"prompt": "one two"}
    async with client_of(limited(engine, tokens_per_minute=100)) as client:
        first = await client.post(route, json=asked)
        second = await client.post(route, json=asked)

    assert (first.status_code, second.status_code) == (200, 200)
    # 5: two words and three marks around them; 8 of the first were used.
    assert left(first, "tokens") == ("100", str(100 - 5 - 50), "1m1s")
    assert left(second, "tokens") == ("100", str(100 - 8 - 5 - 50), "1m1s")


async def test_too_many_tokens_are_a_429_and_start_nothing() -> None:
    engine, clock = ScriptedEngine(*["a"] * 60), Clock()
    async with client_of(limited(engine, clock, tokens_per_minute=100, requests_per_minute=5)) as client:
        asked = question("one two", max_tokens=60)
        first = await client.post(CHAT, json=asked)
        second = await client.post(CHAT, json=asked)
        clock.now += 61
        third = await client.post(CHAT, json=asked)

    assert (first.status_code, third.status_code) == (200, 200)
    assert is_over(second, 61)
    assert left(second)[1] == "3", "it is a request that was made"
    assert left(second, "tokens")[1] == left(first, "tokens")[1], "and took no tokens"
    assert len(engine.prompts) == 2


@pytest.mark.parametrize("route", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("too_much", [{"max_tokens": 97}, {"max_tokens": 20, "n": 5}])
async def test_more_tokens_than_a_minute_has_are_a_400_however_many_are_left(
    route: str, too_much: dict[str, int]
) -> None:
    asked: dict[str, Any] = {"model": "hrm-text-mini"}
    asked |= {"messages": [{"role": "user", "content": "a"}]} if route == CHAT else {"prompt": "a"}
    async with client_of(limited(ScriptedEngine("a"), tokens_per_minute=100)) as client:
        beyond = [await client.post(route, json={**asked, **too_much})]
        within = await client.post(route, json={**asked, "max_tokens": 96})  # a word and three marks around it
        beyond.append(await client.post(route, json={**asked, **too_much}))
        over = await client.post(route, json={**asked, "max_tokens": 96})

    for response in beyond:
        ErrorBody.model_validate(response.json())
        assert (response.status_code, response.json()["error"]["code"]) == (400, "exceeds_tokens_per_minute")
    assert within.status_code == 200
    assert is_over(over, 61)


async def test_every_prompt_and_every_choice_is_reserved() -> None:
    async with client_of(limited(ScriptedEngine("a"), tokens_per_minute=1000)) as client:
        response = await client.post(
            COMPLETIONS, json={"model": "hrm-text-mini", "prompt": ["one", "one two"], "n": 2, "max_tokens": 10}
        )

    assert left(response, "tokens")[1] == str(1000 - (4 + 2 * 10) - (5 + 2 * 10))


async def test_embeddings_cost_the_tokens_that_they_read() -> None:
    asked = {"model": "words-apart", "input": "one two three"}
    async with client_of(limited(tokens_per_minute=5)) as client:
        first = await client.post("/v1/embeddings", json=asked)
        second = await client.post("/v1/embeddings", json=asked)

    assert (first.status_code, left(first, "tokens")[1]) == (200, "2")
    assert is_over(second, 61)


@pytest.mark.parametrize("route", [CHAT, COMPLETIONS])
async def test_an_answer_is_no_longer_than_a_key_may_have_it(route: str) -> None:
    engine = ScriptedEngine(*["a"] * 20)
    asked: dict[str, Any] = {"model": "hrm-text-mini"}
    asked |= {"messages": [{"role": "user", "content": "x"}]} if route == CHAT else {"prompt": "x"}
    given = limited(engine, max_tokens=9, person=Limits(max_tokens=7))
    async with client_of(given) as client:
        longest = await client.post(route, json={**asked, "max_tokens": 7})
        longer = await client.post(route, json={**asked, "max_tokens": 8})
        unsaid = await client.post(route, json=asked)

    assert longest.json()["usage"]["completion_tokens"] == unsaid.json()["usage"]["completion_tokens"] == 7
    assert unsaid.json()["choices"][0]["finish_reason"] == "length"
    assert (longer.status_code, longer.json()["error"]["param"]) == (400, "max_tokens")
    assert "at most 7" in longer.json()["error"]["message"]


async def test_the_persons_limit_holds_over_all_keys() -> None:
    given = limited(requests_per_minute=10, person=Limits(requests_per_minute=1))
    CALLERS["sk-ann-2"] = replace(CALLERS["sk-ann"], key_id="key_12")
    try:
        async with client_of(given) as client:
            assert (await client.get("/v1/models")).status_code == 200
            refused = await client.get("/v1/models", headers=key("sk-ann-2"))
            assert (await client.get("/v1/models", headers=key("sk-ben"))).status_code == 200
    finally:
        del CALLERS["sk-ann-2"]

    assert is_over(refused, 61)
    assert "this person may have 1 requests a minute" in refused.json()["error"]["message"]


async def test_a_keys_own_limits_count_before_the_usual_ones() -> None:
    policy = services(key_limits=Limits(5, 6, 7, 8), person_limits=Limits(9)).policy
    own, person = subjects_of(Caller("user:a", key_id="key_1", limits=Limits(tokens_per_minute=60)), policy)

    assert (own.limits, person.limits) == (Limits(5, 60, 7, 8), Limits(9))
    assert [one.name for one in subjects_of(Caller("user:a"), policy)] == ["user:a"]


async def test_an_application_that_acts_for_somebody_is_held_to_its_own_limits_and_to_theirs() -> None:
    application = Caller("user:app", key_id="key_1", limits=Limits(requests_per_minute=5))
    policy = services(person_limits=Limits(requests_per_minute=2)).policy

    key, person = subjects_of(Caller("user:ann").behind(application), policy)

    assert (key.name, key.limits.requests_per_minute) == ("key key_1", 5)
    assert (person.name, person.limits.requests_per_minute) == ("user:ann", 2)


async def test_requests_at_the_same_time_end_with_their_streams() -> None:
    engine = ScriptedEngine("a", "b")
    async with (
        listening(limited(engine, concurrent_requests=1)) as url,
        httpx.AsyncClient(base_url=url, headers=key("sk-ann")) as client,
    ):
        engine.gate.clear()
        async with client.stream("POST", CHAT, json=question(stream=True)) as response:
            await anext(response.aiter_raw())
            refused = await client.post(CHAT, json=question())
            assert is_over(refused, 1)
            assert "1 requests at the same time" in refused.json()["error"]["message"]
        await engine.idle.wait()  # the client has left
        engine.gate.set()

        async with asyncio.timeout(5):
            while (await client.post(CHAT, json=question())).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert frames((await client.post(CHAT, json=question(stream=True))).text)[-1] == "[DONE]"


@pytest.mark.parametrize("error", [EngineOverloaded(1, 1), EngineError("broken"), ZeroDivisionError()])
async def test_a_request_that_fails_gives_back_its_place_and_its_tokens(error: Exception) -> None:
    given = limited(ScriptedEngine(refusal=error), concurrent_requests=1, tokens_per_minute=200)
    async with client_of(given) as client:
        statuses = {(await client.post(CHAT, json=question(max_tokens=100))).status_code for _ in range(5)}

    assert statuses <= {500, 503}


async def test_a_client_that_leaves_pays_for_what_was_written() -> None:
    engine = ScriptedEngine("a", "b", "c")
    async with (
        listening(limited(engine, tokens_per_minute=1000)) as url,
        httpx.AsyncClient(base_url=url, headers=key("sk-ann")) as client,
    ):
        engine.gate.clear()
        async with client.stream("POST", CHAT, json=question("one two", stream=True, max_tokens=500)) as response:
            await anext(response.aiter_raw())
        await engine.idle.wait()

        async with asyncio.timeout(5):
            while left(await client.get("/v1/models"), "tokens")[1] != str(1000 - 5 - 1):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_refusals_are_counted_by_the_limit_that_held() -> None:
    given = limited(requests_per_minute=2, tokens_per_minute=50)
    async with client_of(given) as client:
        await client.post(CHAT, json=question(max_tokens=100))
        await client.get("/v1/models")
        await client.get("/v1/models")
        metrics = (await client.get("/metrics", headers=key("sk-probe"))).text

    for reason in ("requests_per_minute", "tokens_per_minute"):
        assert f'hrm_refused_requests_total{{reason="{reason}"}} 1.0' in metrics


async def test_without_limits_nothing_is_told() -> None:
    async with client_of(services(ScriptedEngine("a"))) as client:
        response = await client.post(CHAT, json=question())

    assert not [name for name in response.headers if name.startswith("x-ratelimit")]
