"""Keeps web pages out of a server without keys: what a browser fetches for a stranger is nobody at this machine.

A page can make its visitor's browser call http://localhost, directly (its origin shows) or through a name that
it resolves to 127.0.0.1 (the Host header shows); and a proxy on this machine brings strangers along.
A server that trusts everyone who can connect has to look.
"""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import body_of

_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-real-ip")
_WITHOUT_KEYS = (
    "While it has no API keys, this server answers callers on its own machine and under its own name only. "
    "Make a key with `hrm-serve keys create` and send it."
)


class LocalOnly:
    """ASGI middleware that asks `is_open` only about requests that name another host."""

    def __init__(self, app: ASGIApp, *, is_open: Callable[[], bool], refusal: str = _WITHOUT_KEYS) -> None:
        """Wrap an application.

        Args:
            is_open: says whether everyone who can connect is trusted; may block.
            refusal: what a stranger is told.
        """
        self._app = app
        self._is_open = is_open
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_local(Headers(scope=scope)) and await run_sync(self._is_open):
            body = body_of(self._refusal, "invalid_request_error", None, "local_only")
            await JSONResponse(body, status_code=403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_local(headers: Headers) -> bool:
    if any(name in headers for name in _OF_PROXIES):
        return False
    origin = headers.get("origin")
    return _is_loopback(f"//{headers.get('host', '')}") and (origin is None or _is_loopback(origin))


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname or "", parts.port  # what is no port is an error
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
