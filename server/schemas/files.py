"""What /v1/files takes and gives."""

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from retrieval.types import Cursor, File
from server.schemas.access import AccessLists, GivenAccess
from server.schemas.fields import Answered, Asked, Digits, Name

T = TypeVar("T")
PURPOSES = ("assistants", "user_data")


def _served(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise PydanticCustomError(
            "unsupported_parameter",
            "{text}",
            {"text": f"Files with the purpose '{purpose}' are not supported; {' and '.join(PURPOSES)} are."},
        )
    return purpose


Purpose = Annotated[Name, AfterValidator(_served), Field(json_schema_extra={"enum": list(PURPOSES)})]


class FileExpiry(Asked):
    """When the file is to be removed."""

    model_config = ConfigDict(strict=False)  # a form has no numbers

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


def _with_file(schema: dict[str, Any]) -> None:
    schema["properties"]["file"] = {"type": "string", "format": "binary"}
    schema["required"].append("file")


class UploadForm(Asked):
    """What comes beside the file. Forms spell parts of objects as `access[read][]`."""

    # The file is read as it comes and is no field here, but is one of the form's.
    model_config = ConfigDict(json_schema_extra=_with_file)

    purpose: Purpose
    expires_after: FileExpiry | None = None
    access: AccessLists | None = Field(
        None, description="Who may use the file; without it, its owner and whoever may use a store that holds it."
    )


class FileChange(Asked):
    """What can be changed of a file."""

    access: AccessLists | None = Field(
        description="Lists of the file's own; null: its owner, and whoever may use a store that holds it. Where it had"
        " lists, stores that the caller may not read hold it no longer then."
    )


class FileObject(Answered):
    """A file, as it was handed in."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None
    owner: str
    access: GivenAccess | None

    @classmethod
    def of(cls, file: File) -> "FileObject":
        return cls(
            id=file.file_id,
            bytes=file.bytes,
            created_at=file.created_at,
            expires_at=file.expires_at,
            filename=file.filename,
            purpose=file.purpose,
            status=file.status,
            status_details=file.error if file.status == "error" else None,
            owner=file.owner,
            access=GivenAccess.of(file.access) if file.access else None,
        )


class Listed(Answered, Generic[T]):
    """A page of a list of objects that have an `id`."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, objects: list[Any], has_more: bool) -> Self:
        """The page that holds these, in this order."""
        ids = [found.id for found in objects]
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return cls(data=objects, first_id=first, last_id=last, has_more=has_more)


class FileList(Listed[FileObject]):
    """A page of files."""


class Deleted(Answered):
    """What is gone."""

    id: str
    object: str
    deleted: Literal[True] = True


class Listing(BaseModel):
    """Which part of a list; newest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Digits = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"
    after: str | None = Field(None, description="Go on behind the object with this id.")
    before: str | None = Field(None, description="Go back from the object with this id.")

    def cursor(self) -> Cursor:
        """What the store understands."""
        return Cursor(self.limit, self.order == "desc", self.after, self.before)


class FileListing(BaseModel):
    """Which files; newest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str | None = None
    limit: Digits = Field(10_000, ge=1, le=10_000)
    order: Literal["asc", "desc"] = "desc"
    after: str | None = Field(None, description="Go on behind the file with this id.")

    def cursor(self) -> Cursor:
        """What the store understands."""
        return Cursor(self.limit, self.order == "desc", self.after)
