"""What /v1/vector_stores takes and gives."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from retrieval.types import (
    Attachment,
    Attribute,
    Batch,
    Chunking,
    Counts,
    Description,
    Document,
    FlagKind,
    IndexKind,
    Passage,
    PersonalDataKind,
    PersonalDataPolicy,
    Store,
)
from server.schemas.access import AccessLists, GivenAccess
from server.schemas.fields import Answered, Asked, Name, Text, Written, by_shape, unsupported
from server.schemas.filters import Attributes, Filters

MAX_BATCH = 2000
# The embedder's, as `retrieval.chunking` has them: what a document without a strategy is cut by.
AUTO_TOKENS = 220

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
    Field(max_length=16),
]


class StaticSizes(Asked):
    """Sizes in the embedder's tokens. A chunk above 254 is embedded by windows."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0)

    @model_validator(mode="after")
    def _overlap_is_small(self) -> Self:
        if self.chunk_overlap_tokens > self.max_chunk_size_tokens // 2:
            raise PydanticCustomError("overlap", "chunk_overlap_tokens is at most half of max_chunk_size_tokens")
        return self


class AutoChunking(Asked):
    """Paragraphs of up to 220 tokens, under their headings."""

    type: Literal["auto"]


class StaticChunking(Asked):
    """Chunks as large as they may be."""

    type: Literal["static"]
    static: StaticSizes


ChunkingStrategy = Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]


def chunking_of(strategy: AutoChunking | StaticChunking | None) -> Chunking | None:
    """What the store understands."""
    if isinstance(strategy, StaticChunking):
        return Chunking(strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens)
    return None


class StoreExpiry(Asked):
    """How long the store is kept without being used."""

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class StoreRequest(Asked):
    """A store to be made."""

    name: Annotated[Text, Field(max_length=256)] | None = None
    description: Annotated[Text, Field(max_length=512)] | None = None
    file_ids: list[Name] | None = Field(None, max_length=MAX_BATCH)
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

    def attachments(self) -> list[Attachment]:
        """The files to be put into it."""
        chunking = chunking_of(self.chunking_strategy)
        return [Attachment(file_id, {}, chunking) for file_id in dict.fromkeys(self.file_ids or ())]


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
        " only while it holds no files.",
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


class VectorStoreList(Answered):
    """A page of stores."""

    object: Literal["list"] = "list"
    data: list[VectorStore]
    first_id: str | None
    last_id: str | None
    has_more: bool


class AttachRequest(Asked):
    """A file to be put into a store."""

    file_id: Name
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    def attachment(self) -> Attachment:
        """What the store understands."""
        return Attachment(self.file_id, self.attributes or {}, chunking_of(self.chunking_strategy))


class AttributesChange(Asked):
    """What filters are to compare from now on."""

    attributes: Attributes | None


class BatchRequest(Asked):
    """Files to be put into a store together: ids that share attributes and strategy, or files with their own."""

    file_ids: list[Name] | None = Field(None, min_length=1, max_length=MAX_BATCH)
    files: list[AttachRequest] | None = Field(None, min_length=1, max_length=MAX_BATCH)
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _names_files_once(self) -> Self:
        if (self.file_ids is None) == (self.files is None):
            raise PydanticCustomError("batch", "give 'file_ids' or 'files', and not both")
        if self.files and (self.attributes or self.chunking_strategy):
            raise PydanticCustomError("batch", "with 'files', each has its own attributes and chunking_strategy")
        return self

    def attachments(self) -> list[Attachment]:
        """What the store understands; a file named twice is put there once, as it was named last."""
        if self.files is not None:
            return list({file.file_id: file.attachment() for file in self.files}.values())
        chunking = chunking_of(self.chunking_strategy)
        return [Attachment(file_id, self.attributes or {}, chunking) for file_id in dict.fromkeys(self.file_ids or ())]


class LastError(Answered):
    """Why a file could not be read."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class Sizes(Answered):
    """Sizes in the embedder's tokens."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class UsedChunking(Answered):
    """How the file was cut."""

    type: Literal["static"] = "static"
    static: Sizes


class FoundPersonalData(Answered):
    """What the policy that a file was read under has found in it; never the values."""

    policy: PersonalDataPolicy
    found: dict[PersonalDataKind, int] = Field(description="How many of each kind; under `redact`, were replaced.")


class FlagObject(Answered):
    """A place in a document that speaks to a model instead of a reader (docs/documents.md)."""

    kind: FlagKind
    start_char: int = Field(description="In code points of the stored text; of hidden text 0, as it was left out.")
    end_char: int


class VectorStoreFile(Answered):
    """A file in a store."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    usage_bytes: int
    last_error: LastError | None
    attributes: dict[str, Attribute]
    chunking_strategy: UsedChunking
    filename: str
    personal_data: FoundPersonalData
    flags: list[FlagObject] = Field(description="Text that speaks to a model; the first place of each kind.")

    @classmethod
    def of(cls, document: Document) -> "VectorStoreFile":
        used = document.chunking or Chunking(AUTO_TOKENS)
        sizes = Sizes(max_chunk_size_tokens=used.max_tokens, chunk_overlap_tokens=used.overlap_tokens)
        return cls(
            id=document.file_id,
            created_at=document.created_at,
            vector_store_id=document.store_id,
            status=document.status,
            usage_bytes=document.usage_bytes,
            last_error=LastError(code=document.fault or "server_error", message=document.error)
            if document.error
            else None,
            attributes=dict(document.attributes),
            chunking_strategy=UsedChunking(static=sizes),
            filename=document.filename,
            personal_data=FoundPersonalData(
                policy=document.personal_data.policy, found=dict(document.personal_data.counts)
            ),
            flags=[FlagObject(kind=flag.kind, start_char=flag.start, end_char=flag.end) for flag in document.flags],
        )


class VectorStoreFileList(Answered):
    """A page of a store's files."""

    object: Literal["list"] = "list"
    data: list[VectorStoreFile]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileBatch(Answered):
    """Files put into a store together."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    file_counts: FileCounts

    @classmethod
    def of(cls, batch: Batch) -> "FileBatch":
        return cls(
            id=batch.batch_id,
            created_at=batch.created_at,
            vector_store_id=batch.store_id,
            status=batch.status,
            file_counts=FileCounts.of(batch.counts),
        )


class TextContent(Answered):
    """A piece of text."""

    type: Literal["text"] = "text"
    text: str


class FileContentPage(Answered):
    """The text of a file in a store."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    file_id: str
    filename: str
    attributes: dict[str, Attribute]
    data: list[TextContent]
    has_more: Literal[False] = False
    next_page: None = None


def _known_ranker(ranker: str) -> str:
    if ranker not in ("auto", "none"):
        raise PydanticCustomError(
            "unsupported_parameter", "{text}", {"text": f"The ranker '{ranker}' is not supported; auto and none are."}
        )
    return ranker


class SearchRanking(Asked):
    """How hits are chosen."""

    ranker: Annotated[Text, AfterValidator(_known_ranker)] = "auto"
    score_threshold: float | None = Field(None, ge=0, le=1, description="Passages below it are left out.")
    hybrid_search: Annotated[Any, unsupported("hybrid_search")] = None


Query = Annotated[Written, Field(max_length=10_000)]


class SearchRequest(Asked):
    """A search of one store."""

    query: Annotated[
        Annotated[Query, Tag("one")] | Annotated[list[Query], Field(min_length=1, max_length=16), Tag("several")],
        by_shape(one=str, several=list),
    ] = Field(description="Several are searched for one by one; a passage counts where it scores best.")
    max_num_results: int = Field(10, ge=1, le=50)
    filters: Filters | None = None
    ranking_options: SearchRanking | None = None
    rewrite_query: bool = Field(
        False, description="Join a query that cannot stand alone with the content words of the one before it."
    )

    def queries(self) -> list[str]:
        """What to look for."""
        return [self.query] if isinstance(self.query, str) else self.query


class SearchHit(Answered):
    """A passage that was found."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, Attribute]
    content: list[TextContent]
    title: str
    chunk_id: str
    page: int | None = Field(description="Page, slide or sheet, counted from 1; null where the format has none.")
    locator: str = Field(description='For a person who has the file open, as "page 3" or "Fees, rows 12–18".')
    start_char: int
    end_char: int
    sha256: str
    personal_data: list[PersonalDataKind] = Field(description="Kinds that were found in the whole file.")
    flags: list[FlagKind] = Field(description="What the document is flagged for.")

    @classmethod
    def of(cls, passage: Passage) -> "SearchHit":
        assert passage.file_id is not None, "a stored passage belongs to a file"
        return cls(
            file_id=passage.file_id,
            filename=passage.filename,
            score=passage.score,
            attributes=dict(passage.attributes),
            content=[TextContent(text=passage.text)],
            title=passage.title,
            chunk_id=passage.chunk_id,
            page=passage.page,
            locator=passage.locator,
            start_char=passage.start_char,
            end_char=passage.end_char,
            sha256=passage.sha256,
            personal_data=list(passage.personal_data),
            flags=list(passage.flags),
        )


class SearchResults(Answered):
    """What a search found, best first."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchHit]
    has_more: Literal[False] = False
    next_page: None = None
