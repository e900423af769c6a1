"""What /v1/embeddings takes and gives."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag
from pydantic_core import PydanticCustomError

from server.schemas.fields import Answered, Asked, Name, Text, texts_or_ids

MAX_INPUTS = 2048
MAX_TOKENS = 300_000  # of one request


def _not_empty(text: str) -> str:
    if not text:
        raise PydanticCustomError("empty", "it is empty")
    return text


Line = Annotated[Text, AfterValidator(_not_empty)]
Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class EmbeddingRequest(Asked):
    """Texts, or the embedder's own tokens, to be embedded."""

    model: Name
    input: Annotated[
        Annotated[Line, Tag("one text")]
        | Annotated[list[Line], Field(min_length=1, max_length=MAX_INPUTS), Tag("many texts")]
        | Annotated[Ids, Tag("one list of ids")]
        | Annotated[list[Ids], Field(min_length=1, max_length=MAX_INPUTS), Tag("many lists of ids")],
        texts_or_ids,
    ] = Field(description="A text, texts, the embedder's own token ids, or lists of them.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="The model's own number; no other is supported.")
    user: str | None = Field(None, description="Accepted without effect.")

    def texts(self) -> list[str] | list[list[int]]:
        """The inputs, all texts or all tokens."""
        inputs = [self.input] if isinstance(self.input, str) else self.input
        return [inputs] if isinstance(inputs[0], int) else inputs


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
