"""Who is being answered, and whether anybody else may come in: what a server that stops has to know."""

import asyncio
from asyncio import CancelledError
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import NotReady, error_body, wire_form

# Open to the last moment: they say how the stopping goes, and are over at once.
_WATCHING = frozenset({"/livez", "/readyz", "/metrics"})


class Door:
    """Open until it is closed for good. Lives on the event loop."""

    def __init__(self) -> None:
        self.inside = 0
        self.reason: str | None = None  # why it is closed
        self._empty = asyncio.Event()
        self._empty.set()

    def close(self, reason: str) -> None:
        """Let nobody else in, and tell whoever comes why."""
        self.reason = reason

    def enter(self) -> None:
        """One more request is being answered."""
        self.inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Its answer has ended."""
        self.inside -= 1
        if not self.inside:
            self._empty.set()

    async def emptied(self, timeout_s: float) -> bool:
        """Wait until nobody is being answered any more; say whether that came about in time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        return not self.inside


class Doorway:
    """ASGI middleware that lets requests through a door, and counts them from their first to their last byte."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _WATCHING:
            await self._app(scope, receive, send)
        elif self._door.reason is not None:
            await _refusal(self._door.reason)(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        self._door.enter()
        try:
            await self._app(scope, receive, noted)
        except CancelledError:
            # The server's last act upon what has not ended, such as a body that does not arrive.
            if has_begun or self._door.reason is None:
                raise
            await _refusal(f"{self._door.reason}; this was cut off")(scope, receive, send)
        finally:
            self._door.leave()


def _refusal(reason: str) -> JSONResponse:
    refusal = NotReady(reason)
    wire = wire_form(refusal)
    # The connection ends too, so that the next attempt finds another server.
    headers = {"Retry-After": str(wire.retry_after_s), "Connection": "close"}
    return JSONResponse(error_body(refusal), wire.status, headers)
