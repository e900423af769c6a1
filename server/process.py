"""The life of the serving process: listen at once, load, answer, drain, stop. Knows no engine and no store."""

import asyncio
import faulthandler
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from hrm_model.types import Load
from server.connection import Bounds, Connection
from server.door import Door
from server.faults import kind_and_place
from server.refusals import Refusal

T = TypeVar("T")

log = logging.getLogger(__name__)

LOADING = "the model and the store are still loading"
STOPPING = "the server is shutting down"
DEAD = "the engine has stopped after an error; the log says which"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A thread that dies tells nobody; whether the engine's still lives is looked at so often.
_LOOK_S = 1.0
# After the engine has drained, what is left of a response is bytes on their way.
_LAST_BYTES_S = 2
# How long an engine may take to end what it was not to end by itself: a step, unless it is stuck.
_LAST_STEP_S = 10
# From then on, or from a second signal: whatever still holds up the end is left where it is.
_END_S = 8
# What the rest of the process may take once all answers have ended: a batch, a commit, the index; most of it, seconds.
_CLOSE_S = 20


class Readiness:
    """Why the server cannot answer yet, or no more; calling it gives the reason, None when it can."""

    def __init__(self, load: Callable[[], Load], *, stall_s: float, door: Door) -> None:
        """Watch an engine by its load.

        Args:
            stall_s: seconds in one step after which the engine counts as stuck.
            door: closes together with the readiness.
        """
        self._door = door
        self.reason: str | None = LOADING
        self.store: Callable[[], str | None] = lambda: None  # set once there is one
        self._load, self._stall_s = load, stall_s

    def stop(self) -> None:
        """Be ready no more, and let nobody else in."""
        self.reason = STOPPING
        self._door.close(STOPPING)

    async def until_alone(self, timeout_s: float) -> None:
        """Wait until nobody is being answered any more, so long at most."""
        await self._door.emptied(timeout_s)

    async def until_dead(self) -> None:
        """Wait until the engine's thread has ended."""
        while self._load().is_alive:  # noqa: ASYNC110  # see _LOOK_S
            await asyncio.sleep(_LOOK_S)

    def __call__(self) -> str | None:
        if self.reason is not None:
            return self.reason
        load = self._load()
        if not load.is_alive:
            return DEAD
        if load.step_age_s is not None and load.step_age_s > self._stall_s:
            return f"the engine has been in one step for {load.step_age_s:.0f} s"
        return self.store()


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything is loaded, so that a taken port is said at once.

    Raises:
        OSError: the address cannot be had; the message names it.
    """
    is_v6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_v6 else socket.AF_INET,
            backlog=1024,
            dualstack_ipv6=is_v6 and host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error


def configured(
    app: ASGIApp, bounds: Bounds, refused: Callable[[Refusal], None], tls: ssl.SSLContext | None = None
) -> uvicorn.Config:
    """How an application is served.

    Args:
        refused: is told the reason of each refusal that the application does not see.
    """
    return uvicorn.Config(
        app,
        http=partial(Connection, bounds=bounds, refused=refused),  # type: ignore[arg-type]  # is only ever called
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=bounds.keep_alive_s,  # type: ignore[arg-type]  # given to call_later
        timeout_graceful_shutdown=_LAST_BYTES_S,
        ssl_context_factory=None if tls is None else lambda config, default: tls,
    )


async def run(
    config: uvicorn.Config,
    listener: socket.socket,
    ready: Readiness,
    *,
    load: Callable[[], Awaitable[T]],
    work: Callable[[T], Awaitable[None]],
    drain: Callable[[float], Awaitable[None]],
    drain_s: float,
    leave: Callable[[float], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then let running answers end for `drain_s`; a second signal ends them now.

    `leave` is told when the process has to end within some seconds: after a second signal, when an engine is stuck
    or dead, and in any case once this is over.

    `load` runs beside the listening server, and `work`, with what it loaded, from then on. What either raises ends the
    process: a server that will never be ready, or that does half of its work unsaid, helps nobody. So does an engine
    that has died; what it was answering has been told so by then.
    """
    server = _Server(config)
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)

    def told() -> None:
        ready.stop()  # at once, whatever has to be ended first
        if stop.is_set():
            hurry_up("told again to stop")
        stop.set()

    def hurry_up(reason: str) -> None:
        if not hurry.is_set():
            log.info("%s: running answers end now", reason)
            hurry.set()
            leave(_END_S)

    async def died() -> None:
        await ready.until_dead()
        log.error("the engine has stopped after an error: this process ends, so that another one can be started")
        leave(_END_S)

    for number in _SIGNALS:
        loop.add_signal_handler(number, told)

    began = perf_counter()
    serving: asyncio.Future[Any] = asyncio.ensure_future(server.serve(sockets=[listener]))
    stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    hurried: asyncio.Future[Any] = asyncio.ensure_future(hurry.wait())
    dead: asyncio.Future[Any] = asyncio.ensure_future(died())
    try:
        loading = asyncio.ensure_future(load())
        if await _first({serving, stopped}, loading) and not stop.is_set():
            ready.reason = None
            log.info("ready after %.1f s", perf_counter() - began)
            await _first({serving, stopped, dead}, asyncio.ensure_future(work(loading.result())))
        if not stop.is_set():
            raise RuntimeError(DEAD if dead.done() else "the server ended by itself")
        dead.cancel()  # from here on the engine is to end
        log.info("stopping: running answers may take %g s to end", drain_s)
        patience = loop.call_later(drain_s + _LAST_STEP_S, hurry_up, "the engine does not end them")
        ended = await _first({hurried}, asyncio.ensure_future(drain(drain_s)))
        patience.cancel()
        if not ended:
            with suppress(TimeoutError):  # an engine that is stuck cannot end them
                await asyncio.wait_for(drain(0), _LAST_BYTES_S)
    finally:
        ready.stop()
        server.should_exit = True
        for waiting in (stopped, hurried, dead):
            waiting.cancel()
        await serving
        await ready.until_alone(_LAST_BYTES_S)  # what was broken off is still recorded
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    log.info("stopped")
    if not hurry.is_set():  # or less time is running already
        leave(_CLOSE_S)


def leave_within(seconds: float) -> None:
    """End this process in `seconds` unless it has ended by itself, and say where its threads were; they are not asked.

    To the data this is a kill, which they survive at any moment: what was acknowledged is on the disk.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)


@asynccontextmanager
async def beside(config: uvicorn.Config, listener: socket.socket) -> AsyncIterator[None]:
    """Serve on a listener of its own from before a block begins until after it has ended, deaf to signals."""
    server = _Server(config)
    serving: asyncio.Future[Any] = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        if not await _first({serving}, asyncio.ensure_future(server.up.wait())):
            raise RuntimeError("a listener ended by itself")
        yield
    finally:
        server.should_exit = True
        await serving


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's own words show values: results of tasks, arguments of callbacks.
    error = context.get("exception")
    log.error("something failed outside of any answer: %s", "unknown" if error is None else kind_and_place(error))


async def _first(others: set[asyncio.Future[Any]], task: asyncio.Future[Any]) -> bool:
    """Wait for `task`, but cancel it when one of `others` ends first; say whether it was done."""
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        await task
        return True
    finally:
        task.cancel()
        await asyncio.wait({task})


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would drop the listener before the answers are drained."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
