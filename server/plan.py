"""What a chat request asks for: which sources, checked how. Its contradictions are refused here."""

from dataclasses import dataclass
from hashlib import sha256

from retrieval.types import Filter, Passage
from server.deps import ModelCard, Policy
from server.errors import InvalidRequest, UnknownModel
from server.grounding.cite import Mode
from server.identity import Caller, GroundedOnly
from server.schemas.chat import BroughtDocument, ChatRequest, RetrievalOptions
from server.schemas.completion import CompletionRequest
from server.schemas.tools import FileSearchTool, SearchChoice, lowest_score
from server.shape import Shape, shape_of_chat

NO_STORE = "none"  # the alias `model@none`; no store can have this name


@dataclass(frozen=True, slots=True)
class Search:
    """Look these stores up. `param` is where the request named them; it named none where that `is_default`."""

    stores: tuple[str, ...]
    param: str
    k: int
    score_threshold: float
    filters: Filter | None = None
    weights: tuple[float, float] | None = None  # of meaning and of wording; None: the server's own
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Brought:
    """Read what the caller brought."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where passages come from (None: from nowhere), and what is to become of them."""

    lookup: Search | Brought | None
    grounding: Mode
    max_context_tokens: int | None
    shape: Shape | None


def plan(request: ChatRequest, caller: Caller, model: ModelCard, policy: Policy) -> Plan:
    """Read a request.

    Raises:
        InvalidRequest: it contradicts itself.
        UnknownModel: it names a model that is not served here.
        GroundedOnly: the caller's key does not reach that far.
    """
    _check_numbers(request, policy)
    options = request.retrieval if isinstance(request.retrieval, RetrievalOptions) else None
    shape = shape_of_chat(request)
    grounding = (options and options.grounding) or _default_grounding(request, shape, model, policy)
    if grounding == "strict" and request.logprobs:
        raise InvalidRequest("logprobs would show the sentences that strict grounding withholds.", param="logprobs")
    lookup = _lookup(request, store_of(request.model, model, caller), options, policy)
    if caller.grounded_only and (lookup is None or grounding == "off"):
        raise GroundedOnly
    if shape is not None and shape.calls:
        if caller.grounded_only:
            raise GroundedOnly
        if grounding == "strict":
            raise InvalidRequest(
                "Strict grounding withholds what no source supports, and nothing can be left out of a function call; "
                "ask for it with 'retrieval': {'grounding': 'cite'}.",
                param="tool_choice",
            )
    return Plan(lookup, grounding, options.max_context_tokens if options else None, shape)


def _default_grounding(request: ChatRequest, shape: Shape | None, model: ModelCard, policy: Policy) -> Mode:
    """How an answer is checked whose request does not say.

    What an extractive checkpoint says and no passage supports is a slip, so it is withheld; but out of a form nothing
    can be left, and log probabilities are asked for to look at all of an answer.
    """
    if policy.grounding != "auto":
        return policy.grounding
    return "strict" if model.is_extractive and shape is None and not request.logprobs else "cite"


def store_of(name: str, model: ModelCard, caller: Caller) -> str | None:
    """The store that a model id names after its `@`; None for the plain id.

    Raises:
        UnknownModel: the part before is not the model that is served, or the caller's key does not open it.
    """
    if not caller.may_ask(name):
        raise UnknownModel(name)
    if name == model.id:
        return None
    head, at, store = name.rpartition("@")
    if not at or head != model.id or not store:
        raise UnknownModel(name)
    return store


def _lookup(
    request: ChatRequest, alias: str | None, options: RetrievalOptions | None, policy: Policy
) -> Search | Brought | None:
    place, tool = request.search() or (0, None)
    if sum(isinstance(one, FileSearchTool) for one in request.tools or ()) > 1:
        raise InvalidRequest("One 'file_search' may name several stores; two are one too many.", param="tools")
    if tool is not None and request.retrieval is not None:
        raise InvalidRequest("Ask for retrieval with 'tools' or with 'retrieval', not with both.", param="retrieval")
    if (isinstance(request.tool_choice, SearchChoice) and tool is None) or (
        request.tool_choice == "required" and not request.tools
    ):
        raise InvalidRequest("'tool_choice' asks for a tool that 'tools' does not bring.", param="tool_choice")
    named = tool.vector_store_ids if tool else options.vector_store_ids if options else None
    param = f"tools[{place}].vector_store_ids" if tool else "retrieval.vector_store_ids"
    if named and alias is not None:
        raise InvalidRequest("The model id already says which store to use.", param=param)
    if request.documents:
        return _brought(request.documents, tool, options)
    if request.retrieval is False or request.tool_choice == "none" or alias == NO_STORE:
        return None
    is_default = not named and alias is None
    if not named:
        stores = [alias] if alias else [policy.default_store] if policy.default_store else []
        named, param = stores, "model"
    if not named:
        if request.retrieval is not None:
            raise InvalidRequest("Retrieval was asked for, and no store was named.", param="retrieval")
        return None
    ranking = tool.ranking_options if tool else options.ranking_options if options else None
    asked = (tool and tool.max_num_results) or (options and options.max_num_results)
    filters = (tool and tool.filters) or (options and options.filters)
    return Search(
        tuple(dict.fromkeys(named)),
        param,
        k=asked or policy.retrieval_k,
        score_threshold=lowest_score(ranking, policy.score_threshold),
        filters=filters.meaning() if filters else None,
        weights=ranking.hybrid_search.weights() if ranking and ranking.hybrid_search else None,
        is_default=is_default,
    )


def _brought(
    documents: list[BroughtDocument], tool: FileSearchTool | None, options: RetrievalOptions | None
) -> Brought:
    if tool is not None:
        raise InvalidRequest("'documents' are read instead of a store; leave 'tools' out.", param="tools")
    if options and (options.vector_store_ids or options.max_num_results or options.ranking_options or options.filters):
        raise InvalidRequest(
            "'documents' are read instead of a store, as they are and in their order.", param="retrieval"
        )
    return Brought(
        tuple(
            Passage(
                chunk_id=f"document:{number}",
                file_id=None,
                store_id=None,
                filename="",
                title=document.title,
                text=document.text,
                start_char=0,
                end_char=len(document.text),
                sha256=sha256(document.text.encode()).hexdigest(),
                score=1.0,
            )
            for number, document in enumerate(documents, start=1)
        )
    )


def check_form(request: ChatRequest | CompletionRequest, policy: Policy) -> None:
    """Look at in how many choices and pieces an answer is to come.

    Raises:
        InvalidRequest: in more choices than there are here, or in options of a stream without one.
    """
    if (request.n or 1) > policy.max_choices:
        raise InvalidRequest(f"'n' is at most {policy.max_choices} here.", param="n")
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("'stream_options' needs 'stream' to be true.", param="stream_options")


def _check_numbers(request: ChatRequest, policy: Policy) -> None:
    check_form(request, policy)
    limits = {request.max_tokens, request.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise InvalidRequest("'max_tokens' and 'max_completion_tokens' differ.", param="max_completion_tokens")
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    if request.condition is not None and request.reasoning_effort is not None:
        raise InvalidRequest("Give 'condition' or 'reasoning_effort', not both.", param="reasoning_effort")
