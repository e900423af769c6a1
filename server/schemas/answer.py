"""What a chat completion looks like, whole and in chunks."""

from typing import Literal

from pydantic import Field

from retrieval.types import FlagKind, PersonalDataKind
from server.grounding.cite import Status
from server.grounding.support import Match, Reason
from server.schemas.fields import Answered


class UrlCitation(Answered):
    """Where a sentence comes from. Offsets count Unicode code points of `content`, end-exclusive."""

    start_index: int = Field(description="Where the sentence begins in the answer.")
    end_index: int = Field(description="Where its marker ends.")
    url: str = Field(description="The stored text and the cited span in it; `document:N` for a brought document.")
    title: str
    content: str = Field(description="The cited span.")
    file_id: str | None
    start_char: int
    end_char: int


class Annotation(Answered):
    """A sentence whose source the server has checked."""

    index: int = Field(description="Its position in this list.")
    type: Literal["url_citation"]
    url_citation: UrlCitation


class Citation(Answered):
    """A passage that the model read, in the order in which markers count."""

    content: str
    title: str
    url: str
    filepath: str
    chunk_id: str = Field(description="Its place: the file, or `document:N`, and the span.")
    file_id: str | None
    vector_store_id: str | None
    page: int | None = Field(description="Page, slide or sheet, counted from 1; null where the format has none.")
    locator: str = Field(description='For a person who has the file open, as "page 3" or "Fees, rows 12–18".')
    start_char: int
    end_char: int
    sha256: str
    score: float
    attributes: dict[str, str | float | bool]
    personal_data: list[PersonalDataKind] = Field(description="Kinds that were found in the whole file.")
    flags: list[FlagKind] = Field(description="What the document is flagged for (docs/documents.md).")


class SentenceVerdict(Answered):
    """What became of one sentence of the model's answer (docs/grounding.md)."""

    index: int = Field(description="Its position in this list.")
    verdict: Literal["supported", "unsupported", "withheld"]
    start_index: int | None = Field(description="Where it begins in the answer; null: it was withheld.")
    end_index: int | None = Field(description="Where it ends, its markers not counted.")
    citations: list[int] = Field(description="The numbers of the passages that say it.")
    match: Match | None = Field(description="How they say it.")
    reason: Reason | None = Field(description="Why none of them does.")


class GroundingReport(Answered):
    """How much of the answer the sources support, and how much of the sources the model read."""

    status: Status
    sentences: int
    supported_sentences: int
    retrieved: int = Field(description="Passages that were found.")
    used: int = Field(description="Passages that the model read: those that fitted, neighbours counted as one.")
    truncated: bool = Field(description="Something that was found did not fit into the prompt, or not whole.")
    left_out: int = Field(description="Passages that were found and of which nothing fitted.")
    index_generation: int | None = Field(
        description="For callers with the role admin; null for others, and where passages were brought."
    )
    verdicts: list[SentenceVerdict] = Field(description="One for each sentence, in order.")


class Context(Answered):
    """What an answer rests on."""

    citations: list[Citation]
    intent: str = Field(description="The queries that were looked up, as a JSON list.")
    grounding: GroundingReport


class ContextDelta(Answered):
    """Its pieces in a stream: sources first, the report at the end."""

    citations: list[Citation] | None = None
    intent: str | None = None
    grounding: GroundingReport | None = None


class TopLogprob(Answered):
    """An alternative token."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token of the model's answer, before markers were put in."""

    top_logprobs: list[TopLogprob]


class Logprobs(Answered):
    """The tokens of the model's answer."""

    content: list[TokenLogprob]
    refusal: None


class CalledFunction(Answered):
    """What is to be called."""

    name: str
    arguments: str = Field(description="JSON that the function's schema describes.")


class ToolCall(Answered):
    """A call that the caller is asked to make."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(Answered):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = Field(
        description="In the place of an answer in a given form, where the sources hold none; `content` is null then."
    )
    annotations: list[Annotation]
    tool_calls: list[ToolCall] | None = Field(None, description="One call; absent where none was asked for.")
    context: Context | None = Field(None, description="Absent where nothing was to be looked up.")


class Choice(Answered):
    """One of n answers."""

    index: int
    message: AnswerMessage
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length", "tool_calls"]


class PromptTokensDetails(Answered):
    """Of the prompt's tokens, those that did not have to be computed."""

    cached_tokens: int


class Usage(Answered):
    """Tokens of the whole request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class ChatCompletion(Answered):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class CalledFunctionDelta(Answered):
    """Its pieces: the name at once, then the arguments."""

    name: str | None = None
    arguments: str


class ToolCallDelta(Answered):
    """A call in a stream; only the first piece has id and type."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: CalledFunctionDelta


class Delta(Answered):
    """What a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    tool_calls: list[ToolCallDelta] | None = None
    context: ContextDelta | None = None


class ChunkChoice(Answered):
    """One choice in a chunk."""

    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length", "tool_calls"] | None


class ChatCompletionChunk(Answered):
    """One frame of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
