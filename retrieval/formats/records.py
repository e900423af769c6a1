"""JSON files: each record as lines "path: value"."""

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.visible import one_line

_DEPTH = 50
_END_OR_TEXT = re.compile(r'\}|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)

Json = dict[str, "Json"] | list["Json"] | str | bool | None  # a number is what is written of it: "1.50"


def read_records(path: Path, source: str, limits: Limits) -> Parsed:
    """A paragraph for each entry of the outermost list, or of the outermost object.

    Raises:
        DocumentRefused: it is not JSON, nested too deeply, or holds too much.
    """
    too_deep = DocumentRefused(path, f"it is nested deeper than {_DEPTH} levels; flatten it")
    try:
        found: Json = json.loads(
            source,
            parse_int=str,
            parse_float=str,
            parse_constant=str,
            object_pairs_hook=partial(_once_each, path, source, count(1)),
        )
    except json.JSONDecodeError as error:
        raise DocumentRefused(
            path, f"it is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise too_deep from error
    composer = Composer(path, limits)
    if isinstance(found, list):
        for number, item in enumerate(found, start=1):
            composer.place(None, "item", number)
            composer.add(_entry("", item, too_deep))
    elif isinstance(found, dict):
        for key, value in found.items():
            composer.add(_entry(key, value, too_deep))
    else:
        composer.add(_entry("", found, too_deep))
    return composer.parsed()


def _once_each(path: Path, source: str, ended: Iterator[int], pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found, number = dict(pairs), next(ended)
    if len(found) < len(pairs):
        # Without the name: what is said of a file is seen where its content is redacted.
        line = 1 + source.count("\n", 0, _end_of_object(source, number))
        raise DocumentRefused(
            path, f"the object that ends in line {line} has a name twice, of which only one would be kept"
        )
    return found


def _end_of_object(source: str, number: int) -> int:
    """Where the object ends that is the `number`th to end."""
    ends = (found.start() for found in _END_OR_TEXT.finditer(source) if found.group() == "}")
    return next(islice(ends, number - 1, None))


def _entry(name: str, value: Json, too_deep: DocumentRefused) -> str:
    return "\n".join(f"{path}: {text}" if path else text for path, text in _leaves(name, value, 0, too_deep))


def _leaves(path: str, value: Json, depth: int, too_deep: DocumentRefused) -> Iterator[tuple[str, str]]:
    """(dotted path, value) of all that is in a value; empty ones are left out."""
    if depth > _DEPTH:
        raise too_deep
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, inner, depth + 1, too_deep)
    elif isinstance(value, list):
        if all(not isinstance(item, dict | list) for item in value):
            value = ", ".join(_text(item) for item in value)
            if value:
                yield path, value
            return
        for number, inner in enumerate(value, start=1):
            yield from _leaves(f"{path} {number}".strip(), inner, depth + 1, too_deep)
    elif text := _text(value):
        yield path, text


def _text(value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            assert isinstance(value, str)
            return one_line(value)
