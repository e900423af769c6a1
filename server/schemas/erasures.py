"""Erasures as clients see them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.schemas.fields import Answered, Digits
from server.schemas.files import Listed


class ErasureObject(Answered):
    """Something that was removed for good, and the proof once there is one."""

    id: str
    object: Literal["erasure"]
    status: Literal["pending", "certified"]
    file_id: str
    file_is_gone: bool = Field(description="False: it was taken out of stores, and the file itself stays.")
    vector_store_ids: list[str] = Field(
        description="Of the stores that held it, those that the caller could read; for admins all."
    )
    owner: str
    requested_by: str
    requested_at: int
    reason: str
    certificate: dict[str, Any] | None = Field(
        description="What was signed, as canonical JSON (sorted, no blanks). One of a version before 3 names stores,"
        " and is null for who may not know of all of them."
    )
    signature: str | None = Field(description="Ed25519 over the canonical JSON, base64.")
    public_key: str | None = Field(description="PEM of the key that signed; compare it with one obtained elsewhere.")
    held: dict[str, Any] | None = Field(
        description="For admins: all stores that held it, and in how many chunks, signed as the certificate is."
    )
    held_signature: str | None = Field(description="Of `held`, as `signature`.")


class ErasureList(Listed[ErasureObject]):
    """A page of erasures."""


class ErasurePage(BaseModel):
    """Which page of the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Digits = Field(20, ge=1, le=100, description="The most that come back.")
    after: str | None = Field(None, description="The last id of the page before.")
    order: Literal["asc", "desc"] = Field("desc", description="By the time they were requested.")
