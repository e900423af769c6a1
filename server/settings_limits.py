"""The settings that bound what requests and connections may take."""

from typing import Annotated

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings

Count = Annotated[int, Field(ge=1, le=10**12)]


class LimitSettings(BaseSettings):
    """Immutable."""

    key_requests_per_minute: Count | None = Field(
        default=None,
        description="Requests that one key may make in any minute; 429 beyond it. A key's own limit counts.",
    )
    key_tokens_per_minute: Count | None = Field(
        default=None, description="Tokens of prompts and answers that one key may take in any minute, likewise."
    )
    key_concurrent_requests: Count | None = Field(
        default=None, description="Requests of one key that may run at the same time, likewise."
    )
    key_max_tokens: Count | None = Field(
        default=None, description="The longest answer for one key, in tokens, likewise."
    )
    person_requests_per_minute: Count | None = Field(
        default=None,
        description="Requests that one principal may make in any minute, with all keys together, and through "
        "applications; 429 beyond it.",
    )
    person_tokens_per_minute: Count | None = Field(
        default=None, description="Tokens of prompts and answers that one principal may take in any minute."
    )
    person_concurrent_requests: Count | None = Field(
        default=None, description="Requests of one principal that may run at the same time."
    )
    person_max_tokens: Count | None = Field(
        default=None, description="The longest answer for one principal, in tokens."
    )
    max_choices: int = Field(default=8, ge=1, le=128, description="The largest `n` of one request.")
    max_body_bytes: ByteSize = Field(
        default=ByteSize(4 * 1024 * 1024), ge=1024, description="The largest request body that is read; 413 beyond it."
    )
    max_upload_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024 * 1024), ge=1024, description="The largest file that is taken in; 413 beyond it."
    )
    max_json_depth: int = Field(
        default=64,
        ge=16,
        le=256,
        description="Lists and objects that may stand in each other in a body; 400 beyond it.",
    )
    max_header_bytes: ByteSize = Field(
        default=ByteSize(32 * 1024),
        ge=4096,
        le=1024 * 1024,
        description="The largest request line and headers together; 431 beyond it.",
    )
    header_seconds: float = Field(
        default=10, gt=0, le=600, description="How long a request's headers may take to arrive; 408 beyond it."
    )
    body_seconds: float = Field(
        default=30, gt=0, le=3600, description="How long a request's body may take to arrive; 408 beyond it."
    )
    upload_seconds: float = Field(
        default=600, gt=0, le=86400, description="How long an uploaded file may take to arrive; 408 beyond it."
    )
    unread_seconds: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="How long a client may leave bytes of its answer unread (or take less than 1 KiB a second) before "
        "the answer is cancelled.",
    )
    keep_alive_seconds: float = Field(
        default=75, gt=0, le=3600, description="How long a connection may rest between two requests."
    )
    max_connections: int = Field(
        default=2048,
        ge=1,
        le=65536,
        description="Open connections; beyond it requests get a 503, and beyond twice as many, connections are closed.",
    )
