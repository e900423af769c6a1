"""What comes back: an answer, the passages it was made from, and the parts of a stream.

All offsets count Unicode code points and exclude their end, so Python's slices fit them as they are.
"""

from dataclasses import dataclass
from typing import Literal

from openai.types import CompletionUsage

GroundingStatus = Literal["supported", "partial", "unsupported", "abstained", "no_sources"]


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that the model read. `text` is `[start_char:end_char]` of the document as the server stores it."""

    number: int  # as it stands in the answer's `[n]` markers
    title: str
    filename: str
    url: str
    start_char: int
    end_char: int
    text: str
    score: float  # 0 to 1, larger is closer to the question
    file_id: str | None  # None: the request brought the passage along


@dataclass(frozen=True, slots=True)
class Citation:
    """A stretch of the answer, its marker included, and the words in a source that the server found to support it."""

    start_index: int
    end_index: int
    number: int | None  # of the source; None where the server's list of sources does not hold it
    url: str
    title: str
    quote: str
    start_char: int | None  # where the quote stands in the document; None where the server does not say
    end_char: int | None


@dataclass(frozen=True, slots=True)
class Grounding:
    """How far the sources carry the answer.

    abstained: there were passages, and the model found no answer in them. no_sources: there was no passage.
    """

    status: GroundingStatus
    sentences: int
    supported_sentences: int
    retrieved: int  # passages that the search found
    used: int  # passages that fitted into the prompt
    truncated: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer, the same whether it was streamed or not.

    Where a form was asked for and the documents hold no answer, `text` is empty and `refusal` says so.
    """

    id: str
    text: str
    sources: tuple[Source, ...]
    citations: tuple[Citation, ...]
    grounding: Grounding | None  # None: the server answered without retrieval
    finish_reason: str
    usage: CompletionUsage | None
    refusal: str | None = None

    def source(self, citation: Citation) -> Source | None:
        """The source that a citation of this answer points at."""
        return next((source for source in self.sources if source.number == citation.number), None)


@dataclass(frozen=True, slots=True)
class Sources:
    """The first part of every stream: what the model will read; empty where nothing was retrieved."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last part of every stream that ends well."""

    answer: Answer


Part = Sources | Delta | Done
