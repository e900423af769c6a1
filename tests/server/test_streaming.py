"""A stream as bytes and on a real socket: the order of frames, silences, usage, and clients that leave."""

import asyncio
import json
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_model.types import Question
from server.chat_form import ChatForm
from server.events import AnswerEvent, Said, Used
from server.streaming import frame, sse
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, chunks, client_of, frames, listening, question, services, stocked

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
KEY = {"Authorization": "Bearer sk-ann"}


async def test_frames_come_in_the_order_that_clients_rely_on(tmp_path: Path) -> None:
    engine = ScriptedEngine("28 days. ", "Marta Velin leads the claims desk.")
    given = services(engine, await stocked(tmp_path, HANDBOOK), default_store="handbook")
    asked = "How many days of paid leave do full-time staff receive, and who leads the claims desk?"
    body = question(asked, stream=True, stream_options={"include_usage": True})
    async with client_of(given) as client:
        response = await client.post(CHAT, json=body)

    first, *middle, cited, closed, usage = chunks(response.text)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert set(first["choices"][0]["delta"]) == {"role", "content", "context"}
    assert set(first["choices"][0]["delta"]["context"]) == {"citations", "intent"}
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in middle)
    assert [annotation["index"] for annotation in cited["choices"][0]["delta"]["annotations"]] == [0, 1]
    assert set(closed["choices"][0]["delta"]["context"]) == {"grounding"}
    assert closed["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 3)
    assert all(chunk["usage"] is None for chunk in [first, *middle, cited, closed])
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in [first, closed, usage]}) == 1


async def test_usage_is_sent_only_when_asked_for() -> None:
    async with client_of(services(ScriptedEngine("ok"))) as client:
        response = await client.post(CHAT, json=question(stream=True))

    assert all("usage" not in chunk for chunk in chunks(response.text))


@settings(max_examples=60, deadline=None)
@given(
    passages=st.lists(
        st.lists(
            st.sampled_from(["Staff get 28 days.", "Marta Velin leads it.", "No pets.", "Fee: 9.50 €."]), max_size=4
        )
        .map(" ".join)
        .filter(bool),
        min_size=1,
        max_size=4,
    ),
    answer=st.lists(
        st.sampled_from(["28 days", "Marta Velin", ". ", "un", "answerable", "9.50 €", "The moon. ", "\n", "[2]", "é"]),
        min_size=1,
        max_size=8,
    ),
    cuts=st.lists(st.integers(0, 80), max_size=8),
    mode=st.sampled_from(["off", "cite", "strict"]),
)
async def test_streamed_and_whole_say_the_same(
    passages: list[str], answer: list[str], cuts: list[int], mode: str
) -> None:
    text = "".join(answer)
    bounds = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(bounds) if text[a:b]]
    body = question("Who gets what?", documents=[{"text": passage} for passage in passages])
    body["retrieval"] = {"grounding": mode}
    async with client_of(services(ScriptedEngine(text))) as client:
        whole = (await client.post(CHAT, json=body)).json()["choices"][0]
    async with client_of(services(ScriptedEngine(*pieces))) as client:
        streamed = chunks((await client.post(CHAT, json={**body, "stream": True})).text)

    message = whole["message"]
    deltas = [chunk["choices"][0]["delta"] for chunk in streamed]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert [found for delta in deltas for found in delta.get("annotations", [])] == message["annotations"]
    context = {key: value for delta in deltas for key, value in delta.get("context", {}).items()}
    assert context == message["context"]
    for index, annotation in enumerate(message["annotations"]):
        citation = annotation["url_citation"]
        marked = message["content"][citation["start_index"] : citation["end_index"]]
        number = int(citation["url"].partition("#")[0].removeprefix("document:"))
        assert annotation["index"] == index
        assert marked.endswith(f" [{number}]")
        assert passages[number - 1][citation["start_char"] : citation["end_char"]] == citation["content"]


async def test_silences_are_filled_with_comments() -> None:
    engine = ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    lines: list[str] = []
    async with (
        listening(services(engine, heartbeat_s=0.02)) as url,
        httpx.AsyncClient(base_url=url, headers=KEY) as client,
        client.stream("POST", CHAT, json=question(stream=True)) as response,
    ):
        async for line in response.aiter_lines():
            lines.append(line)
            if lines.count(": waiting") == 3:
                engine.gate.set()

    assert lines.count(": waiting") >= 3
    assert lines[-2:] == ["data: [DONE]", ""]
    assert frames("\n".join([*lines, ""]))[-1] == "[DONE]"


async def test_the_first_token_does_not_wait_for_the_last() -> None:
    engine = ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    async with (
        listening(services(engine)) as url,
        httpx.AsyncClient(base_url=url, headers=KEY) as client,
        client.stream("POST", CHAT, json=question(stream=True)) as response,
    ):
        seen = ""
        async for part in response.aiter_text():
            seen += part
            if "Light" in seen:
                engine.gate.set()

    assert "scatters." in seen


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_engine(stream: bool) -> None:
    engine = ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    async with listening(services(engine, heartbeat_s=60)) as url:
        async with httpx.AsyncClient(base_url=url, headers=KEY) as client:
            asking = asyncio.create_task(_read(client, stream))
            await asyncio.wait_for(engine.busy.wait(), 5)
            asking.cancel()
        await asyncio.wait_for(engine.idle.wait(), 5)
        assert engine.open == 0

        engine.gate.set()
        async with httpx.AsyncClient(base_url=url, headers=KEY) as client:
            after = await client.post(CHAT, json=question())

    assert asking.cancelled()
    assert after.json()["choices"][0]["message"]["content"] == "Light scatters."


async def _read(client: httpx.AsyncClient, stream: bool) -> None:
    async with client.stream("POST", CHAT, json=question(stream=stream)) as response:
        await response.aread()


async def test_closing_an_unread_stream_closes_what_it_would_have_read() -> None:
    closed = []

    async def events() -> AsyncGenerator[AnswerEvent, None]:
        try:
            yield Said(0, "x")
            yield Used(1, 1)
        finally:
            closed.append(True)

    stream = sse(events(), {}, ChatForm("", tells_generation=False), include_usage=False, heartbeat_s=60)
    await anext(stream)
    await stream.aclose()

    assert closed == [True]


async def test_a_frame_is_one_line_whatever_it_carries() -> None:
    data = frame({"text": "a\nb\r\nc\u2028d"})

    assert data.endswith(b"\n\n")
    assert data.count(b"\n") == 2
    assert json.loads(data.removeprefix(b"data: "))["text"] == "a\nb\r\nc\u2028d"


async def test_the_prompt_is_read_once_however_the_answer_is_sent() -> None:
    engine = ScriptedEngine("ok")
    async with client_of(services(engine)) as client:
        await client.post(CHAT, json=question("Why?", stream=True))
        await client.post(CHAT, json=question("Why?"))

    assert engine.prompts == [Question("Why?"), Question("Why?")]
