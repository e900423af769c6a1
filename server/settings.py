"""Every knob of the server: one frozen class, read once when a command starts, from environment, file and flags.

Nothing below the commands and server/building knows this class; server/building/policy.py turns it into plain values.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from server.settings_limits import LimitSettings
from server.settings_reading import PREFIX, read, spelled
from server.settings_tokens import TokenSettings
from server.settings_transport import TransportSettings
from server.spelling import STORE

BUNDLED_MODEL = Path(__file__).resolve().parents[1] / "hrm_model" / "mini"
BUNDLED_NAME = "hrm-text-mini"

# A model id must survive `model@store`.
_MODEL_ID = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"


class Settings(LimitSettings, TokenSettings, TransportSettings):
    """Immutable. Tests build one with keyword arguments; only `load` reads the environment and the file."""

    # Here and in no base: of several bases the last one's configuration holds, whether it has set any or not.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", protected_namespaces=())

    model: Path = Field(
        default=BUNDLED_MODEL,
        description="Folder of the checkpoint to serve: config.json, *.safetensors, tokenizer.json.",
    )
    served_model_name: Annotated[str, Field(pattern=_MODEL_ID, max_length=128)] | None = Field(
        default=None,
        description="The model id that clients use; without it, the name of the checkpoint's folder.",
        json_schema_extra=spelled("letters, digits, and . _ / - after the first, as hrm-text-1b"),
    )
    engine: Literal["native"] = Field(default="native", description="What runs the model.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Number format of the weights in memory; auto takes what suits the device."
    )
    weights: Literal["auto", "int8", "int4"] = Field(
        default="auto",
        description="Number format of the layers' matrices, on a CPU: int8, int4, or that of dtype (auto).",
    )
    kv_dtype: Literal["auto", "int8"] = Field(
        default="auto", description="Number format of the K/V cache, on a CPU: int8, or that of dtype (auto)."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        json_schema_extra=spelled("auto, cpu, cuda, or one of several as cuda:1"),
        description="Where the model runs: auto, cpu, cuda, cuda:N.",
    )
    kv_cache_bytes: Annotated[ByteSize, Field(ge=1024 * 1024)] | None = Field(
        default=None,
        description="Memory for the K/V cache, as 512MiB or 4GiB; without it, the engine takes what suits the device.",
    )
    max_running: int = Field(default=64, ge=1, le=4096, description="Sequences that are decoded at the same time.")
    max_waiting: int = Field(
        default=256, ge=0, le=65536, description="Requests that queue for the engine before new ones get a 503."
    )
    draft_tokens: int = Field(
        default=8,
        ge=0,
        le=64,
        description="Tokens of an answer that are guessed from the prompt and checked in one step; 0: none.",
    )
    prefill_slice_tokens: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None,
        description="Tokens of a new prompt whose reading may hold up one step of the answers that are being written; "
        "without it, what suits the model's size: 256 below 100 million parameters, else 64, "
        "or 16 on a CPU without products of its number format.",
    )
    prompt_cache_bytes: Annotated[ByteSize, Field(ge=0)] | None = Field(
        default=None,
        description="Part of the K/V cache for prompts that may be asked again; 0: none; without it, half.",
    )
    stall_seconds: float = Field(
        default=300,
        gt=0,
        allow_inf_nan=False,
        description="Seconds in one step of the engine after which the server is no longer ready.",
    )
    data_dir: Path = Field(
        default=Path("data"), description="Folder of the databases, the index and the original files."
    )
    min_free_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024 * 1024),
        ge=0,
        description="Free space of the data directory's disk below which the server is no longer ready.",
    )
    default_store: Annotated[str, Field(pattern=f"^{STORE.pattern}$", max_length=64)] | None = Field(
        default=None,
        description="Store that the plain model id retrieves from; without it, only on request.",
        json_schema_extra=spelled("the name or id of a store: lower-case letters, digits, and _ - after the first"),
    )
    retrieval_k: int = Field(
        default=6, ge=1, le=50, description="Passages looked up for a question that does not say how many."
    )
    text_weight: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="How much the words that question and passage share count; the rest is their likeness in meaning.",
    )
    late_interaction: int = Field(
        default=0,
        ge=0,
        le=50,
        description="Best passages that are compared with the question word by word, at milliseconds each; 0: none.",
    )
    score_threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Passages that score below it are left out, unless a request says otherwise.",
    )
    parse_bytes: Annotated[ByteSize, Field(ge=1024, le=2**31)] = Field(
        default=ByteSize(64 * 1024 * 1024), description="The largest file that is taken in."
    )
    parse_pages: int = Field(
        default=5_000, ge=1, le=100_000, description="Pages, slides or sheets that one file may have."
    )
    parse_characters: int = Field(
        default=10_000_000, ge=1_000, le=100_000_000, description="Characters of text that one file may hold."
    )
    parse_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="Seconds of computing for reading one file; by the clock it may take four times that.",
    )
    parse_memory: Annotated[ByteSize, Field(ge=256 * 1024 * 1024, le=2**36)] = Field(
        default=ByteSize(1024 * 1024 * 1024),
        description="Address space of the process that reads files; archives may unpack to a quarter of it.",
    )
    grounding: Literal["auto", "off", "cite", "strict"] = Field(
        default="auto",
        description="off: no citations; cite: verified markers; strict: unsupported sentences are withheld as well; "
        "auto: strict where a checkpoint says that it is extractive, as the bundled one does, else cite.",
    )
    abstention: str = Field(
        default="The documents do not contain the answer.",
        min_length=1,
        max_length=500,
        description="The sentence that stands for an answer when the passages do not hold one.",
    )
    prompt_examples: int = Field(
        default=0,
        ge=0,
        le=4,
        description="Worked examples put before each grounded question; the bundled model needs none.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        json_schema_extra=spelled("an address without ? and #, as https://ask.example.org, or empty"),
        description="Put before the paths of citations, as https://ask.example.org; empty leaves them relative.",
    )
    heartbeat_seconds: float = Field(
        default=10, gt=0, le=600, description="Silence on a stream after which a comment keeps proxies from closing it."
    )
    retry_after_seconds: int = Field(
        default=1, ge=1, le=3600, description="What a full server tells clients to wait before they come back."
    )
    drain_seconds: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="How long running answers may take to end after SIGTERM; then they end in an error.",
    )
    first_key_file: Path | None = Field(
        default=None,
        description="File with the secret of the first API key, an admin's; used only while there is no key at all.",
    )
    audit: Literal["durable", "async", "off"] = Field(
        default="durable",
        description="Record of every answer and act: durable: on the disk before a response ends; async: a power cut "
        "may lose the last seconds, a killed server loses nothing; off: none.",
    )
    audit_content_key_file: Path | None = Field(
        default=None,
        description="File with a secret of 32 or more characters; with it, questions and answers are kept in the "
        "audit log, encrypted; without it, only their salted hashes.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe thing that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text: lines for people; json: one object a line, for what collects logs."
    )

    otel_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#@]+$",
        json_schema_extra=spelled("an address without a name or password in it, as http://collector:4318"),
        description="Base URL of an OpenTelemetry collector, as http://collector:4318, which is sent spans, without "
        "content; needs the extra `otel`. Unset, none are made.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def load(cls, flags: Mapping[str, str] | None = None) -> Self:
        """Read the environment, then the TOML file, then `flags` (field names to text); the later one holds.

        Raises:
            SettingsError: a value is invalid, or a name is not a setting (a typo would otherwise
                silently leave the default in force). Every mistake is named with where it was made.
        """
        return read(cls, flags or {})

    @property
    def model_id(self) -> str:
        """The id that clients use for the one model that is served."""
        if self.served_model_name is not None:
            return self.served_model_name
        return BUNDLED_NAME if self.model == BUNDLED_MODEL else self.model.resolve().name
