"""What every response says to browsers and caches, and which other web pages may read it. Knows no routes."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No page is served here, so nothing may be loaded, framed or run: a stored document may look like a page.
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000")
_METHODS = ("GET", "POST", "DELETE")
_READABLE = (
    "x-request-id",
    "retry-after",
    *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
)


class SafeHeaders:
    """ASGI middleware that puts the headers above on every response, over what a route says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                make_safe(MutableHeaders(scope=message), scope["scheme"])
            await send(message)

        await self._app(scope, receive, safe)


def make_safe(headers: MutableHeaders, scheme: str) -> None:
    """Put the headers above among those of a response."""
    headers.update(SAFE)
    if scheme == "https":  # a browser ignores it otherwise, and must
        headers[STRICT_TRANSPORT[0]] = STRICT_TRANSPORT[1]


class Origins(CORSMiddleware):
    """Lets web pages of certain origins call; without credentials, since keys come in a header and not in cookies."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        # Any header may be asked for, as OpenAI's client in a browser sends a dozen of its own.
        super().__init__(
            app, allow_origins=origins, allow_methods=_METHODS, allow_headers=("*",), expose_headers=_READABLE
        )
