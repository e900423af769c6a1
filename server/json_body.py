"""A request's body as JSON and as the form that a route takes, or the reason why it is none.

FastAPI itself says only that there was an error, and looks at a body of any size on the event loop.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from math import isinf
from typing import Any

import numpy as np
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

# Bytes. A body of so many is read within a few milliseconds; a larger one would make others wait.
AT_ONCE = 64 * 1024
# Larger ones that are read at a time, which take some 100 MB each, and the interpreter by turns; and that may wait.
READERS = 2
MAX_WAITING = 32
# In one body. Python looks through all objects again and again while so many are made, and nothing else runs meanwhile;
# 4 MiB of the shortest parts of a message are 155,000.
MAX_LISTS_AND_OBJECTS = 250_000
_GZIP = b"\x1f\x8b"
# Possessive, so that a string without an end costs one pass and not one for each of its quotation marks.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


# Makes a form of what JSON says, or a list of faults.
Form = Callable[[Any], tuple[Any, list[Any]]]


class NotTheForm(HTTPException):
    """The body is JSON, and not what the route takes. FastAPI lets no other error out while it reads a body."""

    def __init__(self, found: RequestValidationError) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST)
        self.found = found


class ReadersBusy(HTTPException):
    """So many large bodies wait to be read that one more is better sent again later."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE)


class JsonRequest(Request):
    """A request whose body is read by this module. `sent` is the body as JSON has it, once it was read."""

    sent: Any

    def __init__(self, scope: Scope, receive: Receive, *, max_depth: int, form: Form, readers: CapacityLimiter) -> None:
        """Wrap a request.

        Args:
            max_depth: see `read`.
            form: what the route takes; called in a worker thread if the body is large.
            readers: whose threads those are; one for all requests.
        """
        super().__init__(scope, receive)
        self._readers = readers
        self._max_depth = max_depth
        self._form_of = form

    async def json(self) -> Any:
        """Read the body as the route's form, which FastAPI passes on as it is.

        Raises:
            HTTPException: 415 for a compressed body, 400 for one that cannot be read, `NotTheForm`, and `ReadersBusy`.
            json.JSONDecodeError: it is not JSON; FastAPI makes a validation error of it.
        """
        body = await self.body()
        if len(body) <= AT_ONCE:
            return self._formed(body)
        if self._readers.statistics().tasks_waiting >= MAX_WAITING:
            raise ReadersBusy
        return await run_sync(self._formed, body, limiter=self._readers)

    def _formed(self, body: bytes) -> Any:
        self.sent = read(body, self.headers.get("content-encoding", ""), self._max_depth)
        formed, faults = self._form_of(self.sent)
        if faults:
            raise NotTheForm(RequestValidationError(faults, body=self.sent))
        return formed


def read(body: bytes, encoding: str, max_depth: int) -> Any:
    """Parse a body that came with this Content-Encoding.

    Args:
        max_depth: lists and objects that may stand in each other.

    Raises:
        HTTPException, json.JSONDecodeError: see `JsonRequest.json`.
    """
    if encoding.strip().lower() not in ("", "identity") or body.startswith(_GZIP):
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail="Compressed bodies are not accepted; send the JSON as it is."
        )
    _check_nesting(body, max_depth)
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        byte = body[error.start]
        raise _unreadable(f"The body is not UTF-8: byte 0x{byte:02X} at position {error.start}.") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Python's limit to what it converts: the work grows with the digits' square
        raise _unreadable("A number in the body is too long.") from error


def _refuse_constant(name: str) -> None:
    raise _unreadable(f"{name} in the body is no number of JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise _unreadable("A number in the body is too large.")
    return number


def _unreadable(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, detail=detail)


def _check_nesting(body: bytes, max_depth: int) -> None:
    """Count lists and objects, and how deeply they stand in each other. Linear, whatever the body is.

    Where brackets do not match there may be more than a parser would see, but never fewer.
    """
    if _openings(body) <= max_depth:
        return
    bare = _STRING.sub(b"", body)
    if int(np.cumsum(_STEPS[np.frombuffer(bare, np.uint8)], dtype=np.int32).max(initial=0)) > max_depth:
        raise _unreadable(
            f"The body is nested too deeply: at most {max_depth} lists and objects may stand in each other."
        )
    if _openings(bare) > MAX_LISTS_AND_OBJECTS:
        raise _unreadable(f"The body holds too many lists and objects: at most {MAX_LISTS_AND_OBJECTS}.")


def _openings(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")
