"""What a record says: of an answer, from the events that make it; of any other act, from its request and response."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.types import Hits, Passage
from server.audit.naming import named
from server.events import AnswerEvent, Called, Closed, Opened, Refused, Said, Used
from server.faults import CLIENT_LEFT
from server.identity import Caller
from server.signing import canonical
from server.spent import Spent

# What of a request is numbers, switches and names that the server knows. All else is content: hashed, not written down.
PARAMETERS = frozenset({
    *("model", "seed", "temperature", "top_p", "top_k", "min_p", "logit_bias", "stop_token_ids", "ignore_eos", "n"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty", "min_tokens", "max_tokens"),
    *("max_completion_tokens", "logprobs", "top_logprobs", "echo", "stream", "stream_options", "condition"),
    *("reasoning_effort", "parallel_tool_calls", "store"),
})  # fmt: skip
# Whose names are hashed and kept in the order in which they were sent: the model reads a form's in that order, and
# answers in it.
ORDERED = frozenset({"response_format", "structured_outputs", "tools"})
# What was content, and nothing else, in records of before they named theirs.
_EARLIER = ("messages", "prompt", "documents", "tools", "response_format", "structured_outputs", "user", "metadata")


@dataclass(frozen=True, slots=True)
class Origin:
    """What answers of this process are made with; the same for all of them."""

    version: str
    model: str
    model_digest: str  # sha256 of the checkpoint's files
    template_digest: str  # sha256 of the code that spells prompts


UNKNOWN_ORIGIN = Origin("", "", "", "")


def who(caller: Caller, request: str) -> dict[str, Any]:
    """Who did it, in which request: the person, and the application that acted for it."""
    application = caller.application
    return {
        "request": request,
        **_rights(caller),
        "key": caller.key_id,
        "application": None if application is None else _rights(application),
    }


def _rights(caller: Caller) -> dict[str, Any]:
    return {
        "caller": caller.principal,
        "groups": sorted(caller.groups),
        "is_admin": "admin" in caller.roles,
        "stores": None if caller.allowed_stores is None else sorted(caller.allowed_stores),
    }


def caller_of(record: Mapping[str, Any]) -> Caller:
    """Somebody with the rights that a record names, to ask again with."""
    stores = record.get("stores")
    application = record.get("application")
    return Caller(
        record["caller"],
        frozenset(record["groups"]),
        frozenset({"admin"} if record["is_admin"] else {"ask"}),
        allowed_stores=None if stores is None else frozenset(stores),
        application=None if application is None else caller_of(application),
    )


@dataclass(slots=True)
class AnswerFacts:
    """Listens to an answer, and knows in the end what is to be recorded of it."""

    caller: Caller
    request: str
    route: str
    asked: Mapping[str, Any]  # the request's body as JSON has it, its seed decided
    origin: Origin
    defaults: Mapping[str, Any]  # what decided where the request did not; see `server.deps.Policy.defaults`
    spent: Spent  # so far
    most_tokens: int | None = None  # of an answer, for this caller
    seed_is_ours: bool = False  # decided by the server
    outcome: str = "left"
    error: str | None = None
    _passages: tuple[Passage, ...] = ()
    _generation: int | None = None
    _stores: tuple[str, ...] | None = None
    _store_ids: tuple[str, ...] | None = None
    _has_sources: bool = False
    _said: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    _choices: dict[int, dict[str, Any]] = field(default_factory=dict)

    def hear(self, event: AnswerEvent) -> None:
        """Take note of one event."""
        match event:
            case Opened(choice, sources):
                self._choices[choice] = {"choice": choice}
                if sources is not None:
                    self._has_sources = True
                    self._passages, self._generation = sources.passages, sources.generation
                    self._stores, self._store_ids = sources.stores, sources.store_ids
            case Called(choice, _, name, text):
                self._said[choice].append(name + text)
            case Said(choice, text) | Refused(choice, text):
                self._said[choice].append(text)
            case Closed(choice, reason, _, verdict):
                self._choices[choice]["ended"] = reason
                if verdict is not None:
                    self._choices[choice] |= {
                        "verdict": verdict.status,
                        "sentences": verdict.sentences,
                        "supported": verdict.supported_sentences,
                    }
            case Used():
                self.outcome = "answered"

    def record(self) -> dict[str, Any]:
        """What goes into the chain: names, numbers and digests, and no text of anybody's."""
        given = {name: value for name, value in self.asked.items() if value is not None}
        return {
            "kind": "answer",
            **who(self.caller, self.request),
            "route": self.route,
            "parameters": {name: value for name, value in given.items() if name in PARAMETERS},
            "content": sorted(given.keys() - PARAMETERS),
            "ordered": sorted(given.keys() & ORDERED),
            "seed_is_ours": self.seed_is_ours,
            "most_tokens": self.most_tokens,
            "software": self.origin.version,
            "model_digest": self.origin.model_digest,
            "template_digest": self.origin.template_digest,
            "defaults": dict(self.defaults),
            "generation": self._generation,
            "searched": None if self._stores is None else list(self._stores),
            "searched_ids": None if self._store_ids is None else list(self._store_ids),
            "passages": [passage_of(rank, passage) for rank, passage in enumerate(self._passages, 1)]
            if self._has_sources
            else None,
            "choices": [self._choices[choice] for choice in sorted(self._choices)],
            "tokens": {
                "prompt": self.spent.prompt,
                "completion": self.spent.completion,
                "cached": self.spent.cached,
            },
            "outcome": self.outcome,
            "error": self.error,
        }

    def texts(self) -> dict[str, str]:
        """What was asked and answered, for the hashes and, where that is wanted, for the encrypted copy."""
        answers = {f"answer_{choice}": "".join(self._said[choice]) for choice in sorted(self._choices)}
        return {"question": question_of(self.asked), **answers}


def question_of(asked: Mapping[str, Any], record: Mapping[str, Any] | None = None) -> str:
    """The content of a request in one spelling: what is hashed as its question.

    Its names are sorted, but for those of a form: see `ORDERED`.

    Args:
        record: of an answer, whose question this may be; None: as it is hashed today.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    names = given.keys() - PARAMETERS if record is None or "content" in record else given.keys() & set(_EARLIER)
    ordered = ORDERED if record is None else record.get("ordered", ())  # none in records of before they named them
    spelled = (f"{canonical(name)}:{canonical(given[name], is_sorted=name not in ordered)}" for name in sorted(names))
    return "{" + ",".join(spelled) + "}"


def passage_of(rank: int, passage: Passage) -> dict[str, Any]:
    """A passage by its place, without its text."""
    return {
        "rank": rank,
        "file": passage.file_id,
        "store": passage.store_id,
        "start": passage.start_char,
        "end": passage.end_char,
        "sha256": passage.sha256,
        "score": round(passage.score, 6),
    }


@dataclass(slots=True)
class ActFacts:
    """What a route or a command knows of an act, beyond how it came and ended."""

    record: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # to be hashed

    def searched(
        self,
        stores: Sequence[str],
        queries: Sequence[str],
        passages: Sequence[Passage],
        found: Sequence[Hits],
        weights: tuple[float, float] | None = None,
    ) -> None:
        """A search has found passages, in this order.

        Args:
            stores: as they were asked for.
            found: of each query; the latest generation that one of them saw is recorded.
            weights: of meaning and of wording, where the request gave its own.
        """
        self.texts["query"] = canonical(list(queries))
        self.record["generation"] = max(hits.generation for hits in found)
        self.record["searched"] = list(stores)
        self.record["searched_ids"] = list(dict.fromkeys(one for hits in found for one in hits.stores))
        if weights is not None:
            self.record["weights"] = dict(zip(("embedding_weight", "text_weight"), weights, strict=True))
        self.record["passages"] = [passage_of(rank, passage) for rank, passage in enumerate(passages, 1)]


def act_of(
    caller: Caller,
    request: str,
    method: str,
    route: str,
    path: Mapping[str, Any],
    status: int | None,
    body: bytes,
    *,
    is_found: bool,
) -> tuple[dict[str, Any], dict[str, str]]:
    """A record of anything but an answer: what was done to what, and how it ended; and texts of its path, to be hashed.

    Args:
        status: None: the server ended before it could say, and it may or may not have been done.
        is_found: the path's store is there for the caller; if not, its name may be anybody's words.
    """
    shown, words = named(path, is_found=is_found)
    record = {
        "kind": _kind(route),
        **who(caller, request),
        "route": f"{method} {route}",
        "path": shown,
        "status": status,
        "outcome": _outcome(status),
        **_made_in(body),
    }
    return record, words


def _outcome(status: int | None) -> str:
    if status is None:
        return "cut off"
    if status == CLIENT_LEFT:
        return "left"
    return "done" if status < 400 else "refused" if status < 500 else "failed"


def _kind(route: str) -> str:
    if route.endswith("/search"):
        return "search"
    for part, kind in (
        ("/v1/chat", "answer"),
        ("/v1/completions", "answer"),
        ("/v1/files", "file"),
        ("/v1/vector_stores", "store"),
        ("/v1/embeddings", "embedding"),
        ("/v1/erasures", "erasure"),
    ):
        if route.startswith(part):
            return kind
    return "admin"


def _made_in(body: bytes) -> dict[str, Any]:
    """The ids that the response names: of what was made, and of the store that it was put into."""
    try:
        given = json.loads(body)
    except ValueError:
        return {}
    ids = {"id": "id", "vector_store_id": "store_id"} if isinstance(given, dict) else {}
    return {name: given[sent] for sent, name in ids.items() if isinstance(given.get(sent), str)}
