"""The metrics' own listener, over real sockets: /metrics without a key, within bounds, and nothing else."""

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from server.app import create_app, metrics_app
from server.building.policy import metrics_bounds
from server.connection import Bounds
from server.deps import Services
from server.schemas.objects import ErrorBody
from server.settings import Settings
from server.tls import Tls, TlsFiles
from tests.authority import Authority
from tests.fakes.serving import behind_socket, services
from tests.samples import samples
from tests.server.every_route import calls
from tests.server.line import is_refusal, line_to

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def watched(
    given: Services | None = None,
    *,
    is_loopback: bool = True,
    bounds: Bounds | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """The listener beside an application; gives its base URL."""
    given = given or services()
    measured = create_app(given).state.metrics
    app = metrics_app(given.policy, measured, is_loopback=is_loopback)
    async with behind_socket(app, measured, tls, bounds=bounds) as url:
        yield url


async def test_it_tells_the_metrics_of_the_whole_server_without_a_key() -> None:
    async with watched() as url, httpx.AsyncClient(base_url=url) as client:
        await client.get("/metrics")
        response = await client.get("/metrics")

    found = samples(response.text)
    assert found[("hrm_ready", ())] == 1
    assert found[("hrm_http_requests_total", (("route", "/metrics"), ("status", "200")))] == 1
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.headers["cache-control"] == "no-store"
    assert "x-request-id" in response.headers


async def test_no_other_route_of_the_server_is_there_whatever_key_is_sent() -> None:
    async with watched() as url, httpx.AsyncClient(base_url=url) as client:
        answers = {
            name: await client.request(method, path, headers={"Authorization": "Bearer sk-admin"})
            for name, method, path in calls()
        }

    assert {name for name, answer in answers.items() if answer.status_code != 404} == {"GET /metrics"}
    assert len(answers) > 30
    for name, answer in answers.items():
        assert name == "GET /metrics" or ErrorBody.model_validate(answer.json())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_metrics_can_be_read_and_nothing_else(method: str) -> None:
    async with watched() as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.request(method, "/metrics")

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_headers_beyond_the_limit_are_a_431() -> None:
    async with watched(bounds=Bounds(header_bytes=4096)) as url, line_to(url) as line:
        status, _, body = await line.ask(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"a" * 5000 + b"\r\n\r\n")

    assert (status, body["error"]["code"]) == (431, "headers_too_large")


async def test_headers_that_do_not_arrive_are_a_408_and_a_silent_connection_is_closed() -> None:
    async with watched(bounds=Bounds(header_s=0.1)) as url, line_to(url) as slow, line_to(url) as silent:
        answer = await slow.ask(b"GET /metrics HTTP/1.1\r\nhost:")

        assert is_refusal(answer, 408, "request_timeout")
        assert await slow.ends() == b""
        assert await silent.ends() == b""


async def test_a_body_that_nobody_reads_does_not_hold_the_connection() -> None:
    async with watched(bounds=Bounds(header_s=0.1)) as url, line_to(url) as line:
        line.writer.write(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n")

        assert (await line.ends()).startswith(b"HTTP/1.1 200")


async def test_a_crowd_is_turned_away_and_counted() -> None:
    bounds = metrics_bounds(Settings(max_connections=1))
    async with (
        watched(bounds=bounds) as url,
        line_to(url) as first,
        httpx.AsyncClient(base_url=url) as second,
    ):
        first.writer.write(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert (await first.reader.readline()).startswith(b"HTTP/1.1 200")
        crowded = await second.get("/metrics")
        first.writer.close()

        assert (crowded.status_code, crowded.json()["error"]["code"]) == (503, "too_many_connections")


def test_its_bounds_are_the_servers_for_a_few_connections() -> None:
    settings = Settings(header_seconds=3, keep_alive_seconds=4, unread_seconds=5, max_header_bytes=8192)

    assert metrics_bounds(settings) == Bounds(16, 8192, header_s=3, keep_alive_s=4, unread_s=5)
    assert metrics_bounds(Settings(max_connections=3)).connections == 3


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"X-Forwarded-For": "203.0.113.9"}]
)
async def test_on_loopback_no_web_page_reads_them_through_its_visitors_browser(headers: dict[str, str]) -> None:
    async with watched() as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.get("/metrics", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "local_only")
    assert "metrics" in answer.json()["error"]["message"]


async def test_on_other_addresses_the_server_may_have_any_name() -> None:
    async with watched(is_loopback=False) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/metrics", headers={"Host": "hrm.example:8001"})).status_code == 200


async def test_with_tls_and_client_certificates_both_are_asked_for_here_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, own = authority.issue("server"), authority.issue("client")
    tls = Tls(TlsFiles(pair.certificate, pair.key, authority.certificate))
    known, unknown = (ssl.create_default_context(cafile=authority.certificate) for _ in range(2))
    known.load_cert_chain(own.certificate, own.key)

    async with watched(tls=tls.context) as url:
        async with httpx.AsyncClient(base_url=url, verify=known) as client:
            answer = await client.get("/metrics")
        async with httpx.AsyncClient(base_url=url, verify=unknown) as stranger:
            with pytest.raises(httpx.HTTPError):
                await stranger.get("/metrics")
        async with httpx.AsyncClient(base_url=re.sub("^https", "http", url)) as plain:
            with pytest.raises(httpx.HTTPError):
                await plain.get("/metrics")

    assert answer.status_code == 200
    assert "strict-transport-security" in answer.headers
