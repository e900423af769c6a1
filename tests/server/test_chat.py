"""POST /v1/chat/completions, as a client sees it."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hrm_model.errors import ContextLengthExceeded, EngineError, EngineOverloaded
from server.metrics import Metrics
from server.pipeline import Pipeline
from server.schemas.answer import ChatCompletion, ChatCompletionChunk
from server.schemas.chat import ChatRequest
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import CALLERS, HANDBOOK, LEAVE, chunks, client_of, frames, question, services, stocked

pytestmark = pytest.mark.anyio


async def asked(path: Path, engine: ScriptedEngine, body: dict[str, Any], **policy: Any) -> dict[str, Any]:
    """The whole answer, after checking it against its published description."""
    shelf = await stocked(path, HANDBOOK)
    async with client_of(services(engine, shelf, **{"default_store": "handbook", **policy})) as client:
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    ChatCompletion.model_validate(response.json())
    answer: dict[str, Any] = response.json()
    return answer


async def test_an_answer_from_the_default_store_carries_its_checked_source(tmp_path: Path) -> None:
    answer = await asked(tmp_path, ScriptedEngine("Full-time staff ", "receive 28 days."), question())

    message = answer["choices"][0]["message"]
    assert message["content"] == "Full-time staff receive 28 days. [1]"
    citation = message["annotations"][0]["url_citation"]
    assert message["content"][citation["start_index"] : citation["end_index"]] == message["content"]
    assert LEAVE[citation["start_char"] : citation["end_char"]] == citation["content"]
    assert citation["content"] == "Full-time staff receive 28 days of paid leave each year."
    assert message["context"]["citations"][0]["content"] == LEAVE
    assert message["context"]["grounding"]["status"] == "supported"


async def test_a_streamed_answer_says_the_same_as_a_whole_one(tmp_path: Path) -> None:
    engine = ScriptedEngine("28 ", "days", ".")
    whole = (await asked(tmp_path, engine, question()))["choices"][0]["message"]
    shelf = await stocked(tmp_path, HANDBOOK)
    async with client_of(services(engine, shelf, default_store="handbook")) as client:
        streamed = chunks((await client.post("/v1/chat/completions", json=question(stream=True))).text)

    for chunk in streamed:
        ChatCompletionChunk.model_validate(chunk)
    deltas = [chunk["choices"][0]["delta"] for chunk in streamed]
    assert "".join(delta.get("content", "") for delta in deltas) == whole["content"] == "28 days. [1]"
    assert deltas[0]["context"]["citations"] == whole["context"]["citations"]
    assert deltas[-2]["annotations"] == whole["annotations"]
    assert deltas[-1] == {"context": {"grounding": whole["context"]["grounding"]}}
    assert streamed[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_prompt_that_was_read_before_is_counted_as_cached_for_its_own_caller_alone() -> None:
    serving = services(ScriptedEngine("28 days."))
    cached: list[int] = []
    for key in ("sk-ann", "sk-admin", "sk-ann"):
        async with client_of(serving, key) as client:
            for body in (question(), question(temperature=0.5, max_tokens=3)):
                usage = (await client.post("/v1/chat/completions", json=body)).json()["usage"]
                cached.append(usage["prompt_tokens_details"]["cached_tokens"])

    assert cached[:3] == [0, cached[1], 0]
    assert cached[1] == usage["prompt_tokens"] > 0
    assert min(cached[3:]) > 0


async def test_a_prompt_that_is_too_long_is_a_400_even_when_streaming() -> None:
    engine = ScriptedEngine(refusal=ContextLengthExceeded(prompt_tokens=9000, limit=4096))
    async with client_of(services(engine)) as client:
        response = await client.post("/v1/chat/completions", json=question(stream=True))

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "The prompt is 9000 tokens; the model reads at most 4096.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }


async def test_a_failure_mid_stream_is_an_error_frame_and_never_done() -> None:
    engine = ScriptedEngine("Light ", "scatters.", failure=EngineError("CUDA fell over"), fail_after=1)
    async with client_of(services(engine)) as client:
        response = await client.post("/v1/chat/completions", json=question(stream=True))

    *_, said, last = frames(response.text)
    assert json.loads(said)["choices"][0]["delta"] == {"content": "Light "}
    assert json.loads(last)["error"]["code"] == "internal_error"
    assert "CUDA" not in response.text
    assert engine.open == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_number_that_cannot_be_read_costs_nobody_the_answer(stream: bool) -> None:
    body = question("Does it lift 1.200.000kg?", documents=[{"title": "Crane 2.4.1k", "text": "It lifts 1.200.000kg."}])
    async with client_of(services(ScriptedEngine("It lifts ", "1.200.000kg."))) as client:
        response = await client.post("/v1/chat/completions", json={**body, "stream": stream})

    assert response.status_code == 200
    assert '"status":"supported"' in response.text


async def test_who_leaves_while_the_documents_are_read_leaves_the_engine_free() -> None:
    engine = ScriptedEngine("28 days.")
    given = services(engine)
    request = ChatRequest.model_validate(question(documents=[{"text": LEAVE}]))

    asking = asyncio.create_task(Pipeline(given, Metrics("m", given.engine.load)).answer(request, CALLERS["sk-ann"]))
    await engine.busy.wait()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking

    assert asking.cancelled()
    assert engine.open == 0


async def test_a_full_engine_asks_the_client_to_come_back() -> None:
    engine = ScriptedEngine(refusal=EngineOverloaded(waiting=64, limit=64))
    async with client_of(services(engine, retry_after_s=3)) as client:
        response = await client.post("/v1/chat/completions", json=question())

    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert response.json()["error"]["code"] == "engine_overloaded"
