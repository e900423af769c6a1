"""What a running server is made of, as plain values: put together in server/build.py, read by every route."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from time import monotonic
from typing import Any, Literal

from hrm_model.template import Shot
from server.audit.facts import UNKNOWN_ORIGIN, Origin
from server.door import Door
from server.grounding.cite import Mode
from server.identity import UNLIMITED, Authenticate, Limits
from server.ports import Audit, Embedder, Engine, Retriever, Speller
from server.signing import canonical
from server.store_ports import Archive, Erasures, Library
from server.tracing import Tracer


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The one model that is served, as clients name and see it."""

    id: str
    created: int  # Unix seconds
    context: int  # tokens, prompt and answer together
    is_extractive: bool = False  # trained to answer in words that stand in its prompt, and in no others
    abstention_bias: float = 0.0  # of the logit of declining, where strict grounding checks what it says instead
    owned_by: str = "hrm-serve"


@dataclass(frozen=True, slots=True)
class Policy:
    """The decisions an operator takes: plain values, made by server/building/policy.py, so that nothing below
    knows where settings come from."""

    default_store: str | None = None  # the plain model id retrieves from it
    retrieval_k: int = 6  # passages looked up for a question that does not say how many
    score_threshold: float = 0.0
    text_weight: float = 0.3  # this and the next are for the record: the store has been opened with them
    late_interaction: int = 0
    grounding: Mode | Literal["auto"] = "auto"  # auto: as server/plan.py has it
    abstention: str = "The documents do not contain the answer."
    shots: tuple[Shot, ...] = field(default=())
    max_body_bytes: int = 4 * 1024 * 1024
    max_upload_bytes: int = 64 * 1024 * 1024
    max_json_depth: int = 64  # lists and objects in each other
    body_s: float = 30.0  # that a body may take to arrive
    upload_s: float = 600.0  # that a file may
    max_choices: int = 8  # n of one request
    heartbeat_s: float = 10.0  # a comment after this much silence keeps proxies from closing a stream
    retry_after_s: int = 1  # what a full engine tells its clients
    origins: tuple[str, ...] = ()  # of web pages that may call
    key_limits: Limits = UNLIMITED  # of each key that has none of its own
    person_limits: Limits = UNLIMITED  # of each principal, whatever keys it comes with
    public_url: str = ""  # put before the paths of citations; empty leaves them relative to this server

    def defaults(self) -> dict[str, Any]:
        """What decides an answer where its request does not, as a record keeps it; of worked examples their digest."""
        return {
            "retrieval_k": self.retrieval_k,
            "score_threshold": self.score_threshold,
            "text_weight": self.text_weight,
            "late_interaction": self.late_interaction,
            "grounding": self.grounding,
            "abstention": self.abstention,
            "shots": _digest(self.shots) if self.shots else None,
        }


@cache  # every answer's record has it, and a server has one set of them
def _digest(shots: tuple[Shot, ...]) -> str:
    return sha256(canonical([asdict(shot) for shot in shots]).encode()).hexdigest()


@dataclass(slots=True)
class Noted:
    """How far the ledger knows of removals, as far as this process can tell."""

    mark: int = 0  # see `Library.erasures_behind`


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that requests share. Frozen: requests meet in nothing of it but in `noted`, which only grows."""

    engine: Engine
    speller: Speller
    retriever: Retriever
    library: Library
    archive: Callable[[], Archive]  # raises NotReady while it is loading
    embedder: Callable[[], Embedder]  # likewise
    erasures: Erasures
    authenticate: Authenticate
    model: ModelCard
    policy: Policy
    ready: Callable[[], str | None]  # why the server cannot answer yet; None: it can
    warnings: Callable[[], list[str]] = list  # what somebody has to see to, although it can
    door: Door = field(default_factory=Door)  # closes when the server stops
    noted: Noted = field(default_factory=Noted)
    clock: Callable[[], float] = monotonic  # seconds, for the limits of a minute
    audit: Audit | None = None  # None: nothing is recorded
    tracer: Tracer | None = None  # None: nobody is told of requests
    origin: Callable[[], Origin] = lambda: UNKNOWN_ORIGIN  # raises NotReady while the checkpoint is being read
