"""The unmodified official client against the real application on a loopback port, with a scripted engine."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessage

from hrm_model.errors import EngineError
from server.deps import Services
from tests.e2e.official import client_of
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, LEAVE, MODEL, services, stocked

pytestmark = pytest.mark.anyio

ASK: Any = [{"role": "user", "content": "How many days of paid leave do full-time staff receive?"}]
GUESS: Any = {"type": "content", "content": "x"}
TWO_SENTENCES = ("28 ", "days. ", "Marta Velin ", "leads the claims desk.")


async def handbook(path: Path, *pieces: str, **policy: Any) -> Services:
    return services(ScriptedEngine(*pieces), await stocked(path, HANDBOOK), default_store="handbook", **policy)


def extra(message: Any, name: str) -> Any:
    """A field of ours that the client keeps without knowing it."""
    return (message.model_extra or {})[name]


async def test_a_whole_answer_with_its_annotations(tmp_path: Path) -> None:
    async with client_of(await handbook(tmp_path, *TWO_SENTENCES)) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=ASK)

    message = answer.choices[0].message
    assert message.content == "28 days. [1] Marta Velin leads the claims desk. [2]"
    assert message.annotations is not None
    spans = [(found.url_citation.start_index, found.url_citation.end_index) for found in message.annotations]
    assert [message.content[start:end] for start, end in spans] == [
        "28 days. [1]",
        "Marta Velin leads the claims desk. [2]",
    ]
    assert extra(message, "context")["citations"][0]["content"] == LEAVE
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_the_stream_helper_puts_the_same_answer_together(tmp_path: Path) -> None:
    given = await handbook(tmp_path, *TWO_SENTENCES)
    async with client_of(given) as client:
        whole = await client.chat.completions.create(model=MODEL, messages=ASK)
        async with client.chat.completions.stream(
            model=MODEL, messages=ASK, stream_options={"include_usage": True}
        ) as stream:
            kinds = {event.type async for event in stream}
            streamed = await stream.get_final_completion()

    ours, theirs = streamed.choices[0].message, whole.choices[0].message
    assert {"content.delta", "content.done", "chunk"} <= kinds
    assert ours.content == theirs.content
    assert extra(ours, "context") == extra(theirs, "context")
    assert [found["url_citation"] for found in _dumped(ours)] == [found["url_citation"] for found in _dumped(theirs)]
    assert streamed.choices[0].finish_reason == "stop"
    assert spent(streamed.usage) == spent(whole.usage)


def spent(usage: CompletionUsage | None) -> tuple[int, int, int]:
    """What an answer cost; what was found again of its prompt depends on who asked before."""
    assert usage is not None
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def _dumped(message: ChatCompletionMessage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = message.to_dict()["annotations"]  # type: ignore[assignment]  # JSON
    return found


async def test_a_raw_stream_has_its_sources_before_the_first_token(tmp_path: Path) -> None:
    async with client_of(await handbook(tmp_path, *TWO_SENTENCES)) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True)
        chunks: list[ChatCompletionChunk] = [chunk async for chunk in stream]

    first = chunks[0].choices[0].delta
    assert first.role == "assistant"
    assert not first.content
    assert extra(first, "context")["citations"][0]["content"] == LEAVE
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "28 days. [1] Marta Velin leads the claims desk. [2]"


async def test_file_search_as_a_tool_and_retrieval_as_an_extra_field(tmp_path: Path) -> None:
    tool: Any = {"type": "file_search", "vector_store_ids": ["handbook"], "max_num_results": 1}
    async with client_of(await handbook(tmp_path, "28 days.")) as client:
        by_tool = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[tool])
        by_field = await client.chat.completions.create(
            model=MODEL,
            messages=ASK,
            extra_body={"retrieval": {"vector_store_ids": ["handbook"], "max_num_results": 1}},
        )

    assert by_tool.choices[0].message == by_field.choices[0].message
    assert by_tool.choices[0].message.content == "28 days. [1]"


async def test_an_answer_can_be_sent_back_as_the_client_holds_it(tmp_path: Path) -> None:
    async with client_of(await handbook(tmp_path, "28 days.")) as client:
        first = await client.chat.completions.create(model=MODEL, messages=ASK)
        messages: Any = [
            *ASK,
            first.choices[0].message,
            {"role": "user", "content": "How many days of leave do full-time staff receive?"},
        ]
        second = await client.chat.completions.create(model=MODEL, messages=messages)

    assert second.choices[0].message.content == "28 days. [1]"


async def test_models_are_listed_and_retrieved(tmp_path: Path) -> None:
    async with client_of(await handbook(tmp_path, "ok")) as client:
        listed = [model.id async for model in client.models.list()]
        alias = await client.models.retrieve(f"{MODEL}@handbook")

    assert listed == [MODEL, f"{MODEL}@none", f"{MODEL}@handbook"]
    assert alias.id == f"{MODEL}@handbook"


async def test_log_probabilities_and_several_choices_are_understood() -> None:
    async with client_of(services(ScriptedEngine("Light ", "scatters."))) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=ASK, n=2, logprobs=True, top_logprobs=1)
        async with client.chat.completions.stream(model=MODEL, messages=ASK, n=2, logprobs=True) as stream:
            streamed = await stream.get_final_completion()

    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in [*answer.choices, *streamed.choices]:
        assert choice.message.content == "Light scatters."
        assert choice.logprobs is not None
        assert [token.token for token in choice.logprobs.content or []] == ["Light ", "scatters."]


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_arrive_as_the_clients_own_exceptions(stream: bool) -> None:
    async with client_of(services(ScriptedEngine("ok"))) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=stream)
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model=MODEL, messages=ASK, prediction=GUESS, stream=stream)
        with pytest.raises(openai.AuthenticationError) as stranger:
            await client.with_options(api_key="sk-wrong").chat.completions.create(model=MODEL, messages=ASK)

    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "prediction")
    assert stranger.value.code == "invalid_api_key"


async def test_a_failure_in_mid_stream_is_an_exception_and_not_a_short_answer() -> None:
    engine = ScriptedEngine("Light ", "scatters.", failure=EngineError("x"), fail_after=1)
    async with client_of(services(engine)) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True)
        with pytest.raises(openai.APIError, match="Internal error"):
            async for _ in stream:
                pass


async def test_a_client_that_stops_reading_frees_the_engine() -> None:
    engine = ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    async with client_of(services(engine)) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        assert engine.open == 1
        await stream.close()
        await asyncio.wait_for(engine.idle.wait(), 5)

    assert engine.open == 0
