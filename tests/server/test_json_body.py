"""Bodies on their way to the routes: a large one is read while others are answered, and refused as a small one is."""

import asyncio
import json
from threading import Event, get_ident
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from server.json_body import AT_ONCE, MAX_LISTS_AND_OBJECTS, JsonRequest, read
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import MODEL, client_of, question, services
from tests.waiting import until

pytestmark = pytest.mark.anyio

LARGE: list[Any] = [{}] * AT_ONCE


def request_with(sent: Any, form: Any) -> JsonRequest:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(sent).encode(), "more_body": False}

    return JsonRequest({"type": "http", "headers": []}, receive, max_depth=64, form=form)


async def test_others_have_their_turn_while_a_large_body_is_read() -> None:
    begun, may_end = Event(), Event()

    def slow(sent: Any) -> tuple[Any, list[Any]]:
        begun.set()
        return may_end.wait(10), []

    reading = asyncio.ensure_future(request_with(LARGE, slow).json())
    await until(begun.is_set)
    may_end.set()

    assert await reading is True, "nobody could let it end"


async def test_a_small_body_is_not_worth_a_thread() -> None:
    request = request_with([{}], lambda sent: (get_ident(), []))

    assert await request.json() == get_ident()
    assert request.sent == [{}]


@pytest.mark.parametrize("before", [0, AT_ONCE // 32])
async def test_a_fault_is_told_alike_in_a_small_body_and_a_large_one(before: int) -> None:
    turn = {"role": "user", "content": "x"}
    body = {"model": MODEL, "messages": [*[turn] * before, {"role": "user"}]}
    async with client_of(services()) as client:
        response = await client.post("/v1/chat/completions", json=body)

    place = f"messages[{before}].content"
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": f"Missing required parameter: '{place}'.",
        "type": "invalid_request_error",
        "param": place,
        "code": "missing_required_parameter",
    }


@pytest.mark.parametrize("opening", ["[]", "{}"])
def test_lists_and_objects_are_counted_before_they_are_made(opening: str) -> None:
    most = "[" + ",".join([opening] * (MAX_LISTS_AND_OBJECTS - 1)) + "]"
    quoted = f'["{"[" * MAX_LISTS_AND_OBJECTS}"]'
    one_more = f"[{opening},{most[1:]}"

    assert len(read(most.encode(), "", 64)) == MAX_LISTS_AND_OBJECTS - 1
    assert len(read(quoted.encode(), "", 64)) == 1
    with pytest.raises(HTTPException, match="at most 250000"):
        read(one_more.encode(), "", 64)


async def test_a_conversation_of_two_thousand_turns_is_answered() -> None:
    turns = [{"role": role, "content": "x"} for _ in range(1000) for role in ("user", "assistant")]
    engine = ScriptedEngine("ok")
    async with client_of(services(engine)) as client:
        response = await client.post("/v1/chat/completions", json=question(messages=[*turns, turns[0]]))

    assert response.status_code == 200, response.text
    assert len(engine.prompts) == 1
