"""What the server keeps of its own: the ledger with its keys, and the audit log."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

from server import upkeep
from server.api_key import LedgerError
from server.audit.log import AuditLog, Durability
from server.audit.seal import content_key
from server.audit.typed import Acts, grants_of
from server.keyring import refuse_short
from server.ledger import Ledger
from server.settings import Settings
from server.signing import Signer

log = logging.getLogger(__name__)


@contextmanager
def opened_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger for a block."""
    ledger = open_ledger(settings)
    try:
        yield ledger
    finally:
        ledger.close()


def open_ledger(settings: Settings) -> Ledger:
    """Open the keys."""
    return Ledger(settings.data_dir / upkeep.LEDGER)


def open_audit(settings: Settings, ledger: Ledger) -> AuditLog:
    """Open the audit log and the key that signs it; the ledger remembers who has signed.

    Raises:
        AuditError, SigningKeyError: one of them cannot be used.
    """
    signer = Signer.of(settings.data_dir)
    remember(signer, ledger)
    return audit_of(settings, signer)


def audit_of(settings: Settings, signer: Signer) -> AuditLog:
    """The audit log alone; its signer has to be remembered.

    Raises:
        AuditError: it cannot be used.
    """
    key = None if settings.audit_content_key_file is None else content_key(settings.audit_content_key_file)
    durability: Durability = "async" if settings.audit == "async" else "durable"
    return AuditLog(settings.data_dir / upkeep.AUDIT, signer, durability=durability, content_key=key)


def remember(signer: Signer, ledger: Ledger) -> None:
    """Have the ledger know whose signatures hold."""
    ledger.erasures.remember_key(signer.key_id, signer.public_key, int(time()))


def settle(audit: AuditLog, ledger: Ledger) -> None:
    """Make records of what ended processes have left; before anybody acts here, who would be a process that lives."""
    audit.settle(list(ledger.erasures.public_keys().values()))


@contextmanager
def acting(settings: Settings, route: str, kind: str, is_refusal: Callable[[Exception], bool]) -> Iterator[Acts]:
    """The log for what a command does, opened for a block; see `Acts`.

    Raises:
        AuditError, AuditUnavailable, SigningKeyError: it cannot be used.
    """
    if settings.audit == "off":
        yield Acts(None, route, kind)
        return
    with opened_ledger(settings) as ledger:
        audit = open_audit(settings, ledger)
        try:
            settle(audit, ledger)
            yield Acts(audit, route, kind, is_refusal=is_refusal)
        finally:
            audit.close()


def adopt_first_key(ledger: Ledger, file: Path | None, audit: AuditLog | None) -> None:
    """Make the secret in a file an admin's key, if there is no key yet.

    Raises:
        LedgerError: the file is not there, or holds no secret.
        AuditUnavailable: it cannot be recorded.
    """
    if file is None or not ledger.keys.is_empty():
        return
    secret = first_secret(file)
    with Acts(audit, "cli serve, first key", "admin").one() as facts:
        if key := ledger.keys.adopt_first(secret):
            facts.record |= {"id": key.key_id, "grants": grants_of(key)}
            log.info("the first key is %s, an admin's, from %s", key.key_id, file)


def first_secret(file: Path) -> str:
    """The secret of the first key.

    Raises:
        LedgerError: the file is not there, or holds no secret.
    """
    # Missing is not the same as not configured: whoever named a key does not want a server without one.
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise LedgerError(
            f"HRM_FIRST_KEY_FILE names {file}, which does not exist, and there is no API key yet.\n"
            "Put a secret of 32 or more characters there (in a container: mount it), "
            "or make a key with `hrm-serve keys create --principal user:you --role admin`."
        ) from error
    except UnicodeDecodeError as error:
        raise LedgerError(f"{file} does not hold a secret in plain text.") from error
    refuse_short(secret)
    return secret
