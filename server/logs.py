"""One line for each request at its end: who, what, how it went. Never what was asked or answered, never a key."""

import logging
import re
from dataclasses import dataclass
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.metrics import Metrics

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
# A client's own id is kept when it can do no harm in a log.
_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class Record:
    """What the parts of a request note about it for its line in the log."""

    caller: str = "-"
    key_id: str = "-"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    outcome: str | None = None  # how the answer ended, where the status alone does not say


class RequestLog:
    """ASGI middleware: gives each request an id and a record, and when it has ended logs and counts it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, record, status = perf_counter(), Record(), 500
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _SOUND_ID.fullmatch(given) else f"req_{uuid4().hex}"
        scope.setdefault("state", {}).update(request_id=request_id, record=record)

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        finally:
            # The route's template, since a path may name files and has no end of values.
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.responded(route, status)
            log.info(
                "request id=%s caller=%s key=%s method=%s route=%s status=%s prompt_tokens=%s completion_tokens=%s "
                "seconds=%.3f outcome=%s",
                request_id,
                record.caller,
                record.key_id,
                scope["method"],
                route,
                status,
                record.prompt_tokens,
                record.completion_tokens,
                perf_counter() - began,
                record.outcome or ("ok" if status < 400 else "refused" if status < 500 else "failed"),
            )


def configure(level: str) -> None:
    """Send this project's log to standard error; called by the command, never by an import."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
