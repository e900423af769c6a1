"""One client's connection: how many there may be, and how long one may wait for the other side. Knows no routes.

uvicorn bounds none of this by time, and answers in plain text what it refuses by itself; so its protocol is extended.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.errors import refusal
from server.head import Heads
from server.headers import SafeHeaders, make_safe
from server.refusals import Refusal

# A reader that takes less than this is not reading: no line is that slow, but somebody holding an answer open is.
_SLOWEST_BYTES_A_SECOND = 1024
_ALIVE = "/livez"  # whoever restarts servers is not to be told that a crowd is a death


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections may take."""

    connections: int = 2048  # beyond it requests get a 503, beyond twice as many nothing
    header_bytes: int = 32 * 1024
    header_s: float = 10.0  # from the first byte of a request, or the connection's begin, to the end of its headers
    keep_alive_s: float = 75.0  # longer than the 60 s of usual proxies, so that it is never this side that hangs up
    unread_s: float = 30.0  # with bytes that the client does not take
    retry_after_s: int = 1


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, within bounds.

    asyncio keeps no more than the last chunk that was written, so that a client that does not read stops its answer
    at once, and `pause_writing` says so.
    """

    def __init__(self, *args: Any, bounds: Bounds, refused: Callable[[Refusal], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = Heads(bounds.header_bytes)
        self._bounds = bounds
        self._refused = refused
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > 2 * self._bounds.connections:
            self._refused("connections")
            transport.abort()
            return
        if len(self.connections) > self._bounds.connections:
            self.app = self._crowded
        transport.set_write_buffer_limits(high=1, low=0)  # at 0 and 0 asyncio's TLS pauses for good
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def _watch_head(self) -> None:
        """Give the client its time for a request that it owes, and no time for one that it does not."""
        is_resting = self.timeout_keep_alive_task is not None
        owes_head = self.conn.their_state is h11.IDLE and not is_resting
        # The answer is out, and what it did not wait for still comes.
        owes_rest = self.conn.their_state is h11.SEND_BODY and self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)
        if not (owes_head or owes_rest) or self.transport.is_closing():
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._bounds.header_s, self._too_slow)

    def _too_slow(self) -> None:
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            detail = f"The headers did not arrive within {self._bounds.header_s:g} s."
            self._refuse("header_seconds", refusal(HTTPStatus.REQUEST_TIMEOUT, detail, "request_timeout"))
        else:  # nothing was asked, or it has been answered
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; uvicorn calls this while it handles h11's error."""
        error = sys.exc_info()[1]
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else None
        if hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            detail = "The request's line and headers are too large."
            self._refuse("headers", refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail, "headers_too_large"))
        else:
            # h11 would have a 501 for a transfer coding that it does not know: what a client sends is no failure here.
            self._refuse("not_http", refusal(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP.", "invalid_http"))

    def _refuse(self, reason: Refusal, response: JSONResponse) -> None:
        """Send a response that no application made, and hang up."""
        self._refused(reason)
        make_safe(response.headers, self.scheme or "http")
        if self.cycle is not None and not self.cycle.response_complete:  # the body broke off: nobody waits any more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [*response.raw_headers, (b"connection", b"close")]
            phrase = HTTPStatus(response.status_code).phrase.encode()
            head = h11.Response(status_code=response.status_code, headers=headers, reason=phrase)
            for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    async def _crowded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == _ALIVE:
            await self.config.loaded_app(scope, receive, send)
            return
        self._refused("connections")
        response = refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The server has as many connections as it takes; retry shortly.",
            "too_many_connections",
            kind="server_error",
        )
        response.headers["Retry-After"] = str(self._bounds.retry_after_s)
        response.headers["Connection"] = "close"
        await SafeHeaders(response)(scope, receive, send)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _watch_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(self._bounds.unread_s, self._unread, unread)

    def _unread(self, before: int) -> None:
        """Hang up on a client that has taken next to nothing; its answer then ends as when a client leaves."""
        if before - self.transport.get_write_buffer_size() >= self._bounds.unread_s * _SLOWEST_BYTES_A_SECOND:
            self._watch_reader()
        else:
            self._refused("unread")
            self.transport.abort()
