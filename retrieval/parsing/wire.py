"""What passes between the process that reads files and the one that stores them: JSON, as neither trusts the other."""

import json
import struct
from pathlib import Path
from typing import Any, cast, get_args

from retrieval.errors import DocumentRefused
from retrieval.parsed import Heading, Parsed, Place
from retrieval.types import Flag, FlagKind

HEAD = struct.Struct(">III")  # the file's number, bytes of its name and of the file
LEAD = struct.Struct(">II")  # the number of the file that is answered for, bytes of the answer
OUT_OF_MEMORY = 3  # the worker's exit status

# More than any reader of ours says; what is beyond could not be stored or shown.
_REASON = 1000
_LEVELS = 10
_NUMBERS = 1 << 31
_UNITS = frozenset({"page", "slide", "sheet", "row", "item"})


class Nonsense(Exception):
    """An answer that no reader of ours gives."""


def request(number: int, path: Path, data: bytes) -> list[bytes]:
    """A file to read, in pieces that need no copy of it. The answer repeats its number."""
    name = path.name.encode(errors="surrogateescape")
    return [HEAD.pack(number, len(name), len(data)) + name, data]


def answer(found: Parsed | DocumentRefused) -> bytes:
    """What a file holds, or why it was refused."""
    if isinstance(found, DocumentRefused):
        message: Any = {"refused": found.reason, "fault": found.fault}
    else:
        message = {
            "title": found.title,
            "text": found.text,
            "headings": [(heading.start, heading.end, heading.level) for heading in found.headings],
            "places": [(place.start, place.page, place.unit, place.number, place.within) for place in found.places],
            "stripped": found.stripped,
            "flags": [(flag.kind, flag.start, flag.end) for flag in found.flags],
        }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def announced(received: bytearray) -> int:
    """Bytes that an answer has, its lead included; of one that has just begun, those of its lead."""
    return LEAD.size + LEAD.unpack_from(received)[1] if len(received) >= LEAD.size else LEAD.size


def read_answer(path: Path, payload: bytes) -> Parsed | DocumentRefused:
    """The other side of `answer`.

    Raises:
        Nonsense: it is not what `answer` makes; a reader that a file has taken over may say anything.
    """
    try:
        match json.loads(payload):
            case {"refused": str(reason), "fault": "unsupported_file" | "invalid_file" | "server_error" as fault}:
                reason.encode()
                if len(reason) > _REASON:
                    raise Nonsense
                return DocumentRefused(path, reason, fault)
            case {
                "title": str(title),
                "text": str(text),
                "headings": list(headings),
                "places": list(places),
                "stripped": int(stripped),
                "flags": list(flags),
            }:
                parsed = Parsed(
                    title,
                    text,
                    tuple(map(_heading, headings)),
                    tuple(map(_place, places)),
                    stripped,
                    tuple(map(_flag, flags)),
                )
            case _:
                raise Nonsense
        "".join([title, text, *(place.within for place in parsed.places)]).encode()  # no half of a character
    except (ValueError, RecursionError) as error:
        raise Nonsense from error
    _check(parsed)
    return parsed


def _heading(found: object) -> Heading:
    match found:
        case [int(start), int(end), int(level)] if 0 < level <= _LEVELS:
            return Heading(start, end, level)
    raise Nonsense


def _place(found: object) -> Place:
    match found:
        case [int(start), int() | None as page, str(unit), int(number), str(within)] if unit in _UNITS:
            if 0 < number < _NUMBERS and (page is None or 0 < page < _NUMBERS):
                return Place(start, page, unit, number, within)
    raise Nonsense


def _flag(found: object) -> Flag:
    match found:
        case [str(kind), int(start), int(end)] if kind in get_args(FlagKind):
            return Flag(cast(FlagKind, kind), start, end)
    raise Nonsense


def _check(parsed: Parsed) -> None:
    borders = [border for heading in parsed.headings for border in (heading.start, heading.end)]
    starts = [place.start for place in parsed.places]
    for offsets in (borders, starts):
        if offsets != sorted(offsets) or (offsets and not 0 <= offsets[0] <= offsets[-1] <= len(parsed.text)):
            raise Nonsense
    kinds = [flag.kind for flag in parsed.flags]
    if len(kinds) != len(set(kinds)):
        raise Nonsense
    if not all(0 <= flag.start <= flag.end <= len(parsed.text) for flag in parsed.flags):
        raise Nonsense
    if not parsed.text.strip() or not 0 <= parsed.stripped < _NUMBERS:
        raise Nonsense
