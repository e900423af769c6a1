"""What /v1/vector_stores takes and gives of a store's files."""

from typing import Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from retrieval.types import (
    Attachment,
    Attribute,
    Batch,
    BatchStatus,
    Document,
    DocumentStatus,
    Fault,
    FlagKind,
    PersonalDataKind,
    PersonalDataPolicy,
)
from server.schemas.chunking import ChunkingStrategy, UsedChunking, chunking_of
from server.schemas.fields import Answered, Asked, Name
from server.schemas.files import Listed
from server.schemas.filters import Attributes
from server.schemas.vector_stores import MAX_FILES, FileCounts

_Shared = TypeVar("_Shared")


class AttachRequest(Asked):
    """A file to be put into a store."""

    file_id: Name
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    def attachment(self) -> Attachment:
        """What the store understands."""
        return Attachment(self.file_id, self.attributes, chunking_of(self.chunking_strategy))


class AttributesChange(Asked):
    """What filters are to compare from now on."""

    attributes: Attributes | None


class BatchRequest(Asked):
    """Files to be put into a store together: ids that share attributes and strategy, or files with their own."""

    file_ids: list[Name] | None = Field(None, min_length=1, max_length=MAX_FILES)
    files: list[AttachRequest] | None = Field(None, min_length=1, max_length=MAX_FILES, validate_default=True)
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @field_validator("files")
    @classmethod
    def _named_once(cls, files: list[AttachRequest] | None, others: ValidationInfo) -> list[AttachRequest] | None:
        if (others.data.get("file_ids") is None) == (files is None):
            raise PydanticCustomError("missing_either", "give 'file_ids' or 'files', and not both")
        return files

    @field_validator("attributes", "chunking_strategy")
    @classmethod
    def _of_all_alike(cls, shared: _Shared, others: ValidationInfo) -> _Shared:
        if shared and others.data.get("files"):
            raise PydanticCustomError("batch", "with 'files', each has its own")
        return shared

    def places(self) -> dict[str, str]:
        """Where each file is named."""
        if self.files is not None:
            return {file.file_id: f"files[{at}].file_id" for at, file in enumerate(self.files)}
        return {file_id: f"file_ids[{at}]" for at, file_id in enumerate(self.file_ids or ())}

    def attachments(self) -> list[Attachment]:
        """What the store understands; a file named twice is put there once, as it was named last."""
        if self.files is not None:
            return list({file.file_id: file.attachment() for file in self.files}.values())
        chunking = chunking_of(self.chunking_strategy)
        return [Attachment(file_id, self.attributes, chunking) for file_id in dict.fromkeys(self.file_ids or ())]


class LastError(Answered):
    """Why a file could not be read."""

    code: Fault
    message: str


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
    status: DocumentStatus
    usage_bytes: int
    last_error: LastError | None
    attributes: dict[str, Attribute]
    chunking_strategy: UsedChunking
    filename: str
    personal_data: FoundPersonalData
    flags: list[FlagObject] = Field(description="Text that speaks to a model; the first place of each kind.")

    @classmethod
    def of(cls, document: Document) -> "VectorStoreFile":
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
            chunking_strategy=UsedChunking.of(document.chunking),
            filename=document.filename,
            personal_data=FoundPersonalData(
                policy=document.personal_data.policy, found=dict(document.personal_data.counts)
            ),
            flags=[FlagObject(kind=flag.kind, start_char=flag.start, end_char=flag.end) for flag in document.flags],
        )


class VectorStoreFileList(Listed[VectorStoreFile]):
    """A page of a store's files."""


class FileBatch(Answered):
    """Files put into a store together."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: BatchStatus
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
