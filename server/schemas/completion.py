"""POST /v1/completions: what it takes, and what its answers look like."""

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from hrm_model.types import Prompt, Question, Sampling, Tokens
from server.schemas.answer import Usage
from server.schemas.drawing import Drawing, TokenId
from server.schemas.fields import Answered, Name, StreamOptions, Written, texts_or_ids, unsupported

MAX_PROMPTS = 64


PromptIds = Annotated[list[TokenId], Field(min_length=1)]
AnyPrompt = Annotated[
    Annotated[Written, Tag("one text")]
    | Annotated[list[Written], Field(min_length=1, max_length=MAX_PROMPTS), Tag("many texts")]
    | Annotated[PromptIds, Tag("one list of ids")]
    | Annotated[list[PromptIds], Field(min_length=1, max_length=MAX_PROMPTS), Tag("many lists of ids")],
    texts_or_ids,
]


class CompletionRequest(Drawing):
    """One prompt or several, each to be answered without looking anything up."""

    model: Name = Field(description="The model's id; this route retrieves from no store.")
    prompt: AnyPrompt = Field(
        description="A text is read as one question. Token ids are read as they are, all of them as prompt."
    )
    echo: bool | None = Field(None, description="Begin each answer with its prompt.")
    logprobs: int | None = Field(
        None, ge=0, le=5, description="Alternatives beside each token. Those of prompt tokens are null."
    )
    best_of: int | None = Field(
        None, ge=1, le=128, description="Of so many answers to a prompt, the n likeliest by token. Not for a stream."
    )
    stream: bool | None = False
    stream_options: StreamOptions | None = None

    user: str | None = Field(None, description="Accepted without effect.")

    # Named, so that a client reads "not supported" rather than "unknown", and so that neutral values pass.
    suffix: Annotated[str | None, unsupported("suffix", "")] = None

    @property
    def answers(self) -> int:
        """How many answers to each prompt are wanted."""
        return self.n or 1

    @property
    def drawn_answers(self) -> int:
        """How many are drawn."""
        return self.best_of or self.answers

    def sampling(self) -> Sampling:
        """How the engine is to draw; the best are found by log probabilities."""
        logprobs = 0 if self.logprobs is None and self.drawn_answers > self.answers else self.logprobs
        return self.drawn(max_tokens=self.max_tokens, logprobs=logprobs)

    def seeds(self) -> list[int | None]:
        """What the draws for each prompt depend on.

        A seed that the client gave is that of every prompt, so that an answer does not depend on what was asked beside
        it. One of the server's is counted on from: whoever asks the same twice without a seed wants two samples.
        """
        prompts = range(len(self.prompts()))
        if self.seed is None or not self.seed_is_ours:
            return [self.seed for _ in prompts]
        return [(self.seed + index) % 2**63 for index in prompts]

    def prompts(self) -> list[tuple[str, Prompt]]:
        """Each prompt behind the name of its place in the body."""
        match self.prompt:
            case str(text):
                return [("prompt", Question(text))]
            case [int(), *_] as ids:
                return [("prompt", _tokens(ids))]
            case many:
                return [
                    (f"prompt[{place}]", Question(one) if isinstance(one, str) else _tokens(one))
                    for place, one in enumerate(many)
                ]


def _tokens(ids: Any) -> Tokens:
    return Tokens(tuple(ids), prefix_len=len(ids))


class CompletionLogprobs(Answered):
    """The tokens of an answer, behind those of its prompt where that is echoed."""

    tokens: list[str]
    token_logprobs: list[float | None] = Field(description="null for tokens of the prompt.")
    top_logprobs: list[dict[str, float] | None] = Field(
        description="The likeliest tokens and the one that was drawn; null for tokens of the prompt."
    )
    text_offset: list[int] = Field(description="Where each token begins in the text.")


class CompletionChoice(Answered):
    """One of n answers to one prompt."""

    index: int = Field(description="Counts the answers to the first prompt, then those to the second, and so on.")
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"]


class Completion(Answered):
    """All answers to all prompts."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class CompletionChunkChoice(Answered):
    """What a chunk adds to one answer."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class CompletionChunk(Answered):
    """One frame of streamed answers."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChunkChoice]
    usage: Usage | None = None
