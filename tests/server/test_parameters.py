"""What a chat request may say: honoured, accepted without effect as documented, or refused by name."""

import math
from typing import Any

import httpx
import pytest

from hrm_model.ranges import RANGES
from hrm_model.types import JsonSchema, Lark, OneOf, Question, Regex, Sampling
from server.schemas.answer import ChatCompletion
from server.schemas.chat import ChatRequest
from server.shape import shape_of_chat
from tests.fakes.engine import VOCABULARY, ScriptedEngine
from tests.fakes.serving import MODEL, chunks, client_of, question, services

pytestmark = pytest.mark.anyio


async def post(engine: ScriptedEngine, body: dict[str, Any], **policy: Any) -> httpx.Response:
    async with client_of(services(engine, **policy)) as client:
        return await client.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize(
    "extra", [{"response_format": {"type": "json_object"}}, {"structured_outputs": {"json_object": True}}]
)
def test_equal_forms_of_two_requests_are_two(extra: dict[str, Any]) -> None:
    first, second = (shape_of_chat(ChatRequest.model_validate(question(**extra))) for _ in range(2))

    assert first is not None
    assert second is not None
    assert first.grammar == second.grammar
    # By identity the engine tells the prompts of a request, which wait as one, from those of others.
    assert first.grammar is not second.grammar


@pytest.mark.parametrize(
    ("given", "sampling"),
    [
        ({}, Sampling()),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7}, Sampling(0.5, 0.9, 40, 7)),
        ({"stop": "x"}, Sampling(stop=("x",))),
        ({"stop": ["x", "y"]}, Sampling(stop=("x", "y"))),
        ({"max_tokens": 5}, Sampling(max_tokens=5)),
        ({"max_completion_tokens": 6}, Sampling(max_tokens=6)),
        ({"max_tokens": 6, "max_completion_tokens": 6}, Sampling(max_tokens=6)),
        ({"logprobs": True}, Sampling(logprobs=0)),
        ({"logprobs": True, "top_logprobs": 3}, Sampling(logprobs=3)),
        ({"logprobs": False}, Sampling()),
        ({"min_p": 0.1, "repetition_penalty": 1.2}, Sampling(min_p=0.1, repetition_penalty=1.2)),
        (
            {"presence_penalty": 1, "frequency_penalty": -0.5},
            Sampling(presence_penalty=1, frequency_penalty=-0.5),
        ),
        ({"logit_bias": {"5": -100, "7": 2.5}}, Sampling(logit_bias=((5, -100.0), (7, 2.5)))),
        (
            {"stop_token_ids": [3, 9], "min_tokens": 2, "ignore_eos": True},
            Sampling(stop_token_ids=(3, 9), min_tokens=2, ignore_eos=True),
        ),
        ({"top_logprobs": None, "min_p": None, "stop_token_ids": None, "ignore_eos": None}, Sampling()),
        ({"logprobs": True, "top_logprobs": 20}, Sampling(logprobs=20)),
        ({"response_format": {"type": "json_object"}}, Sampling(grammar=JsonSchema('{"type": "object"}'))),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": [1]}}}},
            Sampling(grammar=JsonSchema('{"enum": [1]}')),
        ),
        ({"structured_outputs": {"json": '{"enum": [1]}'}}, Sampling(grammar=JsonSchema('{"enum": [1]}'))),
        ({"structured_outputs": {"json_object": True}}, Sampling(grammar=JsonSchema('{"type": "object"}'))),
        ({"structured_outputs": {"choice": ["a", "b"]}}, Sampling(grammar=OneOf(("a", "b")))),
        ({"structured_outputs": {"regex": "a+"}, "response_format": {"type": "text"}}, Sampling(grammar=Regex("a+"))),
        ({"structured_outputs": {"grammar": "start: A"}}, Sampling(grammar=Lark("start: A"))),
    ],
)
async def test_sampling_reaches_the_engine_as_asked(given: dict[str, Any], sampling: Sampling) -> None:
    engine = ScriptedEngine("ok")

    response = await post(engine, question(**given))

    assert response.status_code == 200, response.text
    assert engine.samplings == [sampling]


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        ({}, ("direct",)),
        ({"condition": "synth, cot"}, ("synth", "cot")),
        ({"reasoning_effort": "low"}, ("direct",)),
        ({"reasoning_effort": "high"}, ("synth", "cot")),
    ],
)
async def test_the_condition_is_chosen_by_name_or_by_effort(given: dict[str, Any], condition: tuple[str, ...]) -> None:
    engine = ScriptedEngine("ok")

    await post(engine, question("Why?", **given))

    assert engine.prompts == [Question("Why?", condition)]  # type: ignore[arg-type]  # names from a table


async def test_each_of_n_answers_has_its_index() -> None:
    engine = ScriptedEngine("Light ", "scatters.")

    whole = (await post(engine, question(n=2))).json()
    streamed = chunks((await post(engine, question(n=2, stream=True))).text)

    assert [(choice["index"], choice["message"]["content"]) for choice in whole["choices"]] == [
        (0, "Light scatters."),
        (1, "Light scatters."),
    ]
    assert whole["usage"]["completion_tokens"] == 6
    for index in (0, 1):
        mine = [chunk["choices"][0] for chunk in streamed if chunk["choices"][0]["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in mine) == "Light scatters."
        assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == ["stop"]


async def test_the_length_limit_is_reported_as_such() -> None:
    answer = (await post(ScriptedEngine("one ", "two ", "three"), question(max_tokens=2))).json()

    assert answer["choices"][0]["message"]["content"] == "one two "
    assert answer["choices"][0]["finish_reason"] == "length"


async def test_log_probabilities_have_the_shape_that_clients_know() -> None:
    body = (await post(ScriptedEngine("é", "!"), question(logprobs=True, top_logprobs=1))).json()

    ChatCompletion.model_validate(body)
    assert body["choices"][0]["logprobs"]["content"][0] == {
        "token": "é",
        "logprob": -0.25,
        "bytes": [0xC3, 0xA9],
        "top_logprobs": [{"token": "é", "logprob": -0.25, "bytes": [0xC3, 0xA9]}],
    }
    assert [token["token"] for token in body["choices"][0]["logprobs"]["content"]] == ["é", "!"]


@pytest.mark.parametrize(
    "given",
    [
        {"user": "ann", "metadata": {"team": "a"}, "store": True},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}},
        {"min_p": 0, "repetition_penalty": 1, "stop_token_ids": [], "min_tokens": 0, "ignore_eos": False},
        {"temperature": None, "tools": None, "stream": None, "stop": None, "n": None},
        {"stream_options": None},
    ],
)
async def test_what_changes_nothing_is_accepted(given: dict[str, Any]) -> None:
    assert (await post(ScriptedEngine("ok"), question(**given))).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "functions",
        "function_call",
        "modalities",
        "audio",
        "prediction",
        "service_tier",
        "verbosity",
        "web_search_options",
    ],
)
async def test_what_is_not_supported_is_refused_by_name(name: str) -> None:
    given: dict[str, Any] = {name: {"type": "other"}}

    response = await post(ScriptedEngine("ok"), question(**given))

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", name)
    assert error["message"] == f"'{name}' is not supported."


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": "\u200b\x00\ufeff\n"}]}, "messages[0].content", "invalid_value"),
        ({"documents": [{"text": "  "}]}, "documents[0].text", "invalid_value"),
        ({"documents": [{"text": "\u200b"}]}, "documents[0].text", "invalid_value"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages[0].role", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type",
            "unsupported_parameter",
        ),
        ({"messages": [{"role": "user", "content": "x", "mood": 1}]}, "messages[0].mood", "unknown_parameter"),
        (
            {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}, {"role": "user", "content": "x"}]},
            "messages[0].tool_calls[0].id",
            "missing_required_parameter",
        ),
        ({"model": ""}, "model", "invalid_value"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": "warm"}, "temperature", "invalid_value"),
        ({"temperature": True}, "temperature", "invalid_value"),
        ({"temperature": "0.5"}, "temperature", "invalid_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_value"),
        ({"max_tokens": True}, "max_tokens", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_value"),
        ({"stream": 1}, "stream", "invalid_value"),
        ({"stream": True, "stream_options": {"include_usage": "no"}}, "stream_options.include_usage", "invalid_value"),
        ({"logit_bias": {"5": "1"}}, "logit_bias.5", "invalid_value"),
        ({"top_p": 0}, "top_p", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": ["a", ""]}, "stop[1]", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens", "invalid_value"),
        ({"n": 5}, "n", "invalid_value"),
        ({"top_logprobs": 3}, "top_logprobs", "invalid_value"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "invalid_value"),
        ({"seed": 2**70}, "seed", "invalid_value"),
        ({"min_p": 1.1}, "min_p", "invalid_value"),
        ({"min_p": -0.1}, "min_p", "invalid_value"),
        ({"presence_penalty": 2.1}, "presence_penalty", "invalid_value"),
        ({"frequency_penalty": -2.1}, "frequency_penalty", "invalid_value"),
        ({"frequency_penalty": "much"}, "frequency_penalty", "invalid_value"),
        ({"repetition_penalty": 0}, "repetition_penalty", "invalid_value"),
        ({"repetition_penalty": -1}, "repetition_penalty", "invalid_value"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5", "invalid_value"),
        ({"logit_bias": {"five": 1}}, "logit_bias.five", "invalid_value"),
        ({"logit_bias": {"-5": 1}}, "logit_bias.-5", "invalid_value"),
        ({"logit_bias": [5]}, "logit_bias", "invalid_value"),
        ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias", "invalid_value"),
        ({"stop_token_ids": [-1]}, "stop_token_ids[0]", "invalid_value"),
        ({"stop_token_ids": ["x"]}, "stop_token_ids[0]", "invalid_value"),
        ({"stop_token_ids": 5}, "stop_token_ids", "invalid_value"),
        ({"min_tokens": -1}, "min_tokens", "invalid_value"),
        ({"ignore_eos": "maybe"}, "ignore_eos", "invalid_value"),
        ({"condition": "cot,synth"}, "condition", "invalid_value"),
        ({"condition": "direct", "reasoning_effort": "low"}, "reasoning_effort", "invalid_value"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation", None),
        ({"telepathy": True}, "telepathy", "unknown_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": "json_object"}, "response_format", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
        ({"structured_outputs": {}}, "structured_outputs", "invalid_value"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs", "invalid_value"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs.choice", "invalid_value"),
        ({"structured_outputs": {"choice": ["a", ""]}}, "structured_outputs.choice[1]", "invalid_value"),
        ({"structured_outputs": {"json": 5}}, "structured_outputs.json", "invalid_value"),
        ({"structured_outputs": {"xml": "a"}}, "structured_outputs.xml", "unknown_parameter"),
        ({"structured_outputs": {"structural_tag": "a"}}, "structured_outputs.structural_tag", "unsupported_parameter"),
        (
            {"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
            "structured_outputs",
            "invalid_value",
        ),
    ],
)
async def test_what_is_wrong_is_a_400_that_names_the_parameter(
    given: dict[str, Any], param: str, code: str | None
) -> None:
    engine = ScriptedEngine("ok")

    response = await post(engine, question(**given), max_choices=4)

    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert error["code"] == (code or "unsupported_parameter")
    assert engine.prompts == []


async def test_a_stop_string_is_measured_in_characters() -> None:
    long = await post(ScriptedEngine("ok"), question(stop=["a", "é" * 257]))
    fitting = await post(ScriptedEngine("ok"), question(stop="é" * 256))

    assert long.json()["error"]["message"] == "Invalid 'stop[1]': String should have at most 256 characters."
    assert fitting.status_code == 200


async def test_a_whole_number_will_do_where_a_fraction_may_stand() -> None:
    assert (await post(ScriptedEngine("ok"), question(temperature=1, top_p=1))).status_code == 200


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"logit_bias": {str(VOCABULARY): 1}}, "logit_bias"),
        ({"stop_token_ids": [VOCABULARY]}, "stop_token_ids"),
        ({"min_tokens": 9, "max_tokens": 8}, "min_tokens"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_only_the_engine_can_tell_is_a_400_that_names_the_parameter(
    given: dict[str, Any], param: str, stream: bool
) -> None:
    response = await post(ScriptedEngine("ok"), question(**given, stream=stream))

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, "invalid_value")
    assert param in error["message"]


def test_the_wire_takes_nothing_that_the_engine_would_refuse() -> None:
    properties = ChatRequest.model_json_schema()["properties"]
    for name, (low, high) in RANGES.items():
        if name != "logprobs":  # `top_logprobs` on this route
            (number,) = (kind for kind in properties[name]["anyOf"] if kind["type"] != "null")
            assert low <= number.get("minimum", number.get("exclusiveMinimum", -math.inf))
            assert number.get("maximum", number.get("exclusiveMaximum", math.inf)) <= high + 1


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o@handbook", f"{MODEL}@", f"{MODEL}2"])
async def test_a_model_that_is_not_served_is_a_404(model: str) -> None:
    response = await post(ScriptedEngine("ok"), question(model=model))

    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": f"The model '{model}' does not exist.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_content_may_come_in_parts_and_an_answer_may_be_sent_back_as_it_came() -> None:
    engine = ScriptedEngine("ok")
    first = (await post(engine, question("Why?"))).json()["choices"][0]["message"]
    parts = [{"type": "text", "text": "And"}, {"type": "text", "text": "how?"}]

    response = await post(
        engine,
        question(
            messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "Why?"},
                {**first, "tool_calls": [], "context": {}, "name": "me"},
                {"role": "tool", "content": "42", "tool_call_id": "1"},
                {"role": "user", "content": parts},
            ]
        ),
    )

    assert response.status_code == 200, response.text
    assert engine.prompts[-1] == Question("Be brief.\n\nWhy?\n\nassistant: ok\n\ntool: 42\n\nAnd\nhow?")
