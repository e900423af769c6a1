"""The life of the serving process, on a real socket and with real signals."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from anyio import CancelScope
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.sequence import Sequence as Running
from hrm_model.types import Load
from server import process
from server.app import create_app
from server.connection import Bounds
from server.door import Door
from server.process import DEAD, LOADING, STOPPING, Readiness, beside, configured, listen, run
from tests.engines import Tiny
from tests.fakes.serving import frames, question, services

pytestmark = pytest.mark.anyio


class Part:
    """Something that takes its time to load or to drain: done when `done` is set."""

    def __init__(self, *, done: bool = False, error: Exception | None = None) -> None:
        self.begun, self.done = asyncio.Event(), asyncio.Event()
        self.error = error
        self.given_s: list[float] = []
        if done:
            self.done.set()

    async def load(self) -> None:
        self.begun.set()
        await self.done.wait()
        if self.error is not None:
            raise self.error

    async def work(self) -> None:
        await self.load()

    async def drain(self, timeout_s: float) -> None:
        self.given_s.append(timeout_s)
        await self.load()


class SlowToEnd(Response):
    """A response without an end, after which something takes its time to be written down."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._door.enter()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0.5)
            self._door.leave()


def application(ready: Readiness, door: Door) -> FastAPI:
    app = FastAPI()

    @app.get("/recorded", response_model=None)
    async def recorded() -> Response:
        return SlowToEnd(door)

    @app.get("/ready")
    async def reason() -> str | None:
        return ready()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)

        return StreamingResponse(endless())

    return app


Started = tuple[httpx.AsyncClient, "asyncio.Task[None]"]


@asynccontextmanager
async def started(
    load: Callable[[], Awaitable[None]],
    drain: Callable[[float], Awaitable[None]],
    work: Callable[[], Awaitable[None]] | None = None,
    *,
    leave: Callable[[float], None] = lambda seconds: None,
    drain_s: float = 7,
    door: Door | None = None,
    engine: Callable[[], Load] = Load,
    app: ASGIApp | None = None,
) -> AsyncIterator[Started]:
    door = door or Door()
    ready = Readiness(engine, stall_s=60, door=door)
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    task = asyncio.ensure_future(
        run(
            configured(app or application(ready, door), Bounds(), lambda reason: None),
            listener,
            ready,
            load=load,
            work=lambda _: (work or Part().work)(),
            drain=drain,
            drain_s=drain_s,
            leave=leave,
        )
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        yield client, task
    if not task.done():
        task.cancel()
        await asyncio.wait({task})


async def until(client: httpx.AsyncClient, reason: str | None) -> None:
    async with asyncio.timeout(5):
        while (await client.get("/ready")).json() != reason:  # noqa: ASYNC110  # what HTTP says can only be asked
            await asyncio.sleep(0.01)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_http_answers_while_the_model_is_loading() -> None:
    loading = Part()
    async with started(loading.load, Part(done=True).drain) as (client, _):
        assert (await client.get("/ready")).json() == LOADING

        loading.done.set()

        await until(client, None)


async def test_a_signal_drains_before_the_listener_goes() -> None:
    draining = Part()
    async with started(Part(done=True).load, draining.drain) as (client, task):
        await until(client, None)

        terminate()
        await draining.begun.wait()

        assert (await client.get("/ready")).json() == STOPPING
        assert draining.given_s == [7]
        draining.done.set()
        await asyncio.wait_for(task, 5)
        with pytest.raises(httpx.ConnectError):
            await client.get("/ready")


async def test_what_is_still_to_be_closed_has_a_bound() -> None:
    left: list[float] = []
    async with started(Part(done=True).load, Part(done=True).drain, leave=left.append) as (client, task):
        await until(client, None)

        terminate()

        await asyncio.wait_for(task, 5)
        assert left == [20]


async def test_a_second_signal_drains_without_patience_and_not_for_ever() -> None:
    draining = Part()
    left: list[float] = []
    async with started(Part(done=True).load, draining.drain, leave=left.append) as (client, task):
        await until(client, None)
        terminate()
        await draining.begun.wait()
        assert left == []

        terminate()

        await asyncio.wait_for(task, 5)
        assert draining.given_s == [7, 0]
        assert left == [8]


async def test_a_second_signal_is_not_lost_on_work_that_does_not_end() -> None:
    working = Part()
    left: list[float] = []

    async def stubborn() -> None:
        try:
            await working.load()
        finally:
            with CancelScope(shield=True):
                await working.done.wait()

    async with started(Part(done=True).load, Part(done=True).drain, stubborn, leave=left.append) as (client, task):
        await until(client, None)
        terminate()
        await until(client, STOPPING)

        terminate()
        terminate()

        await until(client, STOPPING)
        assert left == [8]
        working.done.set()
        await asyncio.wait_for(task, 5)


async def test_an_engine_that_outlasts_all_patience_is_left_behind() -> None:
    draining = Part()
    left: list[float] = []
    # Less than none: the patience with a step is over at once as well.
    async with started(Part(done=True).load, draining.drain, leave=left.append, drain_s=-10) as (client, task):
        await until(client, None)

        terminate()

        await asyncio.wait_for(task, 5)
        assert (draining.given_s, left) == ([-10, 0], [8])


async def test_a_signal_is_seen_before_anything_has_ended() -> None:
    working = Part()

    async def stubborn() -> None:
        try:
            await working.load()
        finally:
            with CancelScope(shield=True):
                await working.done.wait()

    async with started(Part(done=True).load, Part(done=True).drain, stubborn) as (client, task):
        await until(client, None)

        terminate()

        await until(client, STOPPING)
        working.done.set()
        await asyncio.wait_for(task, 5)


async def test_a_signal_while_loading_ends_the_process_at_once() -> None:
    loading = Part()
    async with started(loading.load, Part(done=True).drain) as (client, task):
        assert (await client.get("/ready")).json() == LOADING

        terminate()

        await asyncio.wait_for(task, 5)


async def test_a_model_that_cannot_be_loaded_ends_the_process_with_its_own_words() -> None:
    async with started(Part(done=True, error=ValueError("no weights")).load, Part(done=True).drain) as (_, task):
        with pytest.raises(ValueError, match="no weights"):
            await asyncio.wait_for(task, 5)


async def test_work_that_fails_ends_the_process_with_its_own_words() -> None:
    failing = Part(error=ValueError("disk gone"))
    async with started(Part(done=True).load, Part(done=True).drain, failing.work) as (client, task):
        await until(client, None)

        failing.done.set()

        with pytest.raises(ValueError, match="disk gone"):
            await asyncio.wait_for(task, 5)


class ForgetfulRunner(Runner):
    """Loses its results after some steps: a fault of ours that nothing foresees."""

    steps = 0

    def step(self, sequences: Sequence[Running]) -> list[list[Drawn | NotFinite]]:
        self.steps += 1
        return super().step(sequences)[1 if self.steps > 5 else 0 :]


async def test_an_engine_that_dies_ends_the_process_and_its_answers_are_told(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    engine, left = tiny.engine(runner=ForgetfulRunner), list[float]()

    async def load() -> None:
        engine.start()

    served = create_app(replace(services(), engine=engine))
    async with started(load, engine.drain, leave=left.append, engine=engine.load, app=served) as (client, task):
        key = {"Authorization": "Bearer sk-ann"}
        answer = await client.post("/v1/chat/completions", json=question(stream=True), headers=key)

        with pytest.raises(RuntimeError, match="the engine has stopped after an error"):
            await asyncio.wait_for(task, 10)

    last = json.loads(frames(answer.text)[-1])
    assert (answer.status_code, last["error"]["code"]) == (200, "engine_unavailable")
    assert "this process ends, so that another one can be started" in caplog.text
    assert left == [8], "whatever holds up its end"


async def test_an_engine_that_ends_with_the_server_is_no_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOOK_S", 0.01)
    draining, alive = Part(), [True]

    def engine() -> Load:
        return Load(is_alive=alive[-1])

    left: list[float] = []
    async with started(Part(done=True).load, draining.drain, leave=left.append, engine=engine) as (client, task):
        await until(client, None)
        terminate()
        await draining.begun.wait()
        alive.append(False)
        await asyncio.sleep(0.3)  # in which it would be looked at many times
        assert left == []

        draining.done.set()

        await asyncio.wait_for(task, 5)


async def test_a_client_that_never_stops_reading_does_not_hold_up_the_end() -> None:
    async with (
        started(Part(done=True).load, Part(done=True).drain) as (client, task),
        client.stream("GET", "/stream") as response,
    ):
        await anext(response.aiter_raw())

        terminate()

        await asyncio.wait_for(task, 10)


async def test_a_request_that_is_broken_off_at_the_end_is_still_waited_for() -> None:
    door = Door()
    async with (
        started(Part(done=True).load, Part(done=True).drain, door=door) as (client, task),
        client.stream("GET", "/recorded") as response,
    ):
        await anext(response.aiter_raw())
        assert door.inside == 1

        terminate()

        await asyncio.wait_for(task, 10)
        assert door.inside == 0


async def test_a_listener_beside_it_answers_before_anything_is_loaded_and_after_the_other_has_gone() -> None:
    beside_ready, draining = Readiness(Load, stall_s=60, door=Door()), Part()
    listener = listen("127.0.0.1", 0)
    config = configured(application(beside_ready, Door()), Bounds(), lambda reason: None)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=5) as watching:
        async with beside(config, listener):
            assert (await watching.get("/ready")).status_code == 200
            async with started(Part(done=True).load, draining.drain) as (client, task):
                await until(client, None)
                terminate()
                await draining.begun.wait()
                assert (await watching.get("/ready")).status_code == 200

                draining.done.set()
                await asyncio.wait_for(task, 5)

                with pytest.raises(httpx.ConnectError):
                    await client.get("/ready")
                assert (await watching.get("/ready")).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await watching.get("/ready")


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_an_ipv6_address_can_be_listened_on() -> None:
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (Load(), None),
        (Load(running=3, step_age_s=59.0), None),
        (Load(running=3, step_age_s=61.4), "the engine has been in one step for 61 s"),
        (Load(is_alive=False), DEAD),
    ],
)
def test_a_server_is_ready_only_while_its_engine_steps(load: Load, reason: str | None) -> None:
    ready = Readiness(lambda: load, stall_s=60, door=Door())
    assert ready() == LOADING

    ready.reason = None

    assert ready() == reason
