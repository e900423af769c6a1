"""The model as the settings want it: loaded, checked, trained, and told to clients."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from hrm_model.config import CONFIG_FILE, read_config
from server.audit.facts import Origin
from server.deps import ModelCard
from server.settings import Settings
from server.settings_reading import SettingsError

if TYPE_CHECKING:
    from hrm_model.check import Needs
    from hrm_model.engine import NativeEngine
    from hrm_model.spelling import Speller


def load_engine(settings: Settings) -> "NativeEngine":
    """Load the checkpoint; start and close what is returned.

    Raises:
        CheckpointError, SettingsError: it cannot be served, or not like this.
    """
    from hrm_model.loading import load_engine as load

    try:
        return load(
            settings.model,
            dtype=settings.dtype,
            weights=settings.weights,
            kv_dtype=settings.kv_dtype,
            device=settings.device,
            kv_bytes=settings.kv_cache_bytes,
            max_running=settings.max_running,
            max_waiting=settings.max_waiting,
            draft_tokens=settings.draft_tokens,
            slice_tokens=settings.prefill_slice_tokens,
            kept_bytes=settings.prompt_cache_bytes,
        )
    except ValueError as error:  # a device that is not there, a cache that holds nothing
        raise SettingsError(str(error)) from error


def load_speller(settings: Settings) -> "Speller":
    """What tells how the model's tokens are spelled."""
    from hrm_model.spelling import Speller
    from hrm_model.tokenizer import load_tokenizer

    return Speller(load_tokenizer(settings.model))


def model_card(settings: Settings) -> ModelCard:
    """What clients see of the checkpoint.

    Raises:
        CheckpointError: the folder is not one.
    """
    config = read_config(settings.model)
    created = (settings.model / CONFIG_FILE).stat().st_mtime
    return ModelCard(
        id=settings.model_id,
        created=int(created),
        context=config.max_position_embeddings,
        is_extractive=config.is_extractive,
        abstention_bias=config.abstention_bias,
    )


def origin(settings: Settings) -> Origin:
    """What answers are made with, by digests; reads the whole checkpoint once."""
    import hrm_model.template
    import server.prompt

    code = [Path(module.__file__ or "") for module in (hrm_model.template, server.prompt)]
    files = sorted(path for path in settings.model.iterdir() if path.suffix in (".json", ".safetensors"))
    return Origin(version("hrm-serve"), settings.model_id, _digest_of(files), _digest_of(code))


def check_model(folder: Path, *, decode: bool, dtype: str, device: str, weights: str, kv_dtype: str) -> Iterator[str]:
    """Say, line by line, whether a folder can be served, what it needs, and how fast it is about.

    Raises:
        SettingsError: this machine has no such device, or it cannot have such weights or such a cache.
    """
    from hrm_model.check import check_model as check

    try:
        yield from check(folder, decode=decode, dtype=dtype, device=device, weights=weights, kv_dtype=kv_dtype)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def needs(settings: Settings) -> "Needs":
    """What serving the model takes, and what there is.

    Raises:
        CheckpointError, SettingsError: it cannot be served, or not like this.
    """
    from hrm_model.check import needs as work_out

    try:
        return work_out(
            settings.model,
            dtype=settings.dtype,
            device=settings.device,
            kv_bytes=settings.kv_cache_bytes,
            max_running=settings.max_running,
            weights=settings.weights,
            kv_dtype=settings.kv_dtype,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def train(arguments: Sequence[str]) -> int:
    """Hand a command line to the trainer; return its exit status."""
    from hrm_model.training.cli import main
    from retrieval.embedder import MiniLM

    return main(arguments, MiniLM().embed)


def _digest_of(files: Sequence[Path]) -> str:
    """One sha256 over names and contents, in the order given."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
