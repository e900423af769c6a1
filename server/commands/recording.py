"""What a command does is on record, as what a request does: noted down before, recorded after, or not done."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from retrieval.errors import (
    BackupRefused,
    DataInUse,
    DocumentNotFound,
    DocumentRefused,
    RestoreRefused,
    StoreExpired,
    StoreNameRefused,
    StoreNotFound,
)
from server.api_key import LedgerError
from server.audit.chain import AuditError
from server.commands.terminal import CommandError
from server.settings import Settings

if TYPE_CHECKING:
    from server.audit.facts import ActFacts
    from server.audit.typed import Acts

_REFUSALS = (
    AuditError,
    BackupRefused,
    CommandError,
    DataInUse,
    DocumentNotFound,
    DocumentRefused,
    LedgerError,
    RestoreRefused,
    StoreExpired,
    StoreNameRefused,
    StoreNotFound,
)


def is_refusal(error: Exception) -> bool:
    """Whether an error says that what was asked is not done, and not that something has failed."""
    return isinstance(error, _REFUSALS)


def acting(settings: Settings, command: str, kind: str) -> "AbstractContextManager[Acts]":
    """The log for what a command does, opened for a block.

    Raises:
        AuditError, AuditUnavailable, SigningKeyError: it cannot be used, so nothing may be done.
    """
    from server.building import records

    return records.acting(settings, f"cli {command}", kind, is_refusal)


@contextmanager
def on_record(
    settings: Settings,
    command: str,
    kind: str,
    *,
    path: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    **known: Any,
) -> "Iterator[ActFacts]":
    """Do one act in a block; see `Acts.one`."""
    with acting(settings, command, kind) as acts, acts.one(path, texts, **known) as facts:
        yield facts
