"""What /v1/vector_stores takes and gives of stores."""

from typing import Annotated, Literal

from pydantic import Field

from retrieval.types import (
    Attachment,
    Counts,
    Description,
    IndexKind,
    PersonalDataPolicy,
    Store,
)
from server.schemas.access import AccessLists, GivenAccess
from server.schemas.chunking import ChunkingStrategy, chunking_of
from server.schemas.fields import Answered, Asked, Name, Text, counted_first
from server.schemas.files import Listed

MAX_FILES = 2000  # that one request puts in
MAX_METADATA = 16

_POLICY = (
    "What becomes of personal data (IBAN, card, e-mail, phone, national identity numbers) in files that are put in:"
    " `flag` counts it, `redact` replaces it in all that is stored and does not keep the original."
)

_INDEX = (
    "How the store is searched: `exact` compares every passage, `hnsw` walks a graph that finds nearly all of the"
    " nearest much sooner in large stores (`hrm-serve recall` measures it)."
)

Metadata = Annotated[
    dict[Annotated[Text, Field(min_length=1, max_length=64)], Annotated[Text, Field(max_length=512)]],
    Field(max_length=MAX_METADATA),
    counted_first(MAX_METADATA),
]


class StoreExpiry(Asked):
    """How long the store is kept without being used."""

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class StoreRequest(Asked):
    """A store to be made."""

    name: Annotated[Text, Field(max_length=256)] | None = None
    description: Annotated[Text, Field(max_length=512)] | None = None
    file_ids: list[Name] | None = Field(None, max_length=MAX_FILES)
    chunking_strategy: ChunkingStrategy | None = None
    expires_after: StoreExpiry | None = None
    metadata: Metadata | None = None
    access: AccessLists | None = Field(None, description="Who may use the store; without it, its owner alone.")
    personal_data: PersonalDataPolicy = Field("off", description=_POLICY)
    index: IndexKind = Field("exact", description=_INDEX)

    def described(self) -> Description:
        """What the store understands."""
        days = self.expires_after.days if self.expires_after else None
        return Description(self.name, self.description, self.metadata or {}, days, self.personal_data, self.index)

    def places(self) -> dict[str, str]:
        """Where each of these is named."""
        return {file_id: f"file_ids[{at}]" for at, file_id in enumerate(self.file_ids or ())}

    def attachments(self) -> list[Attachment]:
        """The files to be put into it."""
        chunking = chunking_of(self.chunking_strategy)
        return [Attachment(file_id, chunking=chunking) for file_id in dict.fromkeys(self.file_ids or ())]


class StoreChange(Asked):
    """What can be changed of a store. What is left out stays; null clears."""

    name: Annotated[Text, Field(max_length=256)] | None = None
    description: Annotated[Text, Field(max_length=512)] | None = None
    expires_after: StoreExpiry | None = None
    metadata: Metadata | None = None
    access: AccessLists | None = Field(None, description="Who may use the store from now on; null changes nothing.")
    personal_data: PersonalDataPolicy | None = Field(
        None,
        description="For files that are put in from now on; null changes nothing. A store begins and ceases to redact"
        " only while it holds no files, and by an admin.",
    )
    index: IndexKind | None = Field(None, description="How the store is searched; null changes nothing.")

    def applied(self, before: Description) -> Description:
        """A description with this change made."""
        given = self.model_fields_set
        days = self.expires_after.days if self.expires_after else None
        return Description(
            self.name if "name" in given else before.name,
            self.description if "description" in given else before.text,
            (self.metadata or {}) if "metadata" in given else before.metadata,
            days if "expires_after" in given else before.expires_days,
            self.personal_data or before.personal_data,
            self.index or before.index,
        )


class FileCounts(Answered):
    """Files by status, of those that the caller may read."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int

    @classmethod
    def of(cls, counts: Counts) -> "FileCounts":
        return cls(
            in_progress=counts.in_progress,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
            total=counts.total,
        )


class ExpiresAfter(Answered):
    """How long the store is kept without being used."""

    anchor: Literal["last_active_at"] = "last_active_at"
    days: int


class VectorStore(Answered):
    """A collection of files to search."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    slug: str = Field(description="Unique; may stand wherever an id may, as in `model@slug`.")
    description: str | None
    usage_bytes: int = Field(description="Of stored text, chunks and vectors.")
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"]
    expires_after: ExpiresAfter | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]
    owner: str
    access: GivenAccess
    personal_data: PersonalDataPolicy
    index: IndexKind

    @classmethod
    def of(cls, store: Store) -> "VectorStore":
        said = store.description
        return cls(
            id=store.store_id,
            created_at=store.created_at,
            name=store.name if said.name is None else said.name,
            slug=store.name,
            description=said.text,
            usage_bytes=store.usage_bytes,
            file_counts=FileCounts.of(store.counts),
            status="expired" if store.is_expired else "in_progress" if store.counts.in_progress else "completed",
            expires_after=None if said.expires_days is None else ExpiresAfter(days=said.expires_days),
            expires_at=store.expires_at,
            last_active_at=store.last_active_at,
            metadata=dict(said.metadata),
            owner=store.owner,
            access=GivenAccess.of(store.access),
            personal_data=said.personal_data,
            index=said.index,
        )


class VectorStoreList(Listed[VectorStore]):
    """A page of stores."""
