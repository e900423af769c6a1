"""POST /v1/completions: what it takes, and what its answers look like."""

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import Field, Tag

from hrm_model.types import Prompt, Question, Sampling, Tokens
from server.errors import InvalidRequest
from server.schemas.answer import Usage
from server.schemas.drawing import Drawing, TokenId
from server.schemas.fields import Answered, Name, StreamOptions, Written, by_shape, texts_or_ids, unsupported

MAX_PROMPTS = 64


PrefixLength = Annotated[int, Field(strict=True, ge=0)]
PromptIds = Annotated[list[TokenId], Field(min_length=1)]
PrefixLengths = Annotated[
    Annotated[PrefixLength, Tag("one")]
    | Annotated[list[PrefixLength], Field(min_length=1, max_length=MAX_PROMPTS), Tag("many")],
    by_shape(one=int, many=list),
]
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
        description="A text is read as one question. Token ids are read as they are: as prompt up to `prefix_len`."
    )
    prefix_len: PrefixLengths | None = Field(
        None,
        description="Of a prompt's token ids so many are prompt; the others are the beginning of its answer, and with"
        " `echo` and `logprobs` each has its log probability. A grammar and `min_tokens` are of what is drawn alone."
        " One number for all prompts, or one each. Default: all.",
    )
    echo: bool | None = Field(None, description="Begin each answer with its prompt, and what was given of the answer.")
    logprobs: int | None = Field(
        None, ge=0, le=5, description="Alternatives beside each token. Those of prompt tokens are null."
    )
    max_tokens: int | None = Field(None, ge=0, description="0: nothing is drawn, for `echo` alone.")
    return_token_ids: bool | None = Field(
        None, description="Give the ids of the prompt and of the answer, too, with which it can be gone on with."
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
        prompts = self.prompts()
        if self.seed is None or not self.seed_is_ours:
            return [self.seed for _ in prompts]
        return [(self.seed + index) % 2**63 for index in range(len(prompts))]

    def prompts(self) -> list[tuple[str, Prompt]]:
        """Each prompt behind the name of its place in the body.

        Raises:
            InvalidRequest: `prefix_len` does not go with them.
        """
        places: list[str] = []
        prompts: list[str | list[int]] = []
        match self.prompt:
            case str() | [int(), *_] as one:
                places, prompts = ["prompt"], [cast("str | list[int]", one)]
            case many:
                places = [f"prompt[{place}]" for place in range(len(many))]
                prompts = cast("list[str | list[int]]", many)
        return list(zip(places, map(_prompt, prompts, self._prefixes(len(prompts))), strict=True))

    def _prefixes(self, prompts: int) -> Sequence["_Prefix"]:
        """The length of each prompt's prefix, and its name."""
        match self.prefix_len:
            case list() as lengths:
                if len(lengths) != prompts:
                    raise InvalidRequest(
                        f"'prefix_len' has {len(lengths)} numbers for {prompts} prompts.", param="prefix_len"
                    )
                return [(length, f"prefix_len[{place}]") for place, length in enumerate(lengths)]
            case length:
                return [(length, "prefix_len")] * prompts


_Prefix = tuple[int | None, str]


def _prompt(prompt: str | list[int], prefix: _Prefix) -> Prompt:
    length, name = prefix
    if isinstance(prompt, str):
        if length is not None:
            raise InvalidRequest(f"'{name}' counts token ids; this prompt is a text.", param=name)
        return Question(prompt)
    if length is not None and length > len(prompt):
        raise InvalidRequest(f"'{name}' is {length}; its prompt has {len(prompt)} tokens.", param=name)
    return Tokens(tuple(prompt), len(prompt) if length is None else length)


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
    prompt_token_ids: list[int] | None = Field(
        None, description="With `return_token_ids`: as they were given, or as a text was spelled for the model."
    )
    token_ids: list[int] | None = Field(
        None, description="With `return_token_ids`: what was drawn, but for a closing token and what `stop` cut off."
    )


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
    prompt_token_ids: list[int] | None = Field(None, description="In the first chunk of each answer.")
    token_ids: list[int] | None = None


class CompletionChunk(Answered):
    """One frame of streamed answers."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChunkChoice]
    usage: Usage | None = None
