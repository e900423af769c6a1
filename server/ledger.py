"""Who may call: the API keys, in a database of their own, which keeps the record of erasures too.

Only hashes of secrets are stored. Every look-up reads the database, so that a key made or revoked by another
process (the command line beside a running server) counts from the next request on.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, get_args

from server.database import BUSY, Connection, Database
from server.erasure_records import ErasureRecords
from server.identity import Role

SECRET_PREFIX = "hrm_"
MIN_SECRET_CHARS = 32  # a secret brought along by a file; ours have 43 random characters
ROLES: tuple[Role, ...] = get_args(Role)

# One entry per schema version; a ledger of version n is brought forward by the entries from n on.
MIGRATIONS = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        secret_sha256 BLOB NOT NULL UNIQUE,
        principal TEXT NOT NULL,
        groups TEXT NOT NULL,
        roles TEXT NOT NULL,
        grounded_only INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        revoked_at INTEGER,
        last_used_at INTEGER
    ) STRICT;
    """,
    """
    CREATE TABLE erasures (
        id TEXT PRIMARY KEY,
        file_id TEXT NOT NULL,
        is_whole INTEGER NOT NULL,
        owner TEXT NOT NULL,
        requested_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        requested_at INTEGER NOT NULL,
        certificate TEXT,
        signature TEXT,
        key_id TEXT
    ) STRICT;
    CREATE INDEX erasures_of_file ON erasures (file_id);
    CREATE TABLE signing_keys (id TEXT PRIMARY KEY, public_key TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
    """,
)
_LAST_USED_EVERY_S = 60  # a write with its fsync for every request would cost more than the request's retrieval
_COLUMNS = "id, principal, groups, roles, grounded_only, created_at, expires_at, revoked_at, last_used_at"


class LedgerError(Exception):
    """The ledger cannot be used as asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the ledger knows it: everything but the secret. Times are Unix seconds."""

    key_id: str
    principal: str
    groups: frozenset[str]
    roles: frozenset[Role]
    grounded_only: bool
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    def is_valid(self, now: float) -> bool:
        """Say whether the key opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Ledger:
    """The keys in `ledger.db`. May be used from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time,
        busy_timeout_ms: int = 5_000,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        """Open the ledger, creating it or bringing it forward to this version's schema.

        Raises:
            LedgerError: it is of a newer version than this program, or SQLite cannot use it; the message says why.
        """
        self._clock = clock
        # Durable: a key that was revoked stays revoked through a power cut.
        self._file = Database(
            path,
            purpose="the ledger of keys",
            refusal=LedgerError,
            busy_timeout_ms=busy_timeout_ms,
            migrations=migrations,
        )
        self.erasures = ErasureRecords(self._file)

    def close(self) -> None:
        """Close the database; nothing may be asked afterwards."""
        self._file.close()

    def values(self) -> Iterator[str | bytes]:
        """Every text and blob that the ledger holds, with its schema."""
        return self._file.values()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced."""
        self._file.copy_to(path)

    def is_empty(self) -> bool:
        """Say whether no key was ever made. A revoked one counts: revoking the last key must not open the door."""
        with self._file.reading() as db:
            return not db.execute("SELECT EXISTS (SELECT 1 FROM keys)").get

    def create(
        self,
        *,
        principal: str,
        roles: Iterable[str],
        groups: Iterable[str] = (),
        expires_in_s: float | None = None,
        grounded_only: bool = False,
    ) -> tuple[Key, str]:
        """Make a key; return it with its secret, which is shown here and never again.

        Raises:
            LedgerError: a name that access lists could not know, no role, or an expiry that is not ahead.
        """
        secret = SECRET_PREFIX + secrets.token_urlsafe(32)
        with self._file.writing() as db:
            key = self._insert(
                db,
                secret,
                principal=principal,
                roles=roles,
                groups=groups,
                expires_in_s=expires_in_s,
                grounded_only=grounded_only,
            )
        return key, secret

    def adopt_first(self, secret: str) -> Key | None:
        """Make `secret` an admin's key if the ledger is empty; otherwise change nothing and return None.

        Raises:
            LedgerError: the secret is too short to be safe as a hash.
        """
        if len(secret) < MIN_SECRET_CHARS:
            raise LedgerError(f"The first key's secret has {len(secret)} characters; it needs {MIN_SECRET_CHARS}.")
        with self._file.writing() as db:
            key = None
            if not db.execute("SELECT EXISTS (SELECT 1 FROM keys)").get:
                key = self._insert(db, secret, principal="user:admin", roles=("admin",))
        return key

    def find(self, secret: str) -> Key | None:
        """Return the key that this secret opens now, or None: unknown, expired and revoked look alike."""
        digest = _digest(secret)
        now = self._clock()
        with self._file.reading() as db:
            query = f"SELECT secret_sha256, {_COLUMNS} FROM keys WHERE secret_sha256 = ?"
            row = db.execute(query, (digest,)).fetchone()
            # The index finds by hash, which callers cannot steer byte by byte; what decides takes constant time.
            if row is None or not hmac.compare_digest(row[0], digest):
                return None
            key = _key(row[1:])
            if not key.is_valid(now):
                return None
            if key.last_used_at is None or now - key.last_used_at >= _LAST_USED_EVERY_S:
                # Busy: another process writes. The note of use can wait for the next request, this one cannot.
                with suppress(BUSY):
                    db.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (int(now), key.key_id))
            return key

    def all_keys(self) -> list[Key]:
        """Every key ever made, oldest first."""
        with self._file.reading() as db:
            return [_key(row) for row in db.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at, rowid")]

    def revoke(self, key_id: str) -> Key:
        """Close a key for good, from the next request of any process on; again changes nothing.

        Raises:
            LedgerError: there is no such key.
        """
        with self._file.writing() as db:
            update = "UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
            db.execute(update, (int(self._clock()), key_id))
            row = db.execute(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,)).fetchone()
        if row is None:
            raise LedgerError(f"There is no key {key_id}; `hrm-serve keys list` shows those there are.")
        return _key(row)

    def _insert(
        self,
        db: Connection,
        secret: str,
        *,
        principal: str,
        roles: Iterable[str],
        groups: Iterable[str] = (),
        expires_in_s: float | None = None,
        grounded_only: bool = False,
    ) -> Key:
        asked = set(roles)
        if not asked or not asked <= set(ROLES):
            raise LedgerError(f"A key needs one or more of the roles {', '.join(ROLES)}.")
        now = int(self._clock())
        key = Key(
            key_id=f"key_{secrets.token_hex(6)}",
            principal=_named(principal, "user:"),
            groups=frozenset(_named(group, "group:") for group in groups),
            roles=frozenset(role for role in ROLES if role in asked),
            grounded_only=grounded_only,
            created_at=now,
            expires_at=None if expires_in_s is None else now + int(expires_in_s),
            revoked_at=None,
            last_used_at=None,
        )
        if not key.is_valid(now):
            raise LedgerError("A key's expiry must lie ahead.")
        values = (
            key.key_id,
            _digest(secret),
            key.principal,
            " ".join(sorted(key.groups)),
            " ".join(sorted(key.roles)),
            int(grounded_only),
            key.created_at,
            key.expires_at,
        )
        columns = "id, secret_sha256, principal, groups, roles, grounded_only, created_at, expires_at"
        db.execute(f"INSERT INTO keys ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return key


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _named(name: str, prefix: str) -> str:
    if not name.startswith(prefix) or name == prefix or any(character.isspace() for character in name):
        raise LedgerError(f"{name!r} is not a name like {prefix}anna: the prefix, then no spaces.")
    return name


def _key(row: tuple[Any, ...]) -> Key:
    # The table is STRICT, so the columns have the types that it declares.
    key_id, principal, groups, roles, grounded_only, created_at, expires_at, revoked_at, last_used_at = row
    return Key(
        key_id=key_id,
        principal=principal,
        groups=frozenset(groups.split()),
        roles=frozenset(role for role in ROLES if role in roles.split()),
        grounded_only=bool(grounded_only),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
    )
