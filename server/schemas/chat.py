"""What POST /v1/chat/completions takes. What is accepted is honoured; what is not supported is refused by name."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from hrm_model.types import TRAINED_CONDITIONS, Condition, Sampling
from server.grounding.cite import Mode
from server.schemas.drawing import Drawing
from server.schemas.fields import Asked, Name, StreamOptions, Text, Written, by_shape, unsupported
from server.schemas.filters import Filters
from server.schemas.tools import FileSearchTool, MadeCall, RankingOptions, Tool, ToolChoice


def _no_other_part(kind: str) -> str:
    if kind != "text":
        raise PydanticCustomError(
            "unsupported_parameter", "{text}", {"text": f"Content parts of type '{kind}' are not supported."}
        )
    return kind


class TextPart(Asked):
    """A piece of text."""

    type: Annotated[str, AfterValidator(_no_other_part), Field(json_schema_extra={"enum": ["text"]})]
    text: Text


Content = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[list[TextPart], Field(min_length=1), Tag("parts")]
    | Annotated[None, Tag("none")],
    by_shape(text=str, parts=list, none=type(None)),
]


class Message(Asked):
    """One turn. An answer of this server may be sent back as it came; its extra fields have no effect."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = Field(description="null, or left out, beside `tool_calls` or an assistant's `refusal` alone.")
    name: str | None = Field(None, description="Accepted without effect.")
    tool_call_id: str | None = Field(None, description="Accepted without effect.")
    refusal: Text | None = Field(
        None, description="Stands for the content of an assistant's message without one; else without effect."
    )
    parsed: Any = Field(None, description="Accepted without effect: clients that parse answers add it.")
    annotations: list[dict[str, Any]] | None = Field(None, description="Accepted without effect.")
    context: dict[str, Any] | None = Field(None, description="Accepted without effect.")
    tool_calls: list[MadeCall] | None = None
    function_call: Annotated[Any, unsupported("function_call")] = None
    audio: Annotated[Any, unsupported("audio")] = None

    @model_validator(mode="before")
    @classmethod
    def _without_content(cls, given: Any) -> Any:
        """Clients leave the content of a call or a refusal out, or send it as null."""
        if not isinstance(given, dict) or "content" in given:
            return given
        is_refusal = given.get("role") == "assistant" and given.get("refusal")
        return {**given, "content": None} if given.get("tool_calls") or is_refusal else given

    @property
    def is_missing(self) -> bool:
        """Does it say nothing, not even by a call?"""
        return self.content is None and not self.tool_calls and not self._refused()

    def text(self) -> str:
        """The content or the refusal as one text, and what was called."""
        content = [self.content] if isinstance(self.content, str) else [part.text for part in self.content or ()]
        calls = [f"{call.function.name}({call.function.arguments})" for call in self.tool_calls or ()]
        # A call and a refusal that were put together from a stream have an empty content.
        return "\n".join([*(content if any(content) else self._refused()), *calls])

    def _refused(self) -> list[str]:
        return [self.refusal] if self.role == "assistant" and self.refusal else []


class RetrievalOptions(Asked):
    """Retrieval, asked for in the body. Without `vector_store_ids`: from the store of the model id."""

    vector_store_ids: list[Text] | None = Field(
        None, min_length=1, max_length=16, description="Ids or names of stores."
    )
    max_num_results: int | None = Field(None, ge=1, le=50)
    ranking_options: RankingOptions | None = None
    grounding: Mode | None = Field(
        None,
        description="off: no markers; cite: markers after sentences that a source supports; strict: only those.",
    )
    max_context_tokens: int | None = Field(
        None,
        ge=32,
        description="Passages in the prompt, in the model's tokens; never more than the server's own limit.",
    )
    filters: Filters | None = Field(None, description="Which documents to read, by their attributes.")


class BroughtDocument(Asked):
    """A text that the caller brings along; cited with `file_id: null`."""

    title: Text = ""
    text: Written


def _trained(text: str) -> str:
    if tuple(text.replace(" ", "").split(",")) not in TRAINED_CONDITIONS:
        known = "; ".join(sorted(",".join(names) for names in TRAINED_CONDITIONS))
        raise PydanticCustomError("condition", "must be one of {known}", {"known": known})
    return text.replace(" ", "")


class ChatRequest(Drawing):
    """A conversation to be answered from documents."""

    model: Name = Field(
        description="The model's id, alone or as `id@store` to retrieve from that store, or `id@none` to retrieve "
        "from none.",
    )
    messages: list[Message] = Field(min_length=1, description="The last one must be the user's.")
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(None, ge=1, description="The same as max_tokens.")
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    condition: Annotated[str, AfterValidator(_trained)] | None = Field(
        None, description="How HRM-Text is conditioned: direct (the default), cot, noisy, synth or a trained composite."
    )
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = Field(
        None, description="none, minimal and low: `direct`; medium and high: `synth,cot`."
    )
    tools: list[Tool] | None = Field(None, max_length=64, description="At most one `file_search`, and functions.")
    tool_choice: ToolChoice | None = Field(
        None,
        description="none: answer without retrieval, and call nothing. required, or a function: the answer is a call. "
        "auto is for `file_search` alone: the model was not trained to decide whether to call.",
    )
    parallel_tool_calls: bool | None = Field(
        None, description="Accepted without effect: an answer is one call at most."
    )
    retrieval: (
        Annotated[
            Annotated[bool, Tag("switch")] | Annotated[RetrievalOptions, Tag("options")],
            by_shape(switch=bool, options=dict),
        ]
        | None
    ) = Field(None, description="false: answer without retrieval.")
    documents: list[BroughtDocument] | None = Field(
        None, min_length=1, max_length=64, description="Read these instead of searching a store."
    )

    user: str | None = Field(None, description="Accepted without effect.")
    metadata: dict[str, Any] | None = Field(None, description="Accepted without effect.")
    store: bool | None = Field(None, description="Accepted without effect.")

    # Named, so that a client reads "not supported" rather than "unknown", and so that neutral values pass.
    functions: Annotated[Any, unsupported("functions")] = None
    function_call: Annotated[Any, unsupported("function_call")] = None
    modalities: Annotated[Any, unsupported("modalities", ["text"])] = None
    audio: Annotated[Any, unsupported("audio")] = None
    prediction: Annotated[Any, unsupported("prediction")] = None
    service_tier: Annotated[Any, unsupported("service_tier")] = None
    verbosity: Annotated[Any, unsupported("verbosity")] = None
    web_search_options: Annotated[Any, unsupported("web_search_options")] = None

    def sampling(self) -> Sampling:
        """How the engine is to draw; what the request leaves out stays the engine's default."""
        return self.drawn(
            max_tokens=self.max_completion_tokens or self.max_tokens,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def search(self) -> tuple[int, FileSearchTool] | None:
        """The first tool that retrieves, and its place."""
        return next(((at, tool) for at, tool in enumerate(self.tools or ()) if isinstance(tool, FileSearchTool)), None)

    def conditions(self) -> tuple[Condition, ...]:
        """The condition tokens that the prompt begins with."""
        if self.condition is not None:
            return next(names for names in TRAINED_CONDITIONS if ",".join(names) == self.condition)
        return ("synth", "cot") if self.reasoning_effort in ("medium", "high") else ("direct",)
