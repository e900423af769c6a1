"""What responses say to browsers: on each of them, whatever the route and however it went."""

import ssl
from pathlib import Path

import httpx
import pytest

from server.headers import SAFE, STRICT_TRANSPORT
from server.tls import Tls, TlsFiles
from tests.authority import Authority
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import client_of, listening, question, services

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
PAGE = "https://intranet.example"


def is_safe(response: httpx.Response) -> bool:
    return all(response.headers.get(name) == value for name, value in SAFE.items())


async def test_every_response_is_safe_to_show_a_browser() -> None:
    async with client_of(services(ScriptedEngine("ok"))) as client:
        responses = {
            "probe": await client.get("/readyz"),
            "answer": await client.post(CHAT, json=question()),
            "stream": await client.post(CHAT, json=question(stream=True)),
            "refusal": await client.post(CHAT, json={}),
            "no key": await client.get("/v1/models", headers={"Authorization": ""}),
            "unknown path": await client.get("/nowhere"),
            "wrong method": await client.put(CHAT),
            "too large": await client.post(CHAT, content=b"x", headers={"Content-Length": "9" * 12}),
        }
    async with client_of(services(ScriptedEngine(refusal=ZeroDivisionError()))) as client:
        responses["unforeseen"] = await client.post(CHAT, json=question())

    statuses = {name: response.status_code for name, response in responses.items()}
    assert list(statuses.values()) == [200, 200, 200, 400, 401, 404, 405, 413, 500]
    assert [name for name, response in responses.items() if not is_safe(response)] == []
    assert [name for name, response in responses.items() if "x-request-id" not in response.headers] == []


async def test_without_tls_nobody_is_told_to_keep_to_it() -> None:
    async with listening(services()) as url, httpx.AsyncClient() as client:
        response = await client.get(f"{url}/livez")

    assert is_safe(response)
    assert STRICT_TRANSPORT[0] not in response.headers


async def test_browsers_are_told_to_keep_to_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    trusting = ssl.create_default_context(cafile=authority.certificate)
    tls = Tls(TlsFiles(pair.certificate, pair.key))
    async with listening(services(), tls.context) as url, httpx.AsyncClient(verify=trusting) as client:
        response = await client.get(f"{url}/livez")
        # Its headers are too many for any route to see it.
        refused = await client.get(f"{url}/livez", headers={"X-Filler": "a" * 40_000})

    assert refused.status_code == 431
    for each in (response, refused):
        assert is_safe(each)
        assert each.headers[STRICT_TRANSPORT[0]] == STRICT_TRANSPORT[1]


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }


async def test_no_web_page_may_call_unless_it_is_named() -> None:
    async with client_of(services()) as client:
        asked = await client.options(CHAT, headers=preflight(PAGE))
        sent = await client.post(CHAT, json=question(), headers={"Origin": PAGE})

    assert asked.status_code == 405
    assert [name for name in (*asked.headers, *sent.headers) if name.startswith("access-control")] == []


@pytest.mark.parametrize("origin", ["https://evil.example", f"{PAGE}.evil.example", "http://intranet.example", "null"])
async def test_only_the_origin_that_was_named_may_call(origin: str) -> None:
    async with client_of(services(origins=(PAGE,))) as client:
        named = await client.options(CHAT, headers=preflight(PAGE))
        other = await client.options(CHAT, headers=preflight(origin))
        sent = await client.post(CHAT, json=question(), headers={"Origin": origin})

    assert (named.status_code, named.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "x-stainless-lang" in named.headers["access-control-allow-headers"]
    assert other.status_code == 400
    assert "access-control-allow-origin" not in {*other.headers, *sent.headers}


async def test_a_named_page_may_read_answers_and_failures_and_sends_no_cookies() -> None:
    async with client_of(services(ScriptedEngine(refusal=ZeroDivisionError()), origins=(PAGE,))) as client:
        failed = await client.post(CHAT, json=question(), headers={"Origin": PAGE})
        refused = await client.get("/v1/models", headers={"Origin": PAGE, "Authorization": ""})

    assert (failed.status_code, refused.status_code) == (500, 401)
    for response in (failed, refused):
        assert response.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in response.headers
        assert "origin" in response.headers["vary"].lower()
        assert "x-request-id" in response.headers["access-control-expose-headers"].lower()
