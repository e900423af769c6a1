"""A question in, the keyword arguments of `chat.completions.create` out."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict

from openai.types import Model
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.completion_create_params import ResponseFormat

GroundingMode = Literal["off", "cite", "strict"]


class Document(TypedDict):
    """A passage that the caller brings along instead of a store."""

    title: str
    text: str


class StructuredOutputs(TypedDict, total=False):
    """The form that the answer keeps to; exactly one of these."""

    json: dict[str, Any] | str  # a JSON schema
    json_object: bool
    regex: str
    choice: list[str]
    grammar: str


class Sampling(TypedDict, total=False):
    """How the answer is drawn, and what form it has; what is left out is the server's choice."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    logit_bias: dict[str, int]
    max_tokens: int
    min_tokens: int
    ignore_eos: bool
    seed: int
    stop: str | list[str]
    stop_token_ids: list[int]
    response_format: ResponseFormat
    structured_outputs: StructuredOutputs
    condition: str
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"]


class Asked(Sampling, total=False):
    """What a question says besides its text; what is left out, or None, is the server's choice."""

    store: str | Sequence[str] | None  # names or ids of stores to look in; else the server's default store
    history: Sequence[ChatCompletionMessageParam] | None  # earlier messages, as the official client spells them
    grounding: GroundingMode | None  # what happens to sentences that no source supports
    max_passages: int | None  # how many passages to look up, 1 to 50
    documents: Sequence[Document] | None  # passages that take the place of any store
    timeout: float | None  # seconds that the server may say nothing; else the client's own


# Fields of the server that the official client has no parameter for.
_EXTRA = (
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
    "structured_outputs",
    "condition",
)


def completion(model: str, question: str, asked: Asked) -> dict[str, Any]:
    """Spell a question as the arguments of `chat.completions.create`.

    Raises:
        TypeError: `asked` holds a name that is not in `Asked`; passing it on would let `n` lose answers.
        ValueError: the question is not text.
    """
    check_text(question)
    unknown = asked.keys() - Asked.__optional_keys__
    if unknown:
        raise TypeError(f"no such parameter: {', '.join(sorted(unknown))}")
    given = {name: value for name, value in asked.items() if value is not None}
    # The official client would take a timeout of None for one that never ends.
    named = {name: value for name, value in given.items() if name in Sampling.__optional_keys__ or name == "timeout"}
    extra = {name: named.pop(name) for name in _EXTRA if name in named}
    if retrieval := _retrieval(asked):
        extra["retrieval"] = retrieval
    documents = asked.get("documents")
    if documents is not None:  # none of them is not the same: a server would look in its store instead
        extra["documents"] = [dict(document) for document in documents]
    return {
        "model": model,
        "messages": [*(asked.get("history") or ()), {"role": "user", "content": question}],
        "extra_body": extra,
        **named,
    }


def check_text(question: str) -> None:
    """Refuse a question with bytes that were never decoded, as a command line hands them on.

    Raises:
        ValueError: it cannot be written as UTF-8.
    """
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the question is not text: character {error.start + 1} could not be read (it may not be UTF-8)"
        ) from error


def _retrieval(asked: Asked) -> dict[str, Any]:
    store = asked.get("store")
    named = {
        "vector_store_ids": [store] if isinstance(store, str) else store,
        "grounding": asked.get("grounding"),
        "max_num_results": asked.get("max_passages"),
    }
    return {name: value for name, value in named.items() if value is not None}


def served_model(models: Iterable[Model]) -> str:
    """The model to ask when none was named: the first that is no alias of a model with a store (`model@store`).

    Raises:
        LookupError: the server lists no model that the key may use.
    """
    for model in models:
        if "@" not in model.id:
            return model.id
    raise LookupError("the server lists no model that this key may use")
