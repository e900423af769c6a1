"""How a document is cut, as it is asked for and as it was done."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from retrieval.types import Chunking
from server.schemas.fields import Answered, Asked

# The embedder's, as `retrieval.chunking` has them: what a document without a strategy is cut by.
AUTO_TOKENS = 220


class StaticSizes(Asked):
    """Sizes in the embedder's tokens. A chunk above 254 is embedded by windows."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0)

    @model_validator(mode="after")
    def _overlap_is_small(self) -> Self:
        if self.chunk_overlap_tokens > self.max_chunk_size_tokens // 2:
            raise PydanticCustomError("overlap", "chunk_overlap_tokens is at most half of max_chunk_size_tokens")
        return self


class AutoChunking(Asked):
    """Paragraphs of up to 220 tokens, under their headings."""

    type: Literal["auto"]


class StaticChunking(Asked):
    """Chunks as large as they may be."""

    type: Literal["static"]
    static: StaticSizes


ChunkingStrategy = Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]


def chunking_of(strategy: AutoChunking | StaticChunking | None) -> Chunking | None:
    """What the store understands."""
    if isinstance(strategy, StaticChunking):
        return Chunking(strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens)
    return None


class Sizes(Answered):
    """Sizes in the embedder's tokens."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class UsedChunking(Answered):
    """How the file was cut."""

    type: Literal["static"] = "static"
    static: Sizes

    @classmethod
    def of(cls, chunking: Chunking | None) -> "UsedChunking":
        used = chunking or Chunking(AUTO_TOKENS)
        return cls(static=Sizes(max_chunk_size_tokens=used.max_tokens, chunk_overlap_tokens=used.overlap_tokens))
