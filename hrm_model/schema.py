"""What a JSON schema may ask of an answer, checked before any grammar is made of it. Standard library only.

Keywords that constrain and cannot be kept are refused by name and place, never ignored.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hrm_model.errors import InvalidGrammar

MAX_SCHEMA_BYTES = 64 * 1024
MAX_DEPTH = 64  # of the schema as JSON; the grammar's compiler descends as deep
MAX_PROPERTIES = 400  # of one object: work grows with their square, and 500 exceed what one token may cost

Schema = Mapping[str, Any]

# Constraints of JSON Schema (drafts 4 to 2020-12) that a grammar cannot count, compare or negate.
_UNKEPT = frozenset(
    {
        "not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "propertyNames",
        "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems",
        "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$anchor", "$vocabulary",
    }
)  # fmt: skip
_NEUTRAL: Mapping[str, object] = {"uniqueItems": False, "unevaluatedProperties": True, "unevaluatedItems": True}
# Where schemas stand in a schema: as a value, in a list, by name.
_ONE = ("items", "additionalItems", "additionalProperties")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_NAMED = ("$defs", "definitions", "properties", "patternProperties")
_COMBINED = frozenset({"anyOf", "oneOf", "allOf", "$ref", "patternProperties"})
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TRIES = 200  # parts that are compiled by themselves, to find the one that is at fault


def check_schema(text: str) -> dict[str, Any]:
    """Read a schema and refuse what a grammar could not keep.

    Returns:
        A schema that allows nothing which `text` does not: objects that name their properties, and neither say what
        `additionalProperties` are nor are combined with other schemas, have no others.

    Raises:
        InvalidGrammar: naming the place of the fault.
    """
    if len(text) > MAX_SCHEMA_BYTES:
        raise InvalidGrammar("", f"the schema has {len(text)} bytes as JSON; at most {MAX_SCHEMA_BYTES} are taken")
    try:
        schema = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise InvalidGrammar("", f"it is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise InvalidGrammar("", f"the schema is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidGrammar("", "the schema must be an object")
    if _LONE_SURROGATE.search(json.dumps(schema, ensure_ascii=False)):
        raise InvalidGrammar("", "it contains half a surrogate pair")
    if (place := _too_deep(schema)) is not None:
        raise InvalidGrammar(place, f"it is nested more than {MAX_DEPTH} deep")
    is_open = any(_combines(part) for _, part in _parts(schema))
    for place, part in _parts(schema):
        _check(place, part, is_root=part is schema)
    # One copy, changed in place: the parts are found by walking it again.
    closed: dict[str, Any] = json.loads(text)
    closed.pop("$id", None)
    for _, part in _parts(closed):
        for name, neutral in _NEUTRAL.items():
            if name in part and part[name] is neutral:
                del part[name]
        if not is_open and _may_be_closed(part):
            part["additionalProperties"] = False
    return closed


def place_of(schema: Schema, problem: str, problem_of: Callable[[dict[str, Any]], str]) -> str:
    """Name the smallest part of a schema that has the same problem when it is taken by itself.

    Args:
        problem_of: what is wrong with a schema; empty for nothing.
    """
    place, tries = "", _TRIES
    shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    part: Schema = schema
    while True:
        for name, child in _children(part):
            tries -= 1
            if tries < 0:
                return place
            if problem_of({**child, **shared}) == problem:
                place, part = _joined(place, name), child
                break
        else:
            return place


def _parts(schema: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, itself included, with its place."""
    open_parts: list[tuple[str, Any]] = [("", schema)]
    while open_parts:
        place, part = open_parts.pop()
        yield place, part
        open_parts += reversed([(_joined(place, name), child) for name, child in _children(part)])


def _children(part: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas directly in a schema; definitions come first, as a fault in one is also that of who refers to it."""
    for keyword in _NAMED:
        if isinstance(part.get(keyword), dict):
            for name, child in part[keyword].items():
                if isinstance(child, dict):
                    yield f"{keyword}.{name}", child
    for keyword in _ONE:
        if isinstance(part.get(keyword), dict):
            yield keyword, part[keyword]
    for keyword in _MANY:
        if isinstance(part.get(keyword), list):
            for number, child in enumerate(part[keyword]):
                if isinstance(child, dict):
                    yield f"{keyword}[{number}]", child


def _check(place: str, part: Schema, *, is_root: bool) -> None:
    for name in part:
        if name in _UNKEPT and not (name in _NEUTRAL and part[name] is _NEUTRAL[name]):
            raise InvalidGrammar(_joined(place, name), "this keyword is not supported")
        if name == "x-guidance" or (name == "$id" and not is_root):
            raise InvalidGrammar(_joined(place, name), "this keyword is not supported")
    reference = part.get("$ref")
    if reference is not None and not (isinstance(reference, str) and reference.startswith("#")):
        raise InvalidGrammar(_joined(place, "$ref"), "only references into the schema itself ('#/...') are followed")
    properties = part.get("properties")
    if isinstance(properties, dict) and len(properties) > MAX_PROPERTIES:
        problem = f"{len(properties)} properties; one object may have {MAX_PROPERTIES}"
        raise InvalidGrammar(_joined(place, "properties"), problem)
    least = part.get("minProperties")
    # A key may come twice among properties that are not named, and counts once.
    if (
        isinstance(least, int)
        and least > 1
        and (part.get("additionalProperties") is not False or "patternProperties" in part)
    ):
        problem = "more than 1 is only supported where every property is named"
        raise InvalidGrammar(_joined(place, "minProperties"), problem)


def _combines(part: Schema) -> bool:
    """Whether it describes one object by several schemas: closing one of them would shut out what the others name."""
    return "allOf" in part or bool(
        {"properties", "required"} & part.keys() and {"anyOf", "oneOf", "$ref"} & part.keys()
    )


def _may_be_closed(part: Schema) -> bool:
    properties, required = part.get("properties"), part.get("required", [])
    return (
        isinstance(properties, dict)
        and isinstance(required, list)
        and "additionalProperties" not in part
        and not _COMBINED & part.keys()
        and all(isinstance(name, str) and name in properties for name in required)
    )


def _too_deep(schema: Schema) -> str | None:
    """The place at which a schema exceeds the depth."""
    open_parts: list[tuple[str, Any, int]] = [("", schema, 1)]
    while open_parts:
        place, part, depth = open_parts.pop()
        if depth > MAX_DEPTH:
            return place
        if isinstance(part, dict):
            open_parts += [(_joined(place, str(name)), child, depth + 1) for name, child in part.items()]
        elif isinstance(part, list):
            open_parts += [(f"{place}[{number}]", child, depth + 1) for number, child in enumerate(part)]
    return None


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _no_number(constant: str) -> object:
    raise ValueError(f"{constant} is no number of JSON")
