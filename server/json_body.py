"""A request's body as JSON, or the reason why it is none. FastAPI itself says only that there was an error."""

import json
from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

_GZIP = b"\x1f\x8b"


class JsonRequest(Request):
    """A request whose body is read by this module."""

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            HTTPException: 415 for a compressed body, 400 for one that cannot be read.
            json.JSONDecodeError: it is not JSON; FastAPI makes a validation error of it.
        """
        return read(await self.body(), self.headers.get("content-encoding", ""))


def read(body: bytes, encoding: str) -> Any:
    """Parse a body that came with this Content-Encoding; see `JsonRequest.json`."""
    if encoding.strip().lower() not in ("", "identity") or body.startswith(_GZIP):
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail="Compressed bodies are not accepted; send the JSON as it is."
        )
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        byte = body[error.start]
        raise _unreadable(f"The body is not UTF-8: byte 0x{byte:02X} at position {error.start}.") from error
    except RecursionError as error:
        raise _unreadable("The body is nested too deeply.") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Python's limit to what it converts: the work grows with the digits' square
        raise _unreadable("A number in the body is too long.") from error


def _unreadable(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, detail=detail)
