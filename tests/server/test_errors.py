"""Errors on the wire: one table, one body, and nothing of the inside in it."""

import gzip
import inspect
import logging
from json import JSONDecodeError
from time import perf_counter
from types import ModuleType
from typing import Any

import pytest
from starlette.exceptions import HTTPException

import hrm_model.errors
import retrieval.errors
from hrm_model.errors import EngineClosed, EngineError, InvalidPrompt, NeverFits
from server.app import bare_app
from server.errors import INTERNAL, WIRE, wire_form
from server.identity import Unauthenticated
from server.json_body import read
from server.schemas.objects import ErrorBody
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import client_of, question, services

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
# Said while a process starts or a file is taken in, never in answer to a chat request.
NOT_OF_CHAT = {"CheckpointError", "DocumentRefused", "StoreNameRefused"}


@pytest.mark.parametrize("family", [hrm_model.errors, retrieval.errors])
async def test_every_domain_error_has_a_wire_form(family: ModuleType) -> None:
    kinds = [kind for _, kind in inspect.getmembers(family, inspect.isclass) if kind.__module__ == family.__name__]

    missing = [
        kind.__name__ for kind in kinds if not set(kind.__mro__) & set(WIRE) and kind.__name__ not in NOT_OF_CHAT
    ]

    assert kinds
    assert missing == []


async def test_the_unforeseen_is_an_internal_error() -> None:
    assert wire_form(ZeroDivisionError()) is INTERNAL


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (NeverFits(needed_tokens=9, kv_tokens=8), 400, "context_length_exceeded"),
        (InvalidPrompt("empty"), 400, "invalid_prompt"),
        (EngineClosed("draining"), 503, "engine_unavailable"),
        (EngineError("CUDA fell over"), 500, "internal_error"),
        (ZeroDivisionError("secret path"), 500, "internal_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_of_the_engine_is_a_status_and_the_one_body(
    refusal: Exception, status: int, code: str, stream: bool
) -> None:
    async with client_of(services(ScriptedEngine(refusal=refusal))) as client:
        response = await client.post(CHAT, json=question(stream=stream))

    ErrorBody.model_validate(response.json())
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in response.headers) == (status == 503)
    assert "CUDA" not in response.text
    assert "secret" not in response.text
    assert response.headers["x-request-id"].startswith("req_")


async def test_a_choice_that_fails_fails_a_whole_answer() -> None:
    engine = ScriptedEngine("a", "b", failure=EngineError("CUDA fell over"), fail_after=1)
    async with client_of(services(engine)) as client:
        response = await client.post(CHAT, json=question())

    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert engine.open == 0


async def test_an_internal_error_is_logged_by_kind_and_place_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = ScriptedEngine(refusal=EngineError("prompt was: canary"))
    with caplog.at_level(logging.INFO):
        async with client_of(services(engine)) as client:
            await client.post(CHAT, json=question())

    assert "EngineError" in caplog.text
    assert "engine.py" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("content", "param", "code"),
    [
        (b"{", None, "invalid_json"),
        (b"", None, "missing_required_parameter"),
        (b"[]", None, "invalid_value"),
        (b'"text"', None, "invalid_value"),
        (b"\xff", None, "invalid_body"),
        (b"[" * 100_000, None, "invalid_body"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
            "messages[0].content",
            "invalid_value",
        ),
        (b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "\\ud800": 1}', None, "invalid_value"),
        (b'{"model": "\\udfff", "messages": [{"role": "user", "content": "x"}]}', "model", "invalid_value"),
    ],
)
async def test_a_body_that_is_no_request_is_a_400(content: bytes, param: str | None, code: str) -> None:
    async with client_of(services()) as client:
        response = await client.post(CHAT, content=content, headers={"content-type": "application/json"})

    ErrorBody.model_validate(response.json())
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize(
    ("content", "encoding", "status", "message"),
    [
        ('{"model": "é"}'.encode("latin-1"), None, 400, "The body is not UTF-8: byte 0xE9 at position 11."),
        (
            b"[" * 100_000,
            None,
            400,
            "The body is nested too deeply: at most 64 lists and objects may stand in each other.",
        ),
        (b'{"seed": ' + b"1" * 5000 + b"}", None, 400, "A number in the body is too long."),
        (b'{"metadata": {"a": -1e400}}', None, 400, "A number in the body is too large."),
        (b'{"metadata": {"a": NaN}}', None, 400, "NaN in the body is no number of JSON."),
        (b'{"metadata": {"a": -Infinity}}', None, 400, "-Infinity in the body is no number of JSON."),
        (gzip.compress(b"{}", mtime=0), "gzip", 415, "Compressed bodies are not accepted; send the JSON as it is."),
        (gzip.compress(b"{}", mtime=0), None, 415, "Compressed bodies are not accepted; send the JSON as it is."),
        (
            b'{"model": "m",\n "n": }',
            None,
            400,
            "The body is not valid JSON: Expecting value: line 2 column 7 (char 21).",
        ),
    ],
)
async def test_an_unreadable_body_says_why(content: bytes, encoding: str | None, status: int, message: str) -> None:
    headers = {"content-type": "application/json"} | ({"content-encoding": encoding} if encoding else {})
    async with client_of(services()) as client:
        response = await client.post(CHAT, content=content, headers=headers)

    ErrorBody.model_validate(response.json())
    assert (response.status_code, response.json()["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    ("content", "depth"),
    [
        ("[" * 64 + "]" * 64, 64),
        ("[" * 65 + "]" * 65, 65),
        ('{"a":' * 65 + "1" + "}" * 65, 65),
        ("[" + "[]," * 500 + "[]]", 2),
        ('["' + "[" * 500 + '"]', 1),
        ('["\\"' + "[" * 500 + '"]', 1),
        ('["\\\\",' + "[" * 64 + "]" * 64 + "]", 65),
        ("]" * 500 + "[" * 65, 0),
    ],
)
async def test_nesting_is_counted_as_a_parser_meets_it(content: str, depth: int) -> None:
    async with client_of(services()) as client:
        response = await client.post(CHAT, content=content, headers={"content-type": "application/json"})

    assert response.status_code == 400
    assert ("nested too deeply" in response.json()["error"]["message"]) == (depth > 64)


@pytest.mark.parametrize(
    "content", [b'"' + b'\\"' * 2_000_000, b"[" * 4_000_000, b"[]" * 2_000_000, b'[""]' * 1_000_000]
)
async def test_counting_costs_no_more_than_reading(content: bytes) -> None:
    began = perf_counter()
    with pytest.raises((HTTPException, JSONDecodeError)):
        read(content, "", max_depth=64)

    assert perf_counter() - began < 5  # each of its 4 MB costs nanoseconds; by the square it would be hours


async def test_json_under_another_content_type_is_a_400() -> None:
    async with client_of(services()) as client:
        response = await client.post(CHAT, content=b"{}", headers={"content-type": "text/plain"})

    assert response.status_code == 400
    assert "application/json" in response.json()["error"]["message"]


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_a_413(declared: bool) -> None:
    async def parts() -> Any:
        yield b'{"model": "'
        yield b"x" * 2000

    content = b"x" * 2000 if declared else parts()
    async with client_of(services(max_body_bytes=1000)) as client:
        response = await client.post(CHAT, content=content, headers={"content-type": "application/json"})

    ErrorBody.model_validate(response.json())
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("POST", f"{CHAT}/", 404, "not_found"),
        ("GET", "/metrics/", 404, "not_found"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
async def test_unknown_paths_and_methods_have_the_same_body(method: str, path: str, status: int, code: str) -> None:
    async with client_of(services()) as client:
        response = await client.request(method, path)

    ErrorBody.model_validate(response.json())
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_every_route_but_the_probes_demands_a_key() -> None:
    given = services()
    routes = [(path, method) for path, methods in bare_app().openapi()["paths"].items() for method in methods]
    async with client_of(given, key=None) as client:
        answers = {
            path: (await client.request(method, path.replace("{", "").replace("}", ""))).status_code
            for path, method in [*routes, ("/openapi.json", "get")]
        }

    assert {path for path, status in answers.items() if status != 401} == {"/livez", "/readyz"}
    assert "/v1/files/{file_id}/content" in answers


async def test_a_caller_may_read_the_description() -> None:
    async with client_of(services()) as client:
        response = await client.get("/openapi.json")

    assert response.json() == bare_app().openapi()


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/x/search", {"query": "a" * 10_001}, "Invalid 'query': String should have at most 10000 characters."),
        (
            "/x/search",
            {"query": ["a", "é" * 10_001]},
            "Invalid 'query[1]': String should have at most 10000 characters.",
        ),
        ("", {"name": "a" * 257}, "Invalid 'name': String should have at most 256 characters."),
        (
            "/x/search",
            {"query": "a", "filters": {"type": "eq", "key": "", "value": 1}},
            "Invalid 'filters.key': String should have at least 1 character.",
        ),
        ("/x/search", {"query": []}, "Invalid 'query': List should have at least 1 item after validation, not 0."),
    ],
)
async def test_a_text_is_measured_in_characters_and_a_list_in_items(
    path: str, body: dict[str, Any], message: str
) -> None:
    async with client_of(services(), "sk-admin") as client:
        response = await client.post(f"/v1/vector_stores{path}", json=body)

    assert (response.status_code, response.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "/v1/vector_stores/x/files",
            {"file_id": "file-1", "attributes": {"tags": ["a"]}},
            "Invalid 'attributes.tags': Input should be a string, a boolean or a number.",
        ),
        (
            "/v1/vector_stores/x/search",
            {"query": "a", "filters": {"type": "eq", "key": "a", "value": {}}},
            "Invalid 'filters.value': Input should be a string, a boolean, a number or a list.",
        ),
        ("/v1/vector_stores/x/search", {"query": 5}, "Invalid 'query': Input should be a string or a list."),
        (CHAT, question(stop=5), "Invalid 'stop': Input should be a string or a list."),
    ],
)
async def test_what_may_be_one_of_several_kinds_is_refused_with_all_of_them(
    path: str, body: dict[str, Any], message: str
) -> None:
    async with client_of(services(), "sk-admin") as client:
        response = await client.post(path, json=body)

    assert (response.status_code, response.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic sk-ann", "sk-ann"])
@pytest.mark.parametrize("content", [b"{", b"x" * 20_000_000])
async def test_a_stranger_is_turned_away_before_the_body_is_read(header: str | None, content: bytes) -> None:
    engine = ScriptedEngine("ok")
    headers = {"content-type": "application/json"} | ({"Authorization": header} if header else {})
    async with client_of(services(engine), key=None) as client:
        response = await client.post(CHAT, content=content, headers=headers)

    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["error"] == {
        "message": "Incorrect API key or token.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert engine.prompts == []


async def test_a_key_without_the_role_is_a_403() -> None:
    async with client_of(services(), "sk-probe") as client:
        response = await client.post(CHAT, json=question())

    assert (response.status_code, response.json()["error"]["code"]) == (403, "insufficient_permissions")


async def test_an_unauthenticated_error_says_the_same_whatever_was_wrong() -> None:
    assert wire_form(Unauthenticated("expired yesterday")).message == "Incorrect API key or token."
