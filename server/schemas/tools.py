"""Tools of a chat request: retrieval, which the server does before it answers, and functions, which the caller runs."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from server.schemas.fields import Asked, Text, unsupported
from server.schemas.filters import Filters

Score = Annotated[float, Field(ge=0, le=1)]
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class RankingOptions(Asked):
    """How hits are chosen."""

    ranker: Literal["auto"] = "auto"
    score_threshold: Score | None = Field(None, description="Passages below it are not used.")
    hybrid_search: Annotated[Any, unsupported("hybrid_search")] = None


def _only_file_search(kind: str) -> str:
    if kind != "file_search":
        raise PydanticCustomError(
            "unsupported_parameter", "{text}", {"text": f"Tools of type '{kind}' are not supported."}
        )
    return kind


class FileSearchTool(Asked):
    """Retrieval, asked for as OpenAI's file_search tool. The server searches before it answers."""

    type: Annotated[str, AfterValidator(_only_file_search), Field(json_schema_extra={"enum": ["file_search"]})]
    vector_store_ids: list[Text] = Field(min_length=1, max_length=16, description="Ids or names of stores.")
    max_num_results: int | None = Field(None, ge=1, le=50)
    ranking_options: RankingOptions | None = None
    filters: Filters | None = Field(None, description="Which documents to read, by their attributes.")


class Function(Asked):
    """A function, as the model is told of it."""

    name: FunctionName
    description: Text | None = None
    parameters: dict[str, Any] | None = Field(
        None, description="A JSON schema of an object, which the arguments keep to; without it there are none."
    )
    strict: bool | None = Field(None, description="Accepted without effect: the schema always holds.")


class FunctionTool(Asked):
    """A function that the answer may be a call of, if `tool_choice` is `required` or names it."""

    type: Literal["function"]
    function: Function


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "a function" if kind == "function" else "a search"


Tool = Annotated[
    Annotated[FileSearchTool, Tag("a search")] | Annotated[FunctionTool, Tag("a function")], Discriminator(_kind)
]


class SearchChoice(Asked):
    """Retrieval by name."""

    type: Annotated[str, AfterValidator(_only_file_search), Field(json_schema_extra={"enum": ["file_search"]})]


class NamedFunction(Asked):
    """A function by its name."""

    name: FunctionName


class FunctionChoice(Asked):
    """The one function that is to be called."""

    type: Literal["function"]
    function: NamedFunction


def _choice(value: Any) -> str:
    return "a word" if isinstance(value, str) else _kind(value)


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("a word")]
    | Annotated[SearchChoice, Tag("a search")]
    | Annotated[FunctionChoice, Tag("a function")],
    Discriminator(_choice),
]


class Called(Asked):
    """What was called, and with which arguments, as JSON."""

    name: Text
    arguments: Text
    parsed_arguments: Any = Field(None, description="Accepted without effect: clients that parse calls add it.")


class MadeCall(Asked):
    """A call of an earlier answer."""

    id: Text
    type: Literal["function"]
    function: Called
    index: int | None = Field(None, description="Accepted without effect: calls put together from a stream keep it.")
