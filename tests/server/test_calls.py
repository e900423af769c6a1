"""Function tools on the wire: what may be asked, what the model is told, and how a call is spelled."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from hrm_model.types import FunctionCall, Question
from server.schemas.answer import ChatCompletion, ChatCompletionChunk
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, LEAVE, MODEL, chunks, client_of, question, services, stocked

pytestmark = pytest.mark.anyio

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "get_time"}}
SEARCH: Any = {"type": "file_search", "vector_store_ids": ["handbook"]}
SCRIPT = ("get_", "weather\n{", '"city": "Os', 'lo"}')
RESULTS: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "09:30"},
]


async def post(engine: ScriptedEngine, body: dict[str, Any], *, key: str = "sk-ann", **given: Any) -> httpx.Response:
    async with client_of(services(engine, **given), key) as client:
        return await client.post("/v1/chat/completions", json=body)


def ask(**extra: Any) -> dict[str, Any]:
    return question("How is Oslo?", **{"tools": [WEATHER, CLOCK], "tool_choice": "required", **extra})


@pytest.mark.parametrize("kind", ["array", "string", ["object", "null"]])
async def test_arguments_that_are_no_object_are_refused(kind: Any) -> None:
    tool = {"type": "function", "function": {"name": "get_time", "parameters": {"type": kind}}}

    response = await post(ScriptedEngine(*SCRIPT), ask(tools=[WEATHER, tool]))

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "tools[1].function.parameters.type"
    assert f"an object, not {kind!r}" in response.json()["error"]["message"]


async def test_a_call_comes_back_in_the_shape_that_clients_know() -> None:
    body = (await post(ScriptedEngine(*SCRIPT), ask())).json()

    ChatCompletion.model_validate(body)
    (choice,) = body["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert call["id"].startswith("call_")


async def test_a_streamed_call_names_its_function_first_and_then_adds_arguments() -> None:
    frames = chunks((await post(ScriptedEngine(*SCRIPT), ask(stream=True, n=2))).text)

    for frame in frames:
        ChatCompletionChunk.model_validate(frame)
    for index in (0, 1):
        mine = [frame["choices"][0] for frame in frames if frame["choices"][0]["index"] == index]
        first, *rest = [call for one in mine for call in one["delta"].get("tool_calls", [])]
        assert (first["index"], first["type"], first["function"]["name"]) == (0, "function", "get_weather")
        assert [set(call) for call in rest] == [{"index", "function"}] * len(rest)
        assert "".join(call["function"]["arguments"] for call in [first, *rest]) == '{"city": "Oslo"}'
        assert [one["finish_reason"] for one in mine if one["finish_reason"]] == ["tool_calls"]
        assert not any(one["delta"].get("content") for one in mine)
    ids = {
        call["id"] for frame in frames for call in frame["choices"][0]["delta"].get("tool_calls", []) if "id" in call
    }
    assert len(ids) == 2


async def test_log_probabilities_of_a_call_are_those_of_all_its_tokens() -> None:
    body = (await post(ScriptedEngine(*SCRIPT), ask(logprobs=True))).json()

    assert [token["token"] for token in body["choices"][0]["logprobs"]["content"]] == list(SCRIPT)


async def test_a_call_that_is_cut_says_length_and_has_what_there_is() -> None:
    named = (await post(ScriptedEngine(*SCRIPT), ask(max_tokens=3))).json()["choices"][0]
    nameless = (await post(ScriptedEngine(*SCRIPT), ask(max_tokens=1))).json()["choices"][0]

    assert named["finish_reason"] == nameless["finish_reason"] == "length"
    assert named["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": "Os'
    assert "tool_calls" not in nameless["message"]
    assert nameless["message"]["content"] == ""


async def test_the_model_is_told_of_the_functions_and_held_to_them() -> None:
    engine = ScriptedEngine(*SCRIPT)

    await post(engine, ask())

    (prompt,) = engine.prompts
    assert isinstance(prompt, Question)
    assert "get_weather: The weather in a city." in prompt.text
    assert json.dumps(WEATHER["function"]["parameters"]) in prompt.text
    assert prompt.text.endswith("How is Oslo?")
    grammar = engine.samplings[0].grammar
    assert isinstance(grammar, FunctionCall)
    assert [(name, json.loads(schema)) for name, schema in grammar.functions] == [
        ("get_weather", WEATHER["function"]["parameters"]),
        ("get_time", {"type": "object", "properties": {}}),
    ]


async def test_a_function_that_is_named_is_the_only_one() -> None:
    engine = ScriptedEngine("get_time\n{}")

    body = (await post(engine, ask(tool_choice={"type": "function", "function": {"name": "get_time"}}))).json()

    grammar = engine.samplings[0].grammar
    assert isinstance(grammar, FunctionCall)
    assert [name for name, _ in grammar.functions] == ["get_time"]
    assert isinstance(prompt := engine.prompts[0], Question)
    assert "get_weather" not in prompt.text
    assert body["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "get_time", "arguments": "{}"}


async def test_with_none_the_answer_is_a_text_and_no_function_is_told_of() -> None:
    engine = ScriptedEngine("Fine.")

    body = (await post(engine, ask(tool_choice="none"))).json()

    assert body["choices"][0]["message"]["content"] == "Fine."
    assert engine.prompts == [Question("How is Oslo?")]
    assert engine.samplings[0].grammar is None


@pytest.mark.parametrize("choice", [None, "auto"])
async def test_whether_to_call_is_not_left_to_a_model_that_never_learned_it(choice: str | None) -> None:
    engine = ScriptedEngine("Fine.")

    response = await post(engine, ask(tool_choice=choice))

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, "tool_choice", "unsupported_parameter")
    assert "'required'" in error["message"]
    assert engine.prompts == []


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_time"}}])
@pytest.mark.parametrize(
    "stops", [{"stop": "\n"}, {"stop": ["}"]}, {"stop_token_ids": [7]}], ids=["line break", "brace", "token"]
)
async def test_what_would_end_a_call_in_its_middle_is_refused_by_name(choice: Any, stops: dict[str, Any]) -> None:
    engine = ScriptedEngine(*SCRIPT)

    response = await post(engine, ask(tool_choice=choice, **stops))

    assert (response.status_code, response.json()["error"]["param"]) == (400, *stops)
    assert engine.prompts == []


async def test_no_stops_and_stops_of_a_text_are_taken_beside_functions() -> None:
    none = await post(ScriptedEngine(*SCRIPT), ask(stop=[], stop_token_ids=[]))
    text = await post(ScriptedEngine("Fine. ", "Thanks."), ask(tool_choice="none", stop=["Thanks"]))

    assert none.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert text.json()["choices"][0]["message"]["content"] == "Fine. "


async def test_results_of_calls_stand_before_the_question_that_they_were_made_for() -> None:
    engine = ScriptedEngine("It is half past nine.")
    body = question("What time is it?", tools=[CLOCK], tool_choice="none")
    body["messages"] = [{"role": "user", "content": "Hello."}, *body["messages"], *RESULTS]

    response = await post(engine, body)

    assert response.status_code == 200, response.text
    expected = "Hello.\n\nassistant: get_time({})\n\ntool: 09:30\n\nWhat time is it?"
    assert engine.prompts == [Question(expected)]


@pytest.mark.parametrize("content", [None, ""])
async def test_a_call_put_together_from_a_stream_is_read_like_one_that_came_whole(content: str | None) -> None:
    engine = ScriptedEngine("It is half past nine.")
    calls = RESULTS[0]["tool_calls"]
    made = {**RESULTS[0], "content": content, "tool_calls": [{**calls[0], "index": 0}]}
    body = question("What time is it?", tools=[CLOCK], tool_choice="none")
    body["messages"] += [made, RESULTS[1]]

    response = await post(engine, body)

    assert response.status_code == 200, response.text
    assert engine.prompts == [Question("assistant: get_time({})\n\ntool: 09:30\n\nWhat time is it?")]


async def test_passages_are_read_for_a_call_and_its_arguments_are_judged_by_them(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    engine = ScriptedEngine('get_weather\n{"city": "28 days of paid leave"}')
    body = {
        **ask(),
        "messages": [{"role": "user", "content": "How many days of paid leave do full-time staff receive?"}],
    }

    message = (await post(engine, body, shelf=shelf, default_store="handbook")).json()["choices"][0]["message"]

    assert isinstance(prompt := engine.prompts[0], Question)
    assert LEAVE in prompt.text
    assert message["context"]["grounding"]["status"] == "supported"
    assert message["annotations"] == []


async def test_a_call_is_made_even_if_nothing_is_found(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)

    body = (await post(ScriptedEngine(*SCRIPT), ask(tools=[WEATHER, SEARCH]), shelf=shelf, score_threshold=1.0)).json()

    message = body["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "get_weather"
    assert message["context"]["grounding"]["status"] == "no_sources"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (ask(tools=[WEATHER, WEATHER]), "tools[0].function.name", "invalid_value"),
        (ask(tools=[]), "tool_choice", "invalid_value"),
        (ask(tools=[{"type": "function"}]), "tools[0].function", "missing_required_parameter"),
        (ask(tools=[{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name", "invalid_value"),
        (
            ask(tools=[{"type": "function", "function": {"name": "a", "code": ""}}]),
            "tools[0].function.code",
            "unknown_parameter",
        ),
        (ask(tool_choice={"type": "function", "function": {"name": "fly"}}), "tool_choice", "invalid_value"),
        (ask(tool_choice={"type": "function"}), "tool_choice.function", "missing_required_parameter"),
        (ask(tool_choice={"type": "allowed_tools"}), "tool_choice.type", "unsupported_parameter"),
        (ask(tool_choice="perhaps"), "tool_choice", "invalid_value"),
        (ask(response_format={"type": "json_object"}), "response_format", "invalid_value"),
        (ask(structured_outputs={"choice": ["a"]}), "structured_outputs", "invalid_value"),
        (ask(model=f"{MODEL}@a", retrieval={"grounding": "strict"}), "tool_choice", "invalid_value"),
        (ask(parallel_tool_calls="yes"), "parallel_tool_calls", "invalid_value"),
        (question(messages=RESULTS), "messages[1].role", "invalid_value"),
        (question(messages=[{"role": "user", "content": "a"}, RESULTS[0]]), "messages[1].role", "invalid_value"),
        (question(messages=[{"role": "user", "content": None}]), "messages[0].content", "invalid_value"),
        (
            question(messages=[{"role": "assistant", "content": None}, {"role": "user", "content": "a"}]),
            "messages[0].content",
            "invalid_value",
        ),
        (
            question(messages=[{"role": "user", "content": None, "refusal": "No."}]),
            "messages[0].content",
            "invalid_value",
        ),
        (question(messages=[{"role": "user", "refusal": "No."}]), "messages[0].content", "missing_required_parameter"),
    ],
)
async def test_what_is_wrong_with_functions_is_a_400_that_names_the_parameter(
    body: dict[str, Any], param: str, code: str
) -> None:
    engine = ScriptedEngine("ok")

    response = await post(engine, body)

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert engine.prompts == []


async def test_a_schema_that_cannot_be_kept_is_named_by_its_place_among_the_tools(tmp_path: Path) -> None:
    broken = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"not": {}}}}}}
    shelf = await stocked(tmp_path, HANDBOOK)

    response = await post(ScriptedEngine("ok"), ask(tools=[SEARCH, CLOCK, broken]), shelf=shelf)

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "invalid_json_schema")
    assert error["param"] == "tools[2].function.parameters.properties.a.not"


async def test_a_key_that_is_bound_to_documents_cannot_have_functions_called() -> None:
    response = await post(ScriptedEngine("ok"), ask(model=f"{MODEL}@none"), key="sk-bound")

    assert (response.status_code, response.json()["error"]["code"]) == (403, "grounded_only")
