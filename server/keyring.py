"""The API keys: made, rotated, revoked, found by their secrets.

Only hashes of secrets are stored. Every look-up reads the database, so that a key made or revoked by another
process (the command line beside a running server) counts from the next request on.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import astuple
from typing import Any

from server.api_key import ROLES, Key, LedgerError, allowed, named, noted, sound
from server.database import BUSY, FAILED, Connection, Database
from server.identity import FIRST_KEY_HOLDER, UNLIMITED, Limits
from server.spelling import new_key_id

log = logging.getLogger(__name__)

SECRET_PREFIX = "hrm_"
MIN_SECRET_CHARS = 32  # a secret brought along by a file; ours have 43 random characters
_LAST_USED_EVERY_S = 60  # a write with its fsync for every request would cost more than the request's retrieval
_COLUMNS = (
    "id, principal, groups, roles, grounded_only, note, created_at, expires_at, revoked_at, last_used_at, "
    "requests_per_minute, tokens_per_minute, concurrent_requests, max_tokens, allowed_models, allowed_stores"
)
# Beside those: until when an older secret opens the key too.
_OVERLAP = "(SELECT max(ends_at) FROM secrets WHERE key_id = keys.id AND ends_at > ?1)"


def refuse_short(secret: str) -> None:
    """Raise LedgerError where a first key's secret could be guessed from its hash."""
    if len(secret) < MIN_SECRET_CHARS:
        raise LedgerError(f"The first key's secret has {len(secret)} characters; it needs {MIN_SECRET_CHARS}.")


class Keyring:
    """The ledger's keys. May be used from any thread."""

    def __init__(self, file: Database, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._notes_fail = False

    def is_empty(self) -> bool:
        """Say whether no key was ever made. A revoked one counts: revoking the last key must not open the door."""
        with self._file.reading() as db:
            return _is_empty(db)

    def create(
        self,
        *,
        principal: str,
        roles: Iterable[str],
        groups: Iterable[str] = (),
        expires_in_s: float | None = None,
        grounded_only: bool = False,
        note: str = "",
        limits: Limits = UNLIMITED,
        allowed_models: Iterable[str] = (),
        allowed_stores: Iterable[str] = (),
        before: Callable[[Key], object] | None = None,
    ) -> tuple[Key, str]:
        """Make a key; return it with its secret, which is shown here and never again.

        Args:
            allowed_models, allowed_stores: the only ones that the key opens; none given: all.
            before: is told of the key before there is one; if that raises, there will be none.

        Raises:
            LedgerError: a name that access lists could not know, no role, a limit below 1, or an expiry not ahead.
        """
        now = int(self._clock())
        asked = set(roles)
        if not asked or not asked <= set(ROLES):
            raise LedgerError(f"A key needs one or more of the roles {', '.join(ROLES)}.")
        key = Key(
            key_id=new_key_id(),
            principal=named(principal, "user:"),
            groups=frozenset(named(group, "group:") for group in groups),
            roles=frozenset(role for role in ROLES if role in asked),
            grounded_only=grounded_only,
            note=noted(note),
            created_at=now,
            expires_at=None if expires_in_s is None else now + int(expires_in_s),
            revoked_at=None,
            last_used_at=None,
            limits=sound(limits),
            allowed_models=allowed("model", allowed_models),
            allowed_stores=allowed("store", allowed_stores),
        )
        if not key.is_valid(now):
            raise LedgerError("A key's expiry must lie ahead.")
        if before is not None:
            before(key)
        secret = _new_secret()
        with self._file.writing() as db:
            _insert(db, key, secret)
        return key, secret

    def adopt_first(self, secret: str) -> Key | None:
        """Make `secret` an admin's key if the ledger is empty; otherwise change nothing and return None.

        Raises:
            LedgerError: the secret is too short to be safe as a hash.
        """
        refuse_short(secret)
        first = Key(
            key_id=new_key_id(),
            principal=FIRST_KEY_HOLDER,
            groups=frozenset(),
            roles=frozenset({"admin"}),
            grounded_only=False,
            note="",
            created_at=int(self._clock()),
            expires_at=None,
            revoked_at=None,
            last_used_at=None,
        )
        with self._file.writing() as db:
            if not _is_empty(db):
                return None
            _insert(db, first, secret)
        return first

    def find(self, secret: str) -> Key | None:
        """Return the key that this secret opens now, or None: unknown, expired, ended and revoked look alike."""
        digest = _digest(secret)
        now = self._clock()
        with self._file.reading() as db:
            row = db.execute(
                "SELECT sha256, key_id FROM secrets WHERE sha256 = ?2 AND (ends_at IS NULL OR ends_at > ?1)",
                (now, digest),
            ).fetchone()
            # The index finds by hash, which callers cannot steer byte by byte; what decides takes constant time.
            if row is None or not hmac.compare_digest(row[0], digest):
                return None
            key = self._one(db, row[1])
            if not key.is_valid(now):
                return None
        if key.last_used_at is None or now - key.last_used_at >= _LAST_USED_EVERY_S:
            self._note_use(key, int(now))
        return key

    def all(self) -> list[Key]:
        """Every key ever made, oldest first."""
        select = f"SELECT {_COLUMNS}, {_OVERLAP} FROM keys ORDER BY created_at, rowid"
        with self._file.reading() as db:
            return [_key(row) for row in db.execute(select, (self._clock(),))]

    def rotate(self, key_id: str, *, overlap_s: float) -> tuple[Key, str]:
        """Give a key a new secret, which is shown here and never again; those it has end after the overlap.

        The key keeps its id, its rights and its expiry.

        Raises:
            LedgerError: there is no such key, or it opens nothing any more.
        """
        secret = _new_secret()
        with self._file.writing() as db:
            now = self._clock()
            if not self._one(db, key_id).is_valid(now):
                raise LedgerError(
                    f"The key {key_id} opens nothing any more; make another with `hrm-serve keys create`."
                )
            db.execute("DELETE FROM secrets WHERE key_id = ?1 AND ends_at <= ?2", (key_id, now))
            # A second rotation must not lengthen the life of what the first one ended.
            update = "UPDATE secrets SET ends_at = min(coalesce(ends_at, ?2), ?2) WHERE key_id = ?1"
            db.execute(update, (key_id, int(now + overlap_s)))
            _add_secret(db, key_id, secret, int(now))
            return self._one(db, key_id), secret

    def revoke(self, key_id: str) -> Key:
        """Close a key for good with all its secrets, from the next request of any process on; again changes nothing.

        Raises:
            LedgerError: there is no such key.
        """
        with self._file.writing() as db:
            update = "UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
            db.execute(update, (int(self._clock()), key_id))
            return self._one(db, key_id)

    def _note_use(self, key: Key, now: int) -> None:
        # At once or not at all: whoever has a key comes in beside any writer, and where nothing can be written.
        try:
            with self._file.writing(waits=False) as db:
                update = "UPDATE keys SET last_used_at = ? WHERE id = ? AND last_used_at IS ?"
                db.execute(update, (now, key.key_id, key.last_used_at))
            self._notes_fail = False
        except BUSY:
            pass  # another process writes; the next request notes it
        except FAILED as error:
            if not self._notes_fail:
                log.error("the use of keys cannot be written down: %s", error)
            self._notes_fail = True

    def _one(self, db: Connection, key_id: str) -> Key:
        row = db.execute(f"SELECT {_COLUMNS}, {_OVERLAP} FROM keys WHERE id = ?2", (self._clock(), key_id)).fetchone()
        if row is None:
            raise LedgerError(f"There is no key {key_id}; `hrm-serve keys list` shows those there are.")
        return _key(row)


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _insert(db: Connection, key: Key, secret: str) -> None:
    values = (
        key.key_id,
        key.principal,
        " ".join(sorted(key.groups)),
        " ".join(sorted(key.roles)),
        int(key.grounded_only),
        key.note,
        key.created_at,
        key.expires_at,
        key.revoked_at,
        key.last_used_at,
        *astuple(key.limits),
        None if key.allowed_models is None else " ".join(sorted(key.allowed_models)),
        None if key.allowed_stores is None else " ".join(sorted(key.allowed_stores)),
    )
    db.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)
    _add_secret(db, key.key_id, secret, key.created_at)


def _is_empty(db: Connection) -> bool:
    return not db.execute("SELECT EXISTS (SELECT 1 FROM keys)").get


def _add_secret(db: Connection, key_id: str, secret: str, now: int) -> None:
    db.execute("INSERT INTO secrets (sha256, key_id, created_at) VALUES (?, ?, ?)", (_digest(secret), key_id, now))


def _key(row: tuple[Any, ...]) -> Key:
    # The table is STRICT, so the columns have the types that it declares.
    key_id, principal, groups, roles, grounded_only, note, created_at, expires_at, revoked_at, last_used_at = row[:10]
    models, stores, overlap_until = row[14:]
    return Key(
        key_id=key_id,
        principal=principal,
        groups=frozenset(groups.split()),
        roles=frozenset(role for role in ROLES if role in roles.split()),
        grounded_only=bool(grounded_only),
        note=note,
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
        limits=Limits(*row[10:14]),
        allowed_models=None if models is None else frozenset(models.split()),
        allowed_stores=None if stores is None else frozenset(stores.split()),
        overlap_until=overlap_until,
    )
