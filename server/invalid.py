"""What is wrong with a request, in OpenAI's words: which parameter, as the caller wrote it, and why."""

from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

from fastapi.exceptions import RequestValidationError

_ABSENT = frozenset({"missing", "missing_either", "extra_forbidden"})  # what is wrong with what is not there


def described(error: RequestValidationError, query: Mapping[str, str]) -> tuple[str, str | None, str]:
    """The message, parameter and code for the first thing that validation found.

    Args:
        query: the parameters of the request's address.
    """
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _where_json_ends(first, str(error.body)), None, "invalid_json"
    given = dict(query) if first["loc"][0] == "query" else error.body
    param = _param_of(given, first["loc"][1:], missing=first["type"] in _ABSENT)
    return _explain(first, param), param or None, _code_of(first["type"])


def _param_of(body: object, place: tuple[int | str, ...], *, missing: bool) -> str:
    """Name a place in the body as the caller wrote it: `messages[0].content`.

    Pydantic puts the names of union members into its paths; what the body does not have is left out.
    """
    name = ""
    for depth, step in enumerate(place):
        try:
            body = body[step]  # type: ignore[index]  # a body may be any JSON: what has no such step says so
        except (KeyError, IndexError, TypeError):
            if not (missing and depth == len(place) - 1):
                continue
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _explain(first: Mapping[str, Any], param: str) -> str:
    match first["type"]:
        case "extra_forbidden":
            return f"Unknown parameter: '{param}'."
        case "missing":
            return f"Missing required parameter: '{param}'." if param else "The body must be a JSON object."
        case "unsupported_parameter":
            return str(first["msg"])
        case "too_long" | "too_short" if isinstance(first["input"], str):
            # Behind a validator of its own pydantic has lost sight of what it measures, and says "items".
            return f"Invalid '{param}': {_measured(first['type'], first['ctx'])}."
        case "model_attributes_type" | "model_type" | "dict_type" if not param:
            return "The body must be a JSON object, sent as application/json."
        case _ if not param:
            return f"Invalid request: {first['msg']}."
        case _:
            return f"Invalid '{param}': {first['msg']}."


def _measured(kind: str, bounds: Mapping[str, Any]) -> str:
    most_or_least, bound = ("most", bounds["max_length"]) if kind == "too_long" else ("least", bounds["min_length"])
    return f"String should have at {most_or_least} {bound} character{'' if bound == 1 else 's'}"


def _where_json_ends(first: Mapping[str, Any], body: str) -> str:
    stopped = JSONDecodeError(first["ctx"]["error"], body, first["loc"][1])
    return f"The body is not valid JSON: {stopped}."


def _code_of(kind: str) -> str:
    codes = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}
    return codes.get(kind, kind if kind == "unsupported_parameter" else "invalid_value")
