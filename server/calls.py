"""Answers that call a function: which functions may be called, what the model is told of them, and a call in pieces."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from hrm_model.types import TokenLogprob
from server.errors import InvalidRequest
from server.events import Called
from server.schemas.chat import ChatRequest
from server.schemas.tools import Function, FunctionChoice, FunctionTool

_AUTO = (
    "HRM-Text was not trained to decide whether to call a function. Set 'tool_choice' to 'required' or to a function "
    "for a call, or to 'none' for an answer."
)


@dataclass(frozen=True, slots=True)
class Offered:
    """A function that an answer may call, and its place in the request."""

    function: Function
    place: int

    @property
    def param(self) -> str:
        """Where the request has its schema."""
        return f"tools[{self.place}].function.parameters"

    def schema(self) -> str:
        """What its arguments keep to, as JSON: an object, as arguments have names."""
        return json.dumps({"type": "object", **(self.function.parameters or {"properties": {}})})


def to_be_called(request: ChatRequest) -> list[Offered]:
    """The functions one of which the answer has to call; none where it is to be a text.

    Raises:
        InvalidRequest: the choice would be the model's own, or names a function that is not there; or the call might
            be broken off.
    """
    tools, choice = request.tools or [], request.tool_choice
    functions = [Offered(tool.function, place) for place, tool in enumerate(tools) if isinstance(tool, FunctionTool)]
    names = [one.function.name for one in functions]
    for one in functions:
        if (kind := (one.function.parameters or {}).get("type", "object")) != "object":
            raise InvalidRequest(f"A function's arguments are an object, not {kind!r}.", param=f"{one.param}.type")
        if names.count(one.function.name) > 1:
            problem = f"Two functions have the name '{one.function.name}'."
            raise InvalidRequest(problem, param=f"tools[{one.place}].function.name")
    match choice:
        case "required":
            called = functions
        case FunctionChoice(function=named):
            if named.name not in names:
                raise InvalidRequest(
                    f"'tool_choice' names the function '{named.name}', which 'tools' does not bring.",
                    param="tool_choice",
                )
            called = [functions[names.index(named.name)]]
        case None | "auto" if functions:
            raise InvalidRequest(_AUTO, param="tool_choice", code="unsupported_parameter")
        case _:
            called = []
    if called:
        _check_stops(request)
    return called


def _check_stops(request: ChatRequest) -> None:
    """Refuse what may end a call in its middle, where a client would take the rest for an answer, or for JSON."""
    for name, stops in (("stop", request.stop), ("stop_token_ids", request.stop_token_ids)):
        if stops:
            problem = f"'{name}' would end a function call in its middle; a call ends by itself."
            raise InvalidRequest(problem, param=name)


def told(functions: Sequence[Function]) -> str:
    """What the model reads of functions, before everything else."""
    parts = ["Call one of these functions: write its name, and in the next line its arguments as JSON."]
    for function in functions:
        lines = [function.name + (f": {function.description.strip()}" if function.description else "")]
        if function.parameters:
            lines.append(f"Arguments: {json.dumps(function.parameters, ensure_ascii=False)}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


@dataclass(slots=True)
class OpenCall:
    """A call that is being written: a name, a line break, and arguments."""

    choice: int
    is_named: bool = False  # there is a call, whole or cut off in its arguments
    _head: str = ""
    _held: list[TokenLogprob] = field(default_factory=list)

    def grow(self, text: str, logprobs: Sequence[TokenLogprob]) -> Called | None:
        """Take a piece of the answer; None until the name is whole, which is told at once."""
        if self.is_named:
            return Called(self.choice, "", "", text, tuple(logprobs))
        self._head += text
        self._held += logprobs
        name, ended, arguments = self._head.partition("\n")
        if not ended:
            return None
        self.is_named = True
        return Called(self.choice, f"call_{uuid4().hex}", name, arguments, tuple(self._held))
