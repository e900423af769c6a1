"""Who may call: the API keys, in a database of their own. The only file of the server that talks to SQLite.

Only hashes of secrets are stored. Every look-up reads the database, so that a key made or revoked by another
process (the command line beside a running server) counts from the next request on.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, get_args

import apsw

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
        self._path = path
        self._clock = clock
        self._migrations = migrations
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(busy_timeout_ms)
            self._db.transaction_mode = "IMMEDIATE"  # what a transaction read still holds when it writes
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", "full")  # a key that was revoked stays revoked through a power cut
            self._db.pragma("secure_delete", True)
            self._migrate()
        except apsw.Error as error:
            self._db.close()
            raise LedgerError(f"{path} cannot be used as the ledger of keys: {error}") from error
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database; nothing may be asked afterwards."""
        with self._lock:
            self._db.close()

    def is_empty(self) -> bool:
        """Say whether no key was ever made. A revoked one counts: revoking the last key must not open the door."""
        with self._lock:
            return not self._db.execute("SELECT EXISTS (SELECT 1 FROM keys)").get

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
        with self._lock, self._db:
            key = self._insert(
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
        with self._lock, self._db:
            key = None
            if not self._db.execute("SELECT EXISTS (SELECT 1 FROM keys)").get:
                key = self._insert(secret, principal="user:admin", roles=("admin",))
        return key

    def find(self, secret: str) -> Key | None:
        """Return the key that this secret opens now, or None: unknown, expired and revoked look alike."""
        digest = _digest(secret)
        now = self._clock()
        with self._lock:
            query = f"SELECT secret_sha256, {_COLUMNS} FROM keys WHERE secret_sha256 = ?"
            row = self._db.execute(query, (digest,)).fetchone()
            # The index finds by hash, which callers cannot steer byte by byte; what decides takes constant time.
            if row is None or not hmac.compare_digest(row[0], digest):
                return None
            key = _key(row[1:])
            if not key.is_valid(now):
                return None
            if key.last_used_at is None or now - key.last_used_at >= _LAST_USED_EVERY_S:
                # Busy: another process writes. The note of use can wait for the next request, this one cannot.
                with suppress(apsw.BusyError):
                    self._db.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (int(now), key.key_id))
            return key

    def all_keys(self) -> list[Key]:
        """Every key ever made, oldest first."""
        with self._lock:
            return [_key(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at, rowid")]

    def revoke(self, key_id: str) -> Key:
        """Close a key for good, from the next request of any process on; again changes nothing.

        Raises:
            LedgerError: there is no such key.
        """
        with self._lock, self._db:
            update = "UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
            self._db.execute(update, (int(self._clock()), key_id))
            row = self._db.execute(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,)).fetchone()
        if row is None:
            raise LedgerError(f"There is no key {key_id}; `hrm-serve keys list` shows those there are.")
        return _key(row)

    def _insert(
        self,
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
        self._db.execute(f"INSERT INTO keys ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return key

    def _migrate(self) -> None:
        version = self._version()
        if version == len(self._migrations):
            return
        if version > len(self._migrations):
            raise LedgerError(
                f"{self._path} is of version {version}; this program knows up to {len(self._migrations)}."
            )
        if version > 0:
            self._back_up(version)
        with self._db:
            # Another process may have migrated while this one waited for the lock.
            for number in range(self._version(), len(self._migrations)):
                self._db.execute(self._migrations[number])
            self._db.pragma("user_version", len(self._migrations))

    def _back_up(self, version: int) -> None:
        """Copy the ledger beside itself; under its final name a copy is always whole."""
        backup = self._path.with_name(f"{self._path.name}.v{version}.bak")
        partial = backup.with_name(f"{backup.name}.{secrets.token_hex(4)}")
        partial.touch(mode=0o600)  # VACUUM INTO fills an empty file, and keeps its mode
        self._db.execute("VACUUM INTO ?", (str(partial),))
        partial.rename(backup)

    def _version(self) -> int:
        version = self._db.pragma("user_version")
        assert isinstance(version, int)
        return version


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
