"""The unmodified official client's `completions` against the real application on a loopback port."""

import asyncio
from typing import Any

import openai
import pytest
from openai.types import Completion

from hrm_model.errors import EngineError
from hrm_model.types import Limits, Question, Tokens
from tests.e2e.official import client_of
from tests.fakes.engine import VOCABULARY, ScriptedEngine
from tests.fakes.serving import MODEL, services

pytestmark = pytest.mark.anyio

PROMPTS: list[Any] = ["Why is it dark?", ["Why?", "How?"], [5, 6, 7], [[5, 6], [7]]]


@pytest.mark.parametrize("prompt", PROMPTS, ids=["text", "texts", "ids", "lists of ids"])
async def test_every_kind_of_prompt_is_answered_whole_and_streamed_alike(prompt: Any) -> None:
    async with client_of(services(ScriptedEngine("The sun ", "has set."))) as client:
        whole = await client.completions.create(model=MODEL, prompt=prompt, n=2, echo=True, logprobs=2)
        stream = await client.completions.create(
            model=MODEL,
            prompt=prompt,
            n=2,
            echo=True,
            logprobs=2,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks: list[Completion] = [chunk async for chunk in stream]

    assert whole.object == "text_completion"
    for choice in whole.choices:
        mine = [new for chunk in chunks for new in chunk.choices if new.index == choice.index]
        assert "".join(new.text for new in mine) == choice.text
        assert choice.text.endswith("The sun has set.")
        assert mine[-1].finish_reason == choice.finish_reason == "stop"
        assert choice.logprobs is not None
        offsets = [at for new in mine if new.logprobs for at in new.logprobs.text_offset or []]
        assert offsets == choice.logprobs.text_offset
    # What is found again of a prompt depends on who asked before; what it costs does not.
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0
    assert len(whole.choices) == 2 * (2 if isinstance(prompt[0], list) or prompt == PROMPTS[1] else 1)


async def test_ids_and_text_reach_the_engine_as_such() -> None:
    engine = ScriptedEngine("ok")
    async with client_of(services(engine)) as client:
        await client.completions.create(model=MODEL, prompt=[5, 6], max_tokens=3, seed=1, stop=["x"])
        await client.completions.create(
            model=MODEL, prompt="Why?", presence_penalty=1, extra_body={"min_p": 0.5, "ignore_eos": True}
        )

    assert engine.prompts == [Tokens((5, 6), 2), Question("Why?")]
    assert (engine.samplings[0].max_tokens, engine.samplings[0].seed, engine.samplings[0].stop) == (3, 1, ("x",))
    assert (engine.samplings[1].min_p, engine.samplings[1].ignore_eos) == (0.5, True)


async def test_the_parameters_of_chat_are_taken_from_the_same_client() -> None:
    engine = ScriptedEngine("ok")
    messages: Any = [{"role": "user", "content": "Why?"}]
    async with client_of(services(engine)) as client:
        await client.chat.completions.create(
            model=MODEL,
            messages=messages,
            frequency_penalty=0.5,
            logit_bias={"5": -100},
            extra_body={"top_k": 3, "repetition_penalty": 1.1, "stop_token_ids": [4], "min_tokens": 1},
        )

    (sampling,) = engine.samplings
    assert (sampling.frequency_penalty, sampling.logit_bias) == (0.5, ((5, -100.0),))
    assert (sampling.top_k, sampling.repetition_penalty) == (3, 1.1)
    assert (sampling.stop_token_ids, sampling.min_tokens) == ((4,), 1)


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": 5}, "prompt", "invalid_value"),
        ({"prompt": ["a", 5]}, "prompt[1]", "invalid_value"),
        ({"prompt": [VOCABULARY]}, "prompt", "invalid_prompt"),
        ({"prompt": ["a", "why " * 60]}, "prompt[1]", "context_length_exceeded"),
        ({"prompt": "a", "suffix": "b"}, "suffix", "unsupported_parameter"),
        ({"prompt": "a", "logprobs": 6}, "logprobs", "invalid_value"),
        ({"prompt": "a", "logit_bias": {str(VOCABULARY): 1}}, "logit_bias", "invalid_value"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_bad_input_arrives_as_the_clients_own_exception(
    given: dict[str, Any], param: str, code: str, stream: bool
) -> None:
    limits = Limits(context_tokens=50, kv_tokens=65536, default_max_tokens=8, max_context_tokens=20)
    engine = ScriptedEngine("ok", limits=limits)
    async with client_of(services(engine)) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.completions.create(model=MODEL, stream=stream, **given)
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="sk-wrong").completions.create(model=MODEL, prompt="a")

    assert (refused.value.param, refused.value.code) == (param, code)
    assert engine.open == 0


async def test_a_failure_in_mid_stream_is_an_exception_and_not_a_short_answer() -> None:
    engine = ScriptedEngine("Light ", "scatters.", failure=EngineError("x"), fail_after=1)
    async with client_of(services(engine)) as client:
        stream = await client.completions.create(model=MODEL, prompt="a", stream=True)
        with pytest.raises(openai.APIError, match="Internal error"):
            async for _ in stream:
                pass


async def test_a_client_that_stops_reading_frees_the_engine() -> None:
    engine = ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    async with client_of(services(engine)) as client:
        stream = await client.completions.create(model=MODEL, prompt=["a", "b"], stream=True)
        await anext(aiter(stream))
        assert engine.open == 2
        await stream.close()
        await asyncio.wait_for(engine.idle.wait(), 5)

    assert engine.open == 0
