"""A question in, the keyword arguments of `chat.completions.create` out."""

from collections.abc import Iterable, Mapping, Sequence
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
    timeout: float


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


def completion(
    model: str,
    question: str,
    *,
    store: str | Sequence[str] | None,
    history: Sequence[ChatCompletionMessageParam],
    grounding: GroundingMode | None,
    max_passages: int | None,
    documents: Sequence[Document],
    sampling: Mapping[str, Any],
) -> dict[str, Any]:
    """Spell a question as the arguments of `chat.completions.create`.

    Raises:
        TypeError: `sampling` holds a name that is not in `Sampling`; passing it on would let `n` lose answers.
        ValueError: the question is not text.
    """
    check_text(question)
    unknown = sampling.keys() - Sampling.__annotations__.keys()
    if unknown:
        raise TypeError(f"no such parameter: {', '.join(sorted(unknown))}")
    extra: dict[str, Any] = {name: sampling[name] for name in _EXTRA if name in sampling}
    retrieval = _retrieval(store, grounding, max_passages)
    if retrieval:
        extra["retrieval"] = retrieval
    if documents:
        extra["documents"] = [dict(document) for document in documents]
    return {
        "model": model,
        "messages": [*history, {"role": "user", "content": question}],
        "extra_body": extra,
        **{name: value for name, value in sampling.items() if name not in _EXTRA},
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


def _retrieval(
    store: str | Sequence[str] | None, grounding: GroundingMode | None, max_passages: int | None
) -> dict[str, Any]:
    retrieval: dict[str, Any] = {}
    if store is not None:
        retrieval["vector_store_ids"] = [store] if isinstance(store, str) else list(store)
    if grounding is not None:
        retrieval["grounding"] = grounding
    if max_passages is not None:
        retrieval["max_num_results"] = max_passages
    return retrieval


def served_model(models: Iterable[Model]) -> str:
    """The model to ask when none was named: the first that is no alias of a model with a store (`model@store`).

    Raises:
        LookupError: the server lists no model that the key may use.
    """
    for model in models:
        if "@" not in model.id:
            return model.id
    raise LookupError("the server lists no model that this key may use")
