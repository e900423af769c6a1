"""Building blocks of request models: strictness, unions that report well, and refusal by name."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Protocol
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field
from pydantic_core import PydanticCustomError

_DIGITS = re.compile("-?[0-9]+")


class Asked(BaseModel):
    """A part of a request. A field that is not known is refused by name, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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


def unsupported(name: str, *neutral: object, why: str = "") -> AfterValidator:
    """Refuse a parameter unless it is null or one of the values that change nothing."""

    def check(value: object) -> object:
        if value is None or value in neutral:
            return value
        raise PydanticCustomError("unsupported_parameter", "{text}", {"text": f"'{name}' is not supported{why}."})

    return AfterValidator(check)


def by_shape(**shapes: type | tuple[type, ...]) -> Discriminator:
    """Choose the member of a union by the JSON type of the value, so that only that member's errors are reported."""

    def choose(value: Any) -> str:
        return next((tag for tag, kinds in shapes.items() if isinstance(value, kinds)), next(iter(shapes)))

    chooser: Callable[[Any], str] = choose
    return Discriminator(chooser)


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
