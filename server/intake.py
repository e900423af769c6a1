"""What a request may bring, and how long it may take to bring it; connection.py bounds what is no request yet."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import refusal
from server.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Body:
    """How large a body may be, and how long it may take to arrive."""

    max_bytes: int
    seconds: float


class Intake:
    """ASGI middleware: refuses bodies that are too large or too slow, before they are in memory.

    A declared length that is too large is believed; bytes are counted in any case.
    """

    def __init__(
        self,
        app: ASGIApp,
        body: Body,
        *,
        refused: Callable[[Refusal], None],
        others: Mapping[str, Body] | None = None,
    ) -> None:
        """Wrap an application.

        Args:
            refused: is told the reason of each refusal.
            others: the bodies that certain paths take.
        """
        self._app = app
        self._body = body
        self._others = others or {}
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _has_two_lengths(scope):
            self._refused("not_http")
            await _two_lengths()(scope, receive, send)
        else:
            body = self._others.get(scope["path"], self._body)
            await self._app(scope, self._within(body, scope, receive), send)

    def _within(self, body: Body, scope: Scope, receive: Receive) -> Receive:
        declared = Headers(scope=scope).get("content-length", "")
        is_too_large = declared.isdecimal() and (len(declared) > 19 or int(declared) > body.max_bytes)
        deadline = asyncio.get_running_loop().time() + body.seconds
        received, is_whole = 0, False

        async def counted() -> Message:
            nonlocal received, is_whole
            if is_too_large:
                raise self._too_large(body)
            if is_whole:  # what comes now is that the client leaves, whenever that may be
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise self._too_slow(body) from error
            received += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if received > body.max_bytes:
                raise self._too_large(body)
            return message

        return counted

    def _too_large(self, body: Body) -> HTTPException:
        self._refused("body_bytes")
        detail = f"The body is larger than {body.max_bytes} bytes."
        return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail=detail)

    def _too_slow(self, body: Body) -> HTTPException:
        self._refused("body_seconds")
        detail = f"The body did not arrive within {body.seconds:g} s."
        return HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail=detail, headers={"Connection": "close"})


def _has_two_lengths(scope: Scope) -> bool:
    """Whether a proxy in front may have seen another end of the body than this server (RFC 9112, 6.1)."""
    names = {name for name, _ in scope["headers"]}
    return {b"content-length", b"transfer-encoding"} <= names


def _two_lengths() -> JSONResponse:
    response = refusal(
        HTTPStatus.BAD_REQUEST, "Content-Length and Transfer-Encoding exclude each other.", "invalid_http"
    )
    response.headers["Connection"] = "close"  # what follows on it may be somebody else's idea of a body
    return response
