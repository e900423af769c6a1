"""How texts are kept out of records: as hashes salted for each record, and beside it, where wanted, encrypted."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.audit.beside import Beside, filed_under
from server.audit.chain import AuditError
from server.signing import canonical

SALT_BYTES = 32
NONCE_BYTES = 12
MIN_SECRET_BYTES = 32


class Seal:
    """Spells records, and opens what was kept beside them."""

    def __init__(self, content_key: bytes | None, clock: Callable[[], float]) -> None:
        """Keep texts where there is a key of 32 bytes to encrypt them with; None: their hashes alone."""
        self._cipher = AESGCM(content_key) if content_key is not None else None
        self._clock = clock

    @property
    def keeps_content(self) -> bool:
        """Whether texts are kept, encrypted, beside their hashes."""
        return self._cipher is not None

    def spelled(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> tuple[str, Beside]:
        """A record in canonical JSON, with the time, hashes of its texts and digests of what is to lie beside it."""
        salt = secrets.token_bytes(SALT_BYTES)
        beside = Beside(filed_under(record), salt, self._sealed(texts, salt))
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        hashes = {name: salted(salt, text) for name, text in texts.items()}
        return canonical({**record, "at": moment, "hashes": hashes, "beside": beside.digests()}), beside

    def opened(self, number: int, salt: bytes, content: bytes) -> str:
        """The texts of record `number` as they were given, in canonical JSON.

        Raises:
            AuditError: there is no key here, or they were encrypted with another one.
        """
        if self._cipher is None:
            raise AuditError("The texts are kept encrypted; HRM_AUDIT_CONTENT_KEY_FILE has to name their key.")
        try:
            return self._cipher.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], salt).decode()
        except InvalidTag as error:
            raise AuditError(f"The texts of record {number} were encrypted with another key.") from error

    def _sealed(self, texts: Mapping[str, str], salt: bytes) -> bytes | None:
        if self._cipher is None:
            return None
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, canonical(dict(texts)).encode(), salt)


def salted(salt: bytes, text: str) -> str:
    """The hash of a text under a record's salt (HMAC-SHA256, in hex)."""
    return hmac.new(salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def content_key(file: Path) -> bytes:
    """The key that a file's secret stands for.

    Raises:
        AuditError: there is no such file, or its secret is too short to be one.
    """
    try:
        secret = file.read_bytes().strip()
    except FileNotFoundError as error:
        raise AuditError(f"HRM_AUDIT_CONTENT_KEY_FILE names {file}, which does not exist.") from error
    if len(secret) < MIN_SECRET_BYTES:
        raise AuditError(f"The secret in {file} has {len(secret)} characters; it needs {MIN_SECRET_BYTES}.")
    return hashlib.sha256(b"hrm-serve audit content\0" + secret).digest()
