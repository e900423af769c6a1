"""The form that an answer is to have, read from a request, and the way back from a fault in it to the parameter."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from hrm_model.errors import InvalidGrammar
from hrm_model.types import Event, FunctionCall, Grammar, JsonSchema, Lark, OneOf, Regex
from server.calls import Offered, to_be_called
from server.errors import InvalidRequest
from server.schemas.chat import ChatRequest
from server.schemas.drawing import Drawing
from server.schemas.structure import JsonObjectFormat, JsonSchemaFormat, StructuredOutputs

_PLACE_OF_CALL = re.compile(r"\[(\d+)\]\.?(.*)", re.DOTALL)
_ANY_OBJECT = '{"type": "object"}'


@dataclass(frozen=True, slots=True)
class Shape:
    """What the engine has to keep to. `param` is where the request asks for it."""

    grammar: Grammar
    param: str
    calls: tuple[Offered, ...] = ()  # one of which the answer has to call

    @property
    def is_json(self) -> bool:
        """Whether the answer is a JSON text."""
        return isinstance(self.grammar, JsonSchema)

    def refusal(self, error: InvalidGrammar) -> InvalidRequest:
        """A fault in the grammar as one in the request."""
        param, place = self.param, error.place
        if self.calls and (found := _PLACE_OF_CALL.match(place)):
            param, place = self.calls[int(found[1])].param, found[2]
        param = f"{param}.{place}" if place else param
        code = "invalid_json_schema" if self.is_json or self.calls else "invalid_grammar"
        return InvalidRequest(f"Invalid '{param}': {error.problem}.", param=param, code=code)


def shape_of(request: Drawing) -> Shape | None:
    """What form a request asks for; None for any text.

    Raises:
        InvalidRequest: it asks for two.
    """
    structured = request.structured_outputs
    match request.response_format:
        case JsonSchemaFormat(json_schema=named):
            shape = Shape(JsonSchema(json.dumps(named.schema_)), "response_format.json_schema.schema")
        case JsonObjectFormat():
            shape = Shape(JsonSchema(_ANY_OBJECT), "response_format")
        case _:
            return _structured(structured) if structured is not None else None
    if structured is not None:
        raise InvalidRequest("Give 'response_format' or 'structured_outputs', not both.", param="structured_outputs")
    return shape


def shape_of_chat(request: ChatRequest) -> Shape | None:
    """The same for a chat, whose answer may have to be a function call.

    Raises:
        InvalidRequest: it asks for two, or leaves it to the model whether to call.
    """
    shape, calls = shape_of(request), to_be_called(request)
    if not calls:
        return shape
    if shape is not None:
        raise InvalidRequest("A function call has a form of its own.", param=shape.param.split(".")[0])
    return Shape(FunctionCall(tuple((one.function.name, one.schema()) for one in calls)), "tools", tuple(calls))


async def started(generation: AsyncGenerator[Event, None], shape: Shape | None) -> Event:
    """The first event, or a refusal in the request's words.

    Raises:
        InvalidRequest: the engine cannot keep to the shape; else what the engine raises.
    """
    try:
        return await anext(generation)
    except InvalidGrammar as error:
        if shape is None:
            raise
        raise shape.refusal(error) from error


def _structured(asked: StructuredOutputs) -> Shape:
    given = asked.given()
    if len(given) != 1:
        names = "json, json_object, regex, choice, grammar"
        raise InvalidRequest(f"Give exactly one of {names} in 'structured_outputs'.", param="structured_outputs")
    (name,) = given
    param = f"structured_outputs.{name}"
    match name:
        case "json":
            return Shape(JsonSchema(asked.schema_text()), param)
        case "regex":
            return Shape(Regex(asked.regex or ""), param)
        case "choice":
            return Shape(OneOf(tuple(asked.choice or ())), param)
        case "grammar":
            return Shape(Lark(asked.grammar or ""), param)
        case _:
            return Shape(JsonSchema(_ANY_OBJECT), param)
