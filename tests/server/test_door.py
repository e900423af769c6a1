"""The door of a server that stops: who is inside is answered to the end, who comes later is sent away."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from retrieval.opening import open_library
from server.door import Door
from server.process import STOPPING
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import chunks, listening, question, services
from tests.retrieval.desk import WordsEmbedder
from tests.server.line import is_refusal, line_to

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ANN = {"Authorization": "Bearer sk-ann"}
PROBE = {"Authorization": "Bearer sk-probe"}


async def test_an_answer_under_way_ends_well_and_whoever_comes_later_is_sent_away() -> None:
    engine = ScriptedEngine("a", "b")
    engine.gate.clear()
    given = services(engine)
    async with listening(given) as url, httpx.AsyncClient(base_url=url, headers=ANN, timeout=10) as client:
        async with client.stream("POST", CHAT, json=question(stream=True)) as response:
            texts = response.aiter_text()
            body = await anext(texts)
            given.door.close(STOPPING)

            late = [
                await client.post(CHAT, json=question()),
                await client.get("/v1/models"),
                await client.get("/nowhere"),
            ]
            watching = [await client.get("/livez"), await client.get("/metrics", headers=PROBE)]
            assert not await given.door.emptied(0)
            engine.gate.set()
            body += "".join([text async for text in texts])
        assert await given.door.emptied(5)

    assert len(chunks(body)) > 2
    for refused in late:
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        assert refused.json()["error"]["message"] == STOPPING
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        assert "x-request-id" in refused.headers
    assert [response.status_code for response in watching] == [200, 200]


async def test_a_door_is_empty_once_all_have_left() -> None:
    door = Door()
    assert await door.emptied(0)
    door.enter()
    door.enter()
    door.leave()
    waiting = asyncio.ensure_future(door.emptied(5))
    assert not await door.emptied(0.01)

    door.leave()

    assert await waiting


async def test_who_hangs_up_or_fails_has_left_too() -> None:
    engine = ScriptedEngine(refusal=ZeroDivisionError())
    given = services(engine)
    async with listening(given) as url, httpx.AsyncClient(base_url=url, headers=ANN, timeout=10) as client:
        assert (await client.post(CHAT, json=question())).status_code == 500
        assert await given.door.emptied(5)


@pytest.mark.parametrize(
    ("head", "begin"),
    [
        (
            "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer sk-ann\r\ncontent-type: application/json",
            '{"model": ',
        ),
        (
            "POST /v1/files HTTP/1.1\r\nauthorization: Bearer sk-ines\r\ncontent-type: multipart/form-data; boundary=x",
            "--x\r\ncontent-disposition: ",
        ),
    ],
    ids=["question", "upload"],
)
async def test_whose_body_is_still_to_come_at_the_end_is_refused_as_whoever_comes_later(
    head: str, begin: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as opened:
        library = await opened.enter_async_context(open_library(tmp_path / "data", WordsEmbedder()))
        given = services(store=library)
        async with listening(given) as url:
            line = await opened.enter_async_context(line_to(url))
            line.writer.write(f"{head}\r\nhost: x\r\ncontent-length: 500\r\n\r\n{begin}".encode())
            async with asyncio.timeout(10):
                while not given.door.inside:  # noqa: ASYNC110  # nobody tells of what comes in
                    await asyncio.sleep(0.01)

            given.door.close(STOPPING)

        _, headers, body = answer = await line.response()
        assert is_refusal(answer, 503, "not_ready")
        assert body["error"]["message"] == f"{STOPPING}; this was cut off"
        assert headers["retry-after"] == "1"
        assert "x-request-id" in headers
        assert await given.door.emptied(5)
    assert "Exception in ASGI application" not in caplog.text
