"""Tools of a chat request: retrieval, which the server does before it answers, and functions, which the caller runs."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from server.schemas.fields import Asked, Text
from server.schemas.filters import Filters

Score = Annotated[float, Field(ge=0, le=1)]
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ranker = Annotated[
    Literal["auto", "none", "default-2024-11-15", "default-2024-08-21", "default_2024_08_21"],
    Field(
        description="There is one ranker, and each of these names it; OpenAI's dated ones are taken for its default."
    ),
]


class HybridSearch(Asked):
    """How much meaning and wording count in a score, relative to each other."""

    embedding_weight: Weight
    text_weight: Weight

    @model_validator(mode="after")
    def _weighs_something(self) -> "HybridSearch":
        if not self.embedding_weight + self.text_weight:
            raise PydanticCustomError("hybrid_search", "one of the weights must be above 0")
        return self

    def weights(self) -> tuple[float, float]:
        """Of meaning and of wording; 1 together."""
        # Divided by the larger one first: the sum of two very large numbers is none.
        larger = max(self.embedding_weight, self.text_weight)
        meaning, wording = self.embedding_weight / larger, self.text_weight / larger
        return meaning / (meaning + wording), wording / (meaning + wording)


class RankingOptions(Asked):
    """How hits are chosen."""

    ranker: Ranker = "auto"
    score_threshold: Score | None = Field(
        None, description="Passages below it are left out; without it, those below the server's own."
    )
    hybrid_search: HybridSearch | None = Field(None, description="In place of the server's own weights.")


def lowest_score(ranking: RankingOptions | None, default: float) -> float:
    """Below which passages are left out: as the request says, or else as the operator does."""
    asked = ranking.score_threshold if ranking else None
    return default if asked is None else asked


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
