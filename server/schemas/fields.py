"""Building blocks of request models: strictness, unions that report well, and refusal by name."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Protocol
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError

_DIGITS = re.compile("-?[0-9]+")


def _end_lists_early(schema: Any) -> None:
    match schema:
        case dict():
            if schema.get("type") == "list":
                schema["fail_fast"] = True
            for name, part in schema.items():
                if name != "metadata":
                    _end_lists_early(part)
        case list() | tuple():
            for part in schema:
                _end_lists_early(part)


class Asked(BaseModel):
    """A part of a request. A field that is not known is refused by name, and so is a value of another type.

    Only one fault is told, and a body has room for a million: whatever it holds, few are looked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let every list in it end at its first fault."""
        schema = handler(source)
        _end_lists_early(schema)
        return schema

    @model_validator(mode="before")
    @classmethod
    def _with_one_stranger(cls, given: Any) -> Any:
        """Of fields that are not known keep the first, which is refused: each of them would be a fault of its own."""
        if not isinstance(given, dict) or len(given) <= len(cls.model_fields):
            return given
        known = {field.alias or name for name, field in cls.model_fields.items()}
        known.add(next(name for name in given if name not in known))
        return {name: value for name, value in given.items() if name in known}


class Answered(BaseModel):
    """A part of a response. Extra fields fail validation, so that tests see a body that left its description."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def encodable(text: str) -> str:
    """Refuse a text that cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("broken_unicode", "it contains half a surrogate pair") from error
    return text


# JSON can spell half of a surrogate pair; no tokenizer, database or response can.
Text = Annotated[str, AfterValidator(encodable)]
# Bounds stand before the check, or pydantic would count "items" of a value whose type it has lost sight of.
Name = Annotated[str, Field(min_length=1), AfterValidator(encodable)]


def _in_digits(value: object) -> object:
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise PydanticCustomError("int_parsing", "Input should be a valid integer, written in digits")
    return value


# Numbers in an address, where everything is a text: pydantic alone would take 1.0 and 1_0 as well.
Digits = Annotated[int, BeforeValidator(_in_digits)]
Place = Annotated[int, Field(ge=0), BeforeValidator(_in_digits)]


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: spaces, control characters, and those of no width."""
    return all(character.isspace() or category(character) in ("Cc", "Cf") for character in text)


def _written(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("empty", "it is empty")
    return text


Written = Annotated[Text, AfterValidator(_written)]


def counted_first(most: int) -> BeforeValidator:
    """Refuse an object for its size before its entries are looked at, each of which may be at fault.

    Pydantic alone counts them last. This stands beside `Field(max_length=most)`, which tells the schema.
    """

    def check(given: object) -> object:
        if isinstance(given, dict) and len(given) > most:
            size = {"field_type": "Dictionary", "max_length": most, "actual_length": len(given)}
            raise PydanticKnownError("too_long", size)
        return given

    return BeforeValidator(check)


def unsupported(name: str, *neutral: object, why: str = "") -> AfterValidator:
    """Refuse a parameter unless it is null or one of the values that change nothing."""

    def check(value: object) -> object:
        if value is None or value in neutral:
            return value
        raise PydanticCustomError("unsupported_parameter", "{text}", {"text": f"'{name}' is not supported{why}."})

    return AfterValidator(check)


_IN_JSON = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", list: "a list", dict: "an object"}


def by_shape(**shapes: type | tuple[type, ...]) -> Discriminator:
    """Choose the member of a union by the JSON type of the value, so that only that member's errors are reported."""

    def choose(value: Any) -> str | None:
        return next((tag for tag, kinds in shapes.items() if isinstance(value, kinds)), None)

    chooser: Callable[[Any], str | None] = choose
    wanted = [kind for kinds in shapes.values() for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]
    names = [name for kind, name in _IN_JSON.items() if kind in wanted and not (kind is int and float in wanted)]
    message = " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return Discriminator(chooser, custom_error_type="shape", custom_error_message=f"Input should be {message}")


def _kind(value: Any) -> str:
    match value:
        case [list(), *_]:
            return "many lists of ids"
        case [] | [str(), *_]:
            return "many texts"
        case list():
            return "one list of ids"
        case _:
            return "one text"


# What is to be read, by its first item, so that only the errors of that reading are reported.
# The names stand in the errors' paths; none of them can be taken for a key of the body.
texts_or_ids = Discriminator(_kind)


class StreamOptions(Asked):
    """What a stream carries besides the answer."""

    include_usage: bool = False
    include_obfuscation: Annotated[bool | None, unsupported("include_obfuscation", False)] = None


class Streamed(Protocol):
    """What every request says about how its answer is to be sent."""

    @property
    def model(self) -> str:
        """The model's id."""
        ...

    @property
    def stream(self) -> bool | None:
        """Piece by piece."""
        ...

    @property
    def stream_options(self) -> StreamOptions | None:
        """What the stream carries besides."""
        ...

    @property
    def seed(self) -> int | None:
        """What the draws depend on, where there are any."""
        ...
