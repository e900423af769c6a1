"""A form with one file, read as it comes: the file goes to disk piece by piece, and never lies in memory whole."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from server.errors import ClientLeft, InvalidRequest

# For all fields beside the file, and for the headers of each part.
MAX_FIELD_BYTES = 64 * 1024
# Parts of a form, which cost memory even where they hold nothing; a real field has its name besides, and so 32 bytes.
MAX_PARTS = 2048
_STEP = re.compile(r"\[([^\[\]]*)\]")


class Form:
    """What came beside the file, and the file's name."""

    def __init__(self) -> None:
        self.filename: str | None = None
        self.fields: list[tuple[str, str]] = []

    def nested(self) -> dict[str, Any]:
        """The fields as an object: `a[b]=1` and `a[c][]=2` are {"a": {"b": "1", "c": ["2"]}}.

        Raises:
            InvalidRequest: two fields contradict each other.
        """
        found: dict[str, Any] = {}
        for name, value in self.fields:
            head, steps = name.partition("[")[0], _STEP.findall(name)
            if name != head + "".join(f"[{step}]" for step in steps):
                raise InvalidRequest(f"The form has a field of the name '{name}', which is none.", param=name)
            _put(found, [head, *steps], value, name)
        return found


async def read_form(request: Request, file_field: str, write: Callable[[bytes], None], max_bytes: int) -> Form:
    """Read a multipart form.

    Args:
        write: takes the file's pieces in order, in a worker thread.
        max_bytes: of the file.

    Raises:
        ClientLeft: nobody sends the rest.
        InvalidRequest: it is no such form, holds no file of that name or several, or is cut short.
        HTTPException: 413: the file, or what comes beside it, is too large, or in too many parts.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise InvalidRequest("The body must be multipart/form-data, with the file in it.", param=None)
    reading = _Reading(file_field, max_bytes)
    try:
        parser = MultipartParser(options[b"boundary"], reading.callbacks())
        async for data in request.stream():
            parser.write(data)
            if pieces := reading.taken():
                await run_sync(write, pieces)
        parser.finalize()
    except ClientDisconnect as error:
        raise ClientLeft from error
    except FormParserError as error:
        raise InvalidRequest(
            "The form cannot be read: it is cut short, or not what its boundary says.", param=None
        ) from error
    if not reading.is_whole:
        raise InvalidRequest("The form is cut short.", param=None)
    if reading.form.filename is None:
        raise InvalidRequest(
            f"Missing required parameter: '{file_field}'.", param=file_field, code="missing_required_parameter"
        )
    return reading.form


class _Reading:
    """Collects what the parser calls out."""

    def __init__(self, file_field: str, max_bytes: int) -> None:
        self.form = Form()
        self.is_whole = False
        self._file_field = file_field
        self._max_bytes = max_bytes
        self._file_bytes = 0
        self._beside = 0
        self._parts = 0
        self._pieces: list[bytes] = []
        self._header = [b"", b""]
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._is_file = False
        self._value = b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header(0),
            "on_header_value": self._on_header(1),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._whole,
        }

    def taken(self) -> bytes:
        """The file's bytes that came since the last call."""
        pieces, self._pieces = b"".join(self._pieces), []
        return pieces

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _too_large(f"The form has more than {MAX_PARTS} parts.")
        self._headers, self._header, self._value = {}, [b"", b""], b""

    def _on_header(self, part: int) -> Callable[[bytes, int, int], None]:
        def grow(data: bytes, start: int, end: int) -> None:
            self._count_beside(end - start)
            self._header[part] += data[start:end]

        return grow

    def _header_end(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = _text(options.get(b"name", b""), "name")
        self._is_file = self._name == self._file_field
        if not self._is_file:
            return
        if self.form.filename is not None:
            raise InvalidRequest("The form holds several files; send one at a time.", param=self._file_field)
        self.form.filename = _filename(_text(options.get(b"filename", b""), self._file_field), self._file_field)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._file_bytes += end - start
            if self._file_bytes > self._max_bytes:
                raise _too_large(f"The file is larger than {self._max_bytes} bytes.")
            self._pieces.append(data[start:end])
        else:
            self._count_beside(end - start)
            self._value += data[start:end]

    def _end(self) -> None:
        if not self._is_file:
            self.form.fields.append((self._name, _text(self._value, self._name)))

    def _whole(self) -> None:
        self.is_whole = True

    def _count_beside(self, count: int) -> None:
        self._beside += count
        if self._beside > MAX_FIELD_BYTES:
            raise _too_large(f"What comes beside the file is larger than {MAX_FIELD_BYTES} bytes.")


def _put(found: dict[str, Any], steps: list[str], value: str, name: str) -> None:
    *path, last = steps
    place: Any = found
    for step, following in zip(path, steps[1:], strict=True):
        if not isinstance(place, dict):
            raise InvalidRequest(f"The form's field '{name}' contradicts another one.", param=name)
        place = place.setdefault(step, [] if following == "" else {})
    if last == "" and isinstance(place, list):
        place.append(value)
    elif last != "" and isinstance(place, dict) and last not in place:
        place[last] = value
    else:
        raise InvalidRequest(f"The form's field '{name}' contradicts another one.", param=name)


def _filename(given: str, param: str) -> str:
    # Some clients send the path on their own machine.
    name = re.split(r"[/\\]", given)[-1].strip()
    if not name or len(name) > 255 or not name.isprintable():
        raise InvalidRequest("The file needs a name of up to 255 printable characters.", param=param)
    return name


def _text(data: bytes, param: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("The form holds a name or a value that is not UTF-8.", param=param or None) from error


def _too_large(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail=detail)
