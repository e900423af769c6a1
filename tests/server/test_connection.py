"""What a connection may take: over real sockets, since no client library behaves badly enough."""

import asyncio
import json

import httpx
import pytest

from server.app import create_app
from server.connection import Bounds
from server.local_only import LocalOnly
from server.schemas.objects import ErrorBody
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import behind_socket, listening, question, services
from tests.server.line import is_refusal, is_safe, line_to

pytestmark = pytest.mark.anyio

LIVE = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
    b"authorization: Bearer sk-ann\r\ncontent-type: application/json\r\n"
)


async def test_headers_that_do_not_arrive_are_a_408() -> None:
    async with listening(services(), bounds=Bounds(header_s=0.1)) as url, line_to(url) as line:
        answer = await line.ask(b"GET /livez HTTP/1.1\r\nhost:")

        assert is_refusal(answer, 408, "request_timeout")
        assert await line.ends() == b""


async def test_headers_that_trickle_get_no_more_time_for_it() -> None:
    async with listening(services(), bounds=Bounds(header_s=0.2)) as url, line_to(url) as line:

        async def trickle() -> None:
            for byte in LIVE[:-1] * 20:
                line.writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        trickling = asyncio.ensure_future(trickle())
        try:
            async with asyncio.timeout(3):
                assert is_refusal(await line.response(), 408, "request_timeout")
        finally:
            trickling.cancel()


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    async with listening(services(), bounds=Bounds(header_s=0.1)) as url, line_to(url) as line:
        assert await line.ends() == b""


async def test_a_connection_may_rest_between_two_requests_and_not_for_ever() -> None:
    async with listening(services(), bounds=Bounds(header_s=0.5, keep_alive_s=2.5)) as url, line_to(url) as line:
        assert (await line.ask(LIVE))[0] == 200
        await asyncio.sleep(0.7)
        assert (await line.ask(LIVE))[0] == 200

        assert await line.ends() == b""


@pytest.mark.parametrize(
    "piece", [b"x-filler: " + b"a" * 5000 + b"\r\n", b"x-filler: a\r\n" * 400, b"x:" + b" " * 5000 + b"a\r\n"]
)
@pytest.mark.parametrize("end", [b"", b"\r\n"])
async def test_headers_beyond_the_limit_are_a_431(piece: bytes, end: bytes) -> None:
    async with listening(services(), bounds=Bounds(header_bytes=4096)) as url, line_to(url) as line:
        status, headers, body = await line.ask(b"GET /livez HTTP/1.1\r\nhost: x\r\n", piece, end)

    ErrorBody.model_validate(body)
    assert is_safe(headers)
    assert (status, body["error"]["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize(("name", "line_end"), [(b"x", b"\r\n"), (b"x", b"\n"), (b"y: 1\r\nx", b"\r\n")])
@pytest.mark.parametrize("rest", [b"", b"GET /livez"])
async def test_a_head_may_be_as_long_as_the_limit_and_no_longer(name: bytes, line_end: bytes, rest: bytes) -> None:
    start = b"GET /livez HTTP/1.1\r\nhost: z\r\n" + b"a:\r\n" * 900 + name + b":"
    end = line_end + line_end
    filler = b"a" * (4096 - len(start) - len(end))
    async with listening(services(), bounds=Bounds(header_bytes=4096)) as url:
        async with line_to(url) as line:
            assert (await line.ask(start + filler + end + rest))[0] == 200
        async with line_to(url) as line:
            assert is_refusal(await line.ask(start + filler + b"a" + end + rest), 431, "headers_too_large")


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://127.0.0.1/livez", b"elsewhere.example", 200),
        (b"HTTP://127.0.0.1:8000/livez?x=1", b"127.0.0.1", 200),
        (b"http://127.0.0.1", b"127.0.0.1", 404),
        (b"http://elsewhere.example/livez", b"127.0.0.1", 403),
        (b"http://ann@127.0.0.1/livez", b"127.0.0.1", 404),
        (b"ftp://127.0.0.1/livez", b"127.0.0.1", 404),
    ],
)
async def test_a_target_that_names_its_host_is_read_without_it_and_believed_before_the_header(
    target: bytes, host: bytes, status: int
) -> None:
    app = create_app(services())
    local = LocalOnly(app, is_open=lambda: True)
    async with behind_socket(local, app.state.metrics) as url, line_to(url) as line:
        head = b"GET " + target + b" HTTP/1.1\r\nauthorization: Bearer sk-ann\r\nhost: " + host + b"\r\n\r\n"

        assert (await line.ask(head))[0] == status


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1 and more\r\nhost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nbad name: 1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n folded: 1\r\nhost: x\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        HEAD
        + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_has_the_one_error_body(sent: bytes) -> None:
    async with listening(services()) as url, line_to(url) as line:
        status, headers, body = await line.ask(sent)
        await line.ends()

    ErrorBody.model_validate(body)
    assert (status, body["error"]["code"], headers["connection"]) == (400, "invalid_http", "close")
    assert is_safe(headers)


async def test_a_body_that_does_not_arrive_is_a_408_and_the_connection_ends() -> None:
    async with listening(services(body_s=0.1)) as url, line_to(url) as line:
        answer = await line.ask(HEAD, b"content-length: 100\r\n\r\n{")

        assert is_refusal(answer, 408, "request_timeout")
        assert await line.ends() == b""


async def test_a_body_that_trickles_gets_no_more_time_for_it() -> None:
    async with listening(services(body_s=0.2)) as url, line_to(url) as line:
        line.writer.write(HEAD + b"content-length: 1000\r\n\r\n")

        async def trickle() -> None:
            while True:
                line.writer.write(b" ")
                await asyncio.sleep(0.02)

        trickling = asyncio.ensure_future(trickle())
        try:
            async with asyncio.timeout(3):
                assert is_refusal(await line.response(), 408, "request_timeout")
        finally:
            trickling.cancel()


async def test_a_long_answer_is_not_a_slow_body() -> None:
    engine = ScriptedEngine("a", "b")
    engine.gate.clear()
    async with listening(services(engine, body_s=0.1)) as url, httpx.AsyncClient(base_url=url) as client:
        headers = {"authorization": "Bearer sk-ann"}
        asking = asyncio.ensure_future(client.post("/v1/chat/completions", json=question(), headers=headers))
        await engine.busy.wait()
        await asyncio.sleep(0.3)
        engine.gate.set()

        assert (await asking).json()["choices"][0]["message"]["content"] == "ab"


async def test_what_comes_after_a_refusal_is_not_read_for_ever() -> None:
    async with listening(services(max_body_bytes=1024), bounds=Bounds(header_s=0.2)) as url, line_to(url) as line:
        status, _, _ = await line.ask(HEAD, b"content-length: 1000000000\r\n\r\n")

        async def flood() -> None:
            while True:
                line.writer.write(b"x" * 1000)
                await asyncio.sleep(0.02)

        flooding = asyncio.ensure_future(flood())
        try:
            assert await line.ends() == b""
        finally:
            flooding.cancel()
        assert status == 413


async def test_one_connection_too_many_is_told_to_come_back() -> None:
    async with (
        listening(services(), bounds=Bounds(connections=2, retry_after_s=7)) as url,
        line_to(url) as first,
        line_to(url) as second,
        line_to(url) as third,
    ):
        assert (await first.ask(LIVE))[0] == (await second.ask(LIVE))[0] == 200
        probe = await third.ask(LIVE)
        answer = await third.ask(LIVE.replace(b"livez", b"readyz"))

        assert probe[0] == 200, "a crowd is no reason to restart a server"
        assert is_refusal(answer, 503, "too_many_connections")
        assert answer[1]["retry-after"] == "7"
        assert await third.ends() == b""
        async with line_to(url) as next_one:
            assert (await next_one.ask(LIVE))[0] == 200


async def test_a_flood_of_connections_is_closed_at_once() -> None:
    async with (
        listening(services(), bounds=Bounds(connections=1)) as url,
        line_to(url) as first,
        line_to(url),
        line_to(url) as third,
    ):
        assert (await first.ask(LIVE))[0] == 200
        assert await third.ends() == b""


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_nobody_reads_is_cancelled(stream: bool) -> None:
    engine = ScriptedEngine(*["x" * 50_000] * 160)
    body = json.dumps(question(stream=stream, max_tokens=2000)).encode()
    async with (
        listening(services(engine), bounds=Bounds(unread_s=0.3)) as url,
        line_to(url, receive_bytes=2**16) as line,
        httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer sk-probe"}) as probe,
    ):
        line.writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        await engine.busy.wait()

        async with asyncio.timeout(10):
            while 'reason="unread"} 1.0' not in (await probe.get("/metrics")).text:  # noqa: ASYNC110  # can only be asked
                await asyncio.sleep(0.05)
            await engine.idle.wait()
        await line.ends()


async def test_a_slow_reader_gets_the_whole_answer() -> None:
    engine = ScriptedEngine(*["x" * 50_000] * 100)
    body = json.dumps(question(stream=True)).encode()
    got = b""
    async with (
        listening(services(engine), bounds=Bounds(unread_s=0.3)) as url,
        line_to(url, receive_bytes=2**16) as line,
    ):
        line.writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)

        async with asyncio.timeout(20):
            while b"[DONE]" not in got[-200:]:
                got += await line.reader.read(2**17)
                await asyncio.sleep(0.002)

    assert got.count(b"x" * 40_000) == 100


async def test_refusals_are_counted_by_their_reason() -> None:
    async with listening(services(body_s=0.1), bounds=Bounds(header_s=0.1)) as url:
        async with line_to(url) as line:
            await line.ask(b"nonsense\r\n\r\n")
        async with line_to(url) as line:
            await line.ask(b"GET /livez")
        async with line_to(url) as line:
            await line.ask(HEAD, b"content-length: 9\r\n\r\n")
        async with httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer sk-probe"}) as client:
            metrics = (await client.get("/metrics")).text

    for reason in ("not_http", "header_seconds", "body_seconds"):
        assert f'hrm_refused_requests_total{{reason="{reason}"}} 1.0' in metrics
