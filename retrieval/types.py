"""The vocabulary of the knowledge store. Standard library only; offsets are Unicode code points, end-exclusive."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Attribute = str | float | bool
DocumentStatus = Literal["in_progress", "completed", "failed"]
EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read and who may write: principals (`user:..`), groups (`group:..`) or `*`."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a search is for: the names that access lists may grant. `is_admin` sees everything."""

    names: frozenset[str]
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of a document that answers a query, best first.

    `text` is `document_text[start_char:end_char]`. `score` is in 0..1, larger is closer.
    """

    chunk_id: str
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


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found, and the store generation that it saw."""

    passages: tuple[Passage, ...]
    generation: int


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


@dataclass(frozen=True, slots=True)
class Store:
    """A named collection of documents."""

    store_id: str  # `vs_...`
    name: str  # a unique slug
    owner: str
    access: Access
    documents: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Fusion:
    """How much meaning (vectors) and wording (words) count in a passage's score; relative to each other."""

    embedding_weight: float = 0.7
    text_weight: float = 0.3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of one document is; chunks are 0 of 0 until it has been cut."""

    file_id: str
    filename: str
    chunks: int
    chunks_total: int
    status: DocumentStatus
