"""The vocabulary of the knowledge store. Standard library only; offsets are Unicode code points, end-exclusive."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

Attribute = str | float | bool
DocumentStatus = Literal["in_progress", "completed", "failed", "cancelled"]
# What kept a document from being read: its format, what it holds, or something that is not its fault.
Fault = Literal["unsupported_file", "invalid_file", "server_error"]
# Text in a document that speaks to a model instead of a reader, by what gives it away (`retrieval.flags`).
FlagKind = Literal["instruction", "role_marker", "control_token", "forged_citation", "encoded", "hidden_text"]
FileStatus = Literal["uploaded", "processed", "error"]
BatchStatus = Literal["in_progress", "completed", "failed", "cancelled"]
# What a store does about personal data in the files that are put into it.
PersonalDataPolicy = Literal["off", "flag", "redact"]
# How a store is searched: every vector compared, or by a graph that finds nearly all of the nearest much sooner.
IndexKind = Literal["exact", "hnsw"]
PersonalDataKind = Literal["iban", "card", "national_id", "email", "phone"]
EVERYONE = "*"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read and who may write: principals (`user:..`), groups (`group:..`) or `*`."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a search is for: the names that access lists may grant. `is_admin` sees everything.

    `stores`: the only stores it may use, by id or name, whatever else it may; None: no such limit.
    `through`: an application that acts for it. What the application may not use is not there for it either.
    """

    names: frozenset[str]
    is_admin: bool = False
    stores: frozenset[str] | None = None
    through: "Reader | None" = None

    def __post_init__(self) -> None:
        if self.through is not None and self.through.through is not None:
            raise ValueError("an application acts for a person, not for another application")

    def each(self) -> "tuple[Reader, ...]":
        """Everybody who must be allowed what it does: itself, and the application."""
        return (self,) if self.through is None else (self, self.through)


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Under which policy a document was read, and how many of each kind that found; never which."""

    policy: PersonalDataPolicy = "off"
    counts: Mapping[PersonalDataKind, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """The first place of a kind in a document's stored text; of hidden text there is none, as it was stripped."""

    kind: FlagKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares one attribute of a document; values of another kind than the attribute's are unequal to it.

    A document without the attribute matches `ne` and `nin` alone. Texts are ordered by code point.
    """

    key: str
    operator: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    value: Attribute | tuple[Attribute, ...]  # several for `in` and `nin`, one for the others


@dataclass(frozen=True, slots=True)
class Compound:
    """All of its filters, or any. Of no filters, `and` matches everything and `or` nothing."""

    operator: Literal["and", "or"]
    filters: tuple["Filter", ...]


Filter = Comparison | Compound


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of a document that answers a query, best first.

    `text` is `document_text[start_char:end_char]`. `score` is in 0..1, larger is closer.
    """

    chunk_id: str  # counts all stores' chunks, so it is for this side of the wire alone
    file_id: str | None  # None: the caller brought the passage along
    store_id: str | None
    filename: str
    title: str
    text: str
    start_char: int
    end_char: int
    sha256: str  # of the document's stored text
    score: float
    page: int | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    flags: tuple[FlagKind, ...] = ()  # of the document, not of this passage alone
    locator: str = ""  # for a person who has the file open: "page 3", "slides 4–5", "Fees, rows 12–18"
    personal_data: tuple[PersonalDataKind, ...] = ()  # kinds in the document, not in this passage alone


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found, and the store generation that it saw."""

    passages: tuple[Passage, ...]
    generation: int
    stores: tuple[str, ...]  # ids of those that it looked into, in the order in which they were named
    embed_s: float = field(default=0.0, compare=False)  # to embed the query
    search_s: float = field(default=0.0, compare=False)  # from there to the passages, waiting for a turn included


@dataclass(frozen=True, slots=True)
class Recall:
    """How a graph compares with looking at every chunk of a store; without questions, there was no graph to compare."""

    chunks: int
    questions: int
    at_10: float  # of the ten nearest, the share that the graph finds; mean of all questions
    graph_ms: float  # the median of the index alone
    exact_ms: float


@dataclass(frozen=True, slots=True)
class Chunking:
    """How large chunks are to be, in the embedder's tokens."""

    max_tokens: int
    overlap_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A document as stored. `store_id` is the store that holds it."""

    file_id: str
    store_id: str
    filename: str
    title: str
    bytes: int
    sha256: str  # of the file as it came
    chunks: int
    created_at: int  # Unix seconds
    status: DocumentStatus
    error: str | None = None
    fault: Fault | None = None  # with `error`
    usage_bytes: int = 0  # of text, chunks and vectors
    stripped: int = 0  # characters left out because no reader sees them
    chunking: Chunking | None = None  # None: automatic
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    personal_data: PersonalData = field(default_factory=PersonalData)
    flags: tuple[Flag, ...] = ()  # one of each kind


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents by status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.in_progress + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class Description:
    """What may be said of a store at any time."""

    name: str | None = None  # as people call it; None: its slug
    text: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_days: int | None = None  # without being searched or changed
    personal_data: PersonalDataPolicy = "off"  # for files that are put into it from then on
    index: IndexKind = "exact"


@dataclass(frozen=True, slots=True)
class Store:
    """A named collection of documents. What it counts is what its reader may see."""

    store_id: str  # `vs_...`
    name: str  # a unique slug
    owner: str
    access: Access
    counts: Counts
    created_at: int
    usage_bytes: int = 0  # of text, chunks and vectors
    last_active_at: int = 0
    expires_at: int | None = None
    is_expired: bool = False
    description: Description = Description()

    @property
    def documents(self) -> int:
        """How many documents searches find."""
        return self.counts.completed


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was handed in, whichever stores hold it."""

    file_id: str
    filename: str
    bytes: int
    purpose: str
    created_at: int
    expires_at: int | None
    owner: str
    access: Access | None  # None: its owner, and whoever may use a store that holds it
    status: FileStatus  # uploaded: it is being read; error: nowhere could it be read
    error: str | None = None


class Staged(Protocol):
    """A file that is still coming, on disk aside. Methods block."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        ...

    def write(self, data: bytes) -> None:
        """Add a piece."""
        ...

    def adopt(self, file_id: str) -> None:
        """Sync it to disk and give it its id; for the archive."""
        ...


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to be put into a store, and how."""

    file_id: str
    attributes: Mapping[str, Attribute] | None = None  # None: those that it has there, if it is there
    chunking: Chunking | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Files put into a store together."""

    batch_id: str
    store_id: str
    created_at: int
    status: BatchStatus
    counts: Counts


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which part of a list: so many objects behind the one with id `after`, or just before the one of `before`."""

    limit: int
    is_descending: bool = True  # newest first
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, and whether it goes on."""

    items: tuple[T, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Fusion:
    """How much meaning (vectors) and wording (words) count in a passage's score; relative to each other."""

    embedding_weight: float = 0.7
    text_weight: float = 0.3
    # The best so many passages, but at least as many as are returned, are compared with the query token by token, and
    # that comparison counts more than the rest; 0: none. Reading them again takes milliseconds each.
    late_interaction: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of one document is; chunks are 0 of 0 until it has been cut."""

    file_id: str
    filename: str
    chunks: int
    chunks_total: int
    status: DocumentStatus
