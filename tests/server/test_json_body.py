"""Bodies on their way to the routes: a large one is read while others are answered, and refused as a small one is."""

import asyncio
import json
from threading import Event, get_ident
from typing import Any

import pytest
from anyio import CapacityLimiter
from starlette.exceptions import HTTPException
from starlette.types import Message

from server.app import create_app
from server.json_body import AT_ONCE, MAX_LISTS_AND_OBJECTS, MAX_WAITING, JsonRequest, ReadersBusy, read
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import MODEL, client_of, client_to, question, services
from tests.waiting import until

pytestmark = pytest.mark.anyio

LARGE: list[Any] = [{}] * AT_ONCE


def request_with(sent: Any, form: Any, readers: CapacityLimiter | None = None) -> JsonRequest:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(sent).encode(), "more_body": False}

    return JsonRequest(
        {"type": "http", "headers": []}, receive, max_depth=64, form=form, readers=readers or CapacityLimiter(1)
    )


async def test_others_have_their_turn_while_a_large_body_is_read() -> None:
    begun, may_end = Event(), Event()

    def slow(sent: Any) -> tuple[Any, list[Any]]:
        begun.set()
        return may_end.wait(10), []

    reading = asyncio.ensure_future(request_with(LARGE, slow).json())
    await until(begun.is_set)
    may_end.set()

    assert await reading is True, "nobody could let it end"


async def test_as_many_large_bodies_are_read_at_a_time_as_there_are_readers_and_few_wait_for_them() -> None:
    readers, begun, may_end = CapacityLimiter(2), list[int](), Event()

    def slow(sent: Any) -> tuple[Any, list[Any]]:
        begun.append(get_ident())
        return may_end.wait(30), []

    reading = [asyncio.ensure_future(request_with(LARGE, slow, readers).json()) for _ in range(2 + MAX_WAITING)]
    await until(lambda: readers.statistics().tasks_waiting == MAX_WAITING and len(begun) == 2)
    with pytest.raises(ReadersBusy):
        await request_with(LARGE, slow, readers).json()
    assert await request_with([], lambda sent: (sent, []), readers).json() == [], "a small one waits for nobody"
    may_end.set()

    assert await asyncio.gather(*reading) == [True] * (2 + MAX_WAITING)


async def test_where_too_many_large_bodies_wait_one_more_gets_a_503_and_a_time_to_come_back() -> None:
    given = services()
    app = create_app(given)
    app.state.readers = CapacityLimiter(1)
    app.state.readers.acquire_on_behalf_of_nowait("a reader")
    waiting = [asyncio.ensure_future(app.state.readers.acquire_on_behalf_of(number)) for number in range(MAX_WAITING)]
    await until(lambda: app.state.readers.statistics().tasks_waiting == MAX_WAITING)
    turns = [{"role": "user", "content": "x"}] * (AT_ONCE // 16)
    async with client_to(app) as client:
        response = await client.post("/v1/chat/completions", json={"model": MODEL, "messages": turns})
    for each in waiting:
        each.cancel()

    assert (response.status_code, response.json()["error"]["code"]) == (503, "too_many_large_bodies")
    assert response.headers["retry-after"] == "1"


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
