"""The audit log: a chain in a database of its own.

Its own database, because it grows without end, is written for every answer, and must never hold up a look at a key.
What a record says of a text is a hash salted for that record alone. Salts lie beside the chain, so that erasing one
makes its hash meaningless and leaves the chain whole.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.audit.chain import AuditUnavailable, Entry, Head, link
from server.database import FAILED, Connection, Database
from server.signing import Signer, canonical

log = logging.getLogger(__name__)

Durability = Literal["durable", "async"]
NONCE_BYTES = 12
MIN_SECRET_BYTES = 32

_TABLES = """
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
CREATE TABLE private (
    number INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    salt BLOB NOT NULL,
    content BLOB
) STRICT;
CREATE INDEX private_of_request ON private (request);
"""
MIGRATIONS: Sequence[str] = (_TABLES,)


class AuditError(Exception):
    """The log cannot be read as asked; the message says why."""


class AuditLog:
    """Appends records, and reads them back. May be used from any thread, and beside other processes."""

    def __init__(
        self,
        path: Path,
        signer: Signer,
        *,
        durability: Durability = "durable",
        content_key: bytes | None = None,
        clock: Callable[[], float] = time,
        busy_timeout_ms: int = 10_000,
    ) -> None:
        """Open the log, creating it or bringing it forward to this version's tables.

        Args:
            durability: "durable": a record is on the disk when `append` returns. "async": it is with the operating
                system, which a killed server does not lose, and a power cut may.
            content_key: 32 bytes; with it, the texts themselves are kept as well, encrypted.

        Raises:
            AuditError: it is of a newer version than this program, or SQLite cannot use it.
        """
        self._signer, self._clock = signer, clock
        self._cipher = AESGCM(content_key) if content_key is not None else None
        self._has_failed = False  # at the last record
        self._file = Database(
            path,
            purpose="the audit log",
            refusal=AuditError,
            busy_timeout_ms=busy_timeout_ms,
            migrations=MIGRATIONS,
            survives_power_cuts=durability == "durable",
        )

    def close(self) -> None:
        """Close the database; nothing may be asked afterwards."""
        self._file.close()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced."""
        self._file.copy_to(path)

    @property
    def keeps_content(self) -> bool:
        """Whether texts are kept, encrypted, beside their hashes."""
        return self._cipher is not None

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> Entry:
        """Add a record; when this returns, it is in the chain.

        Args:
            record: what happened; `at` and `hashes` are added to it. Its `request` is what `find` finds it by.
            texts: what it speaks about, each under the name that its hash shall have.

        Raises:
            AuditUnavailable: it could not be written.
        """
        salt = secrets.token_bytes(32)
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        hashes = {name: salted(salt, text) for name, text in texts.items()}
        spelled = canonical({**record, "at": moment, "hashes": hashes})
        content = self._sealed(texts, salt)
        try:
            with self._file.writing() as db:
                entry = link(_head(db), spelled, self._signer)
                _put(db, entry, str(record.get("request", "")), salt, content)
        except FAILED as error:
            log.error("audit: a record cannot be written: %s", error)
            self._has_failed = True
            raise AuditUnavailable(f"The audit log cannot be written: {error}") from error
        self._has_failed = False
        return entry

    def trouble(self) -> str | None:
        """Why the next record could not be written either, after one that could not; None: it could. Waits for nothing.

        Nobody is sent here while there is trouble, so that no record would find out that it is over.
        """
        if not self._has_failed:
            return None
        try:
            with self._file.trying() as db:
                _put(db, link(_head(db), "{}", self._signer), "", b"", None)
        except FAILED as error:
            return f"the audit log cannot be written: {error}"
        self._has_failed = False
        return None

    def head(self) -> Head:
        """Where the chain ends now."""
        with self._file.reading() as db:
            return _head(db)

    def entries(self) -> Iterator[Entry]:
        """All records, in the order of their places in the database, read in pieces so that writers may go on."""
        last = -(2**63)
        while True:
            with self._file.reading() as db:
                query = "SELECT number, record, hash, signature FROM audit WHERE number > ? ORDER BY number LIMIT 500"
                # The table is STRICT, so the columns have the types that it declares.
                rows: list[Any] = db.execute(query, (last,)).fetchall()
            if not rows:
                return
            for row in rows:
                entry = Entry(*row)
                last = entry.number
                yield entry

    def of_request(self, request: str) -> list[Entry]:
        """The records of one request."""
        with self._file.reading() as db:
            query = (
                "SELECT number, record, hash, signature FROM audit JOIN private USING (number) WHERE request = ?"
                " ORDER BY number"
            )
            return [Entry(*row) for row in db.execute(query, (request,))]

    def salt(self, number: int) -> bytes | None:
        """The salt of a record's hashes; None: erased."""
        with self._file.reading() as db:
            row = db.execute("SELECT salt FROM private WHERE number = ?", (number,)).fetchone()
        return None if row is None or not row[0] else row[0]

    def content(self, number: int) -> str | None:
        """The texts of a record as they were given, in canonical JSON; None: never kept, or erased.

        Raises:
            AuditError: they are kept, and this log was opened without their key or with another one.
        """
        with self._file.reading() as db:
            row = db.execute("SELECT salt, content FROM private WHERE number = ?", (number,)).fetchone()
        if row is None or row[1] is None:
            return None
        if self._cipher is None:
            raise AuditError("The texts are kept encrypted; HRM_AUDIT_CONTENT_KEY_FILE has to name their key.")
        try:
            return self._cipher.decrypt(row[1][:NONCE_BYTES], row[1][NONCE_BYTES:], row[0]).decode()
        except InvalidTag as error:
            raise AuditError(f"The texts of record {number} were encrypted with another key.") from error

    def erase(self, request: str) -> int:
        """Forget salts and texts of a request's records; the chain stays as it is.

        Returns:
            How many records it had.
        """
        with self._file.writing() as db:
            db.execute("UPDATE private SET salt = x'', content = NULL WHERE request = ?", (request,))
            count = int(db.changes())
        log.info("audit: salts and texts of %d records of %s are erased", count, request)
        return count

    def _sealed(self, texts: Mapping[str, str], salt: bytes) -> bytes | None:
        if self._cipher is None:
            return None
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, canonical(dict(texts)).encode(), salt)


def _put(db: Connection, entry: Entry, request: str, salt: bytes, content: bytes | None) -> None:
    row = (entry.number, entry.record, entry.hash, entry.signature)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?)", row)
    db.execute("INSERT INTO private VALUES (?, ?, ?, ?)", (entry.number, request, salt, content))


def _head(db: Connection) -> Head:
    row: Any = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return Head() if row is None else Head(*row)


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


def digest_of(files: Sequence[Path]) -> str:
    """One sha256 over names and contents, in the order given."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
