"""What /v1/embeddings takes and gives."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag
from pydantic_core import PydanticCustomError

from server.schemas.fields import Answered, Asked, Name, Text, by_shape

MAX_INPUTS = 2048
MAX_TOKENS = 300_000  # of one request


def _not_empty(text: str) -> str:
    if not text:
        raise PydanticCustomError("empty", "it is empty")
    return text


Line = Annotated[Text, AfterValidator(_not_empty)]
Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Several = Annotated[
    list[
        Annotated[
            Annotated[Line, Tag("text")] | Annotated[int, Field(ge=0), Tag("token")] | Annotated[Ids, Tag("tokens")],
            by_shape(text=str, token=int, tokens=list),
        ]
    ],
    Field(min_length=1),
]


def _alike(parts: list[str | int | list[int]]) -> list[str | int | list[int]]:
    if len({type(part) for part in parts}) > 1:
        raise PydanticCustomError("mixed", "texts, tokens and lists of tokens cannot be mixed")
    if not isinstance(parts[0], int) and len(parts) > MAX_INPUTS:
        raise PydanticCustomError("too_many", "at most {most} inputs", {"most": MAX_INPUTS})
    return parts


class EmbeddingRequest(Asked):
    """Texts, or the embedder's own tokens, to be embedded."""

    model: Name
    input: Annotated[
        Annotated[Line, Tag("one")] | Annotated[Several, AfterValidator(_alike), Tag("several")],
        by_shape(one=str, several=list),
    ] = Field(description="A text, texts, the embedder's own token ids, or lists of them.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="The model's own number; no other is supported.")
    user: str | None = Field(None, description="Accepted without effect.")

    def texts(self) -> list[str] | list[list[int]]:
        """The inputs, all texts or all tokens."""
        if isinstance(self.input, str):
            return [self.input]
        if isinstance(self.input[0], int):
            return [[token for token in self.input if isinstance(token, int)]]
        return self.input  # type: ignore[return-value]  # `_alike` has seen to it


class Embedding(Answered):
    """A vector: numbers, or the base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Answered):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Answered):
    """A vector for each input, in order."""

    object: Literal["list"] = "list"
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage
