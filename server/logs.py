"""One line for each request at its end, and how lines are written. Never what was asked or answered, never a key."""

import json
import logging
import sys
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.faults import CLIENT_LEFT, kind_and_place
from server.log_privacy import PersonalDataFilter, tells_of_somebody
from server.metrics import Metrics
from server.spelling import REQUEST
from server.spent import Spent

if TYPE_CHECKING:
    from logging import _SysExcInfoType

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # others may be any word
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@dataclass(slots=True)
class Record:
    """What the parts of a request note about it for its line in the log."""

    caller: str = "-"
    key_id: str = "-"
    spent: Spent = field(default_factory=Spent)
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
        is_kept = REQUEST.fullmatch(given) and not tells_of_somebody(given)
        request_id = given if is_kept else f"req_{uuid4().hex}"
        scope.setdefault("state", {}).update(request_id=request_id, record=record)
        # Tasks and threads that the request begins inherit it, so that their lines have it too.
        token = _request_id.set(request_id)

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
            facts = {
                "id": request_id,
                "caller": record.caller,
                "key": record.key_id,
                "method": scope["method"] if scope["method"] in _METHODS else "other",
                "route": route,
                "status": status,
                "prompt_tokens": record.spent.prompt,
                "completion_tokens": record.spent.completion,
                "seconds": round(perf_counter() - began, 3),
                "outcome": record.outcome or _outcome(status),
            }
            said = " ".join(
                f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
                for name, value in facts.items()
            )
            log.info("request %s", said, extra={"facts": facts})
            _request_id.reset(token)


def _outcome(status: int) -> str:
    if status == CLIENT_LEFT:
        return "left"
    return "ok" if status < 400 else "refused" if status < 500 else "failed"


class Lines(logging.Formatter):
    """For people: time, level, place, id of the request, message. Of an error its kind and place, not its words."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(about)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it."""
        request_id = None if hasattr(record, "facts") else _request_id.get()
        record.about = f"[{request_id}] " if request_id else ""
        return super().format(record)

    def formatException(self, ei: "_SysExcInfoType") -> str:
        """Kind and place."""
        return _placed(ei)


class JsonLines(logging.Formatter):
    """For machines: one object a line, with the facts of a request as fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        facts: dict[str, Any] = getattr(record, "facts", {})
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": "request" if facts else record.getMessage(),
        }
        if request_id := _request_id.get():
            line["request_id"] = request_id
        if record.exc_info:
            line["error"] = _placed(record.exc_info)
        return json.dumps(line | {name: value for name, value in facts.items() if name != "id"})


class Handler(logging.StreamHandler[Any]):
    """To standard error. A line that cannot be written is told by the place that wrote it, not by its values."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Replace what Python would print, which shows the values of the line."""
        error = sys.exc_info()[1]
        kind = "unknown" if error is None else kind_and_place(error)
        print(f"a line of {record.pathname}:{record.lineno} was not logged: {kind}", file=sys.__stderr__)


def configure(level: str, form: Literal["text", "json"] = "text") -> None:
    """Send the log to standard error; called by the command that serves, never by an import.

    Side effects: what Python itself would print of errors that nobody catches is logged instead, without their words.
    """
    handler = Handler()
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    handler.addFilter(PersonalDataFilter())
    logging.basicConfig(level=level, handlers=[handler])
    sys.excepthook = _uncaught
    threading.excepthook = lambda end: _uncaught(end.exc_type, end.exc_value, end.exc_traceback)
    sys.unraisablehook = lambda end: _uncaught(end.exc_type, end.exc_value, end.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    log.critical("an error that nothing handles: %s", kind.__name__ if error is None else kind_and_place(error))


def _placed(info: "_SysExcInfoType") -> str:
    return "" if info[1] is None else kind_and_place(info[1])
