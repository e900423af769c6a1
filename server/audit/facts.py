"""What a record says: of an answer, from the events that make it; of any other act, from its request and response."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.types import Passage
from server.events import AnswerEvent, Called, Closed, Opened, Refused, Said, Used
from server.identity import Caller
from server.signing import canonical

# What of a request is content: it is hashed, never written down.
CONTENT = ("messages", "prompt", "documents", "tools", "response_format", "structured_outputs", "user", "metadata")


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
    outcome: str = "left"
    error: str | None = None
    _passages: tuple[Passage, ...] = ()
    _generation: int | None = None
    _stores: tuple[str, ...] | None = None
    _has_sources: bool = False
    _said: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    _choices: dict[int, dict[str, Any]] = field(default_factory=dict)
    _tokens: dict[str, int] = field(default_factory=dict)

    def hear(self, event: AnswerEvent) -> None:
        """Take note of one event."""
        match event:
            case Opened(choice, sources):
                self._choices[choice] = {"choice": choice}
                if sources is not None:
                    self._has_sources = True
                    self._passages, self._generation = sources.passages, sources.generation
                    self._stores = sources.stores
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
            case Used(prompt, completion, cached):
                self._tokens = {"prompt": prompt, "completion": completion, "cached": cached}
                self.outcome = "answered"

    def record(self) -> dict[str, Any]:
        """What goes into the chain: names, numbers and digests, and no text of anybody's."""
        parameters = {name: value for name, value in self.asked.items() if name not in CONTENT and value is not None}
        return {
            "kind": "answer",
            **who(self.caller, self.request),
            "route": self.route,
            "parameters": parameters,
            "software": self.origin.version,
            "model_digest": self.origin.model_digest,
            "template_digest": self.origin.template_digest,
            "defaults": dict(self.defaults),
            "generation": self._generation,
            "searched": None if self._stores is None else list(self._stores),
            "passages": [passage_of(rank, passage) for rank, passage in enumerate(self._passages, 1)]
            if self._has_sources
            else None,
            "choices": [self._choices[choice] for choice in sorted(self._choices)],
            "tokens": self._tokens,
            "outcome": self.outcome,
            "error": self.error,
        }

    def texts(self) -> dict[str, str]:
        """What was asked and answered, for the hashes and, where that is wanted, for the encrypted copy."""
        answers = {f"answer_{choice}": "".join(self._said[choice]) for choice in sorted(self._choices)}
        return {"question": question_of(self.asked), **answers}


def question_of(asked: Mapping[str, Any]) -> str:
    """The content of a request in one spelling: what is hashed as its question."""
    return canonical({name: asked[name] for name in CONTENT if asked.get(name) is not None})


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


def act_of(
    caller: Caller, request: str, method: str, route: str, path: Mapping[str, Any], status: int | None, body: bytes
) -> dict[str, Any]:
    """A record of anything but an answer: what was done to what, and how it ended.

    Args:
        status: None: the server ended before it could say, and it may or may not have been done.
    """
    return {
        "kind": _kind(route),
        **who(caller, request),
        "route": f"{method} {route}",
        "path": {name: str(value) for name, value in path.items()},
        "status": status,
        "outcome": _outcome(status),
        **_found_in(body, route),
    }


def _outcome(status: int | None) -> str:
    if status is None:
        return "cut off"
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


def _found_in(body: bytes, route: str) -> dict[str, Any]:
    """Ids that the response names: of what was made, or what a search found, in its order."""
    try:
        given = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(given, dict):
        return {}
    found: dict[str, Any] = {}
    if isinstance(given.get("id"), str):
        found["id"] = given["id"]
    if route.endswith("/search") and isinstance(given.get("data"), list):
        hits = [hit for hit in given["data"] if isinstance(hit, dict)]
        found["files"] = [hit.get("file_id") for hit in hits]
    return found
