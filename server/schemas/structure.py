"""What form an answer is to have: OpenAI's `response_format`, and vLLM's `structured_outputs`, which knows others."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from server.schemas.fields import Asked, Text, by_shape, unsupported

Schema = dict[str, Any]
# Size and syntax are the engine's to judge; it has the compiler.
Source = Annotated[Text, Field(min_length=1)]


def _known(kind: str) -> str:
    if kind != "text":
        raise PydanticCustomError("format", "must be 'text', 'json_object' or 'json_schema'")
    return kind


class TextFormat(Asked):
    """Any text."""

    type: Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": ["text"]})]


class JsonObjectFormat(Asked):
    """Any JSON object."""

    type: Literal["json_object"]


class NamedSchema(Asked):
    """A JSON schema. It is kept to whatever `strict` says."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$", description="Accepted without effect.")]
    description: Text | None = Field(None, description="Accepted without effect.")
    schema_: Schema = Field(alias="schema")
    strict: bool | None = Field(None, description="Accepted without effect: the schema always holds.")


class JsonSchemaFormat(Asked):
    """JSON that a schema describes."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if kind in ("json_object", "json_schema") else "text"


# The tags stand in the errors' paths, and a part of the body must not have their names: hence the spaces.
_TAGS = {"text": "any text", "json_object": "a json object", "json_schema": "a json schema"}
ResponseFormat = Annotated[
    Annotated[TextFormat, Tag("any text")]
    | Annotated[JsonObjectFormat, Tag("a json object")]
    | Annotated[JsonSchemaFormat, Tag("a json schema")],
    Discriminator(lambda value: _TAGS[_kind(value)]),
]


class StructuredOutputs(Asked):
    """Exactly one of these."""

    json_: (
        Annotated[
            Annotated[Source, Tag("as text")] | Annotated[Schema, Tag("as json")],
            by_shape(**{"as text": str, "as json": dict}),
        ]
        | None
    ) = Field(None, alias="json", description="A JSON schema, or one as a text.")
    json_object: bool | None = Field(None, description="Any JSON object.")
    regex: Source | None = Field(None, description="What the whole answer matches, in the syntax of Rust's `regex`.")
    choice: list[Source] | None = Field(None, min_length=1, description="The answer is one of these.")
    grammar: Source | None = Field(None, description="A context-free grammar in llguidance's variant of Lark.")
    structural_tag: Annotated[Any, unsupported("structural_tag")] = None
    whitespace_pattern: Annotated[Any, unsupported("whitespace_pattern")] = None
    disable_any_whitespace: Annotated[Any, unsupported("disable_any_whitespace", False)] = None
    disable_additional_properties: Annotated[Any, unsupported("disable_additional_properties", False)] = None
    disable_fallback: Annotated[Any, unsupported("disable_fallback", True, False)] = None

    def given(self) -> list[str]:
        """The names of those that were given."""
        asked = {
            "json": self.json_,
            "json_object": self.json_object or None,
            "regex": self.regex,
            "choice": self.choice,
            "grammar": self.grammar,
        }
        return [name for name, value in asked.items() if value is not None]

    def schema_text(self) -> str:
        """The schema as JSON."""
        return self.json_ if isinstance(self.json_, str) else json.dumps(self.json_)
