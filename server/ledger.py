"""`ledger.db`: who may call, and what was erased; its schema, and nothing of what is done with it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import time

from server.api_key import LedgerError
from server.database import FAILED, Database
from server.erasure_records import ErasureRecords
from server.keyring import Keyring

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
    # A key may have several secrets while it is being rotated.
    """
    CREATE TABLE secrets (
        sha256 BLOB PRIMARY KEY,
        key_id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        ends_at INTEGER
    ) STRICT;
    CREATE INDEX secrets_of_key ON secrets (key_id);
    INSERT INTO secrets (sha256, key_id, created_at) SELECT secret_sha256, id, created_at FROM keys ORDER BY rowid;
    ALTER TABLE keys RENAME TO keys_before;
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL,
        groups TEXT NOT NULL,
        roles TEXT NOT NULL,
        grounded_only INTEGER NOT NULL,
        note TEXT NOT NULL DEFAULT '',
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        revoked_at INTEGER,
        last_used_at INTEGER,
        requests_per_minute INTEGER,
        tokens_per_minute INTEGER,
        concurrent_requests INTEGER,
        max_tokens INTEGER,
        allowed_models TEXT,
        allowed_stores TEXT
    ) STRICT;
    INSERT INTO keys (
        id, principal, groups, roles, grounded_only, created_at, expires_at, revoked_at, last_used_at
    ) SELECT id, principal, groups, roles, grounded_only, created_at, expires_at, revoked_at, last_used_at
    FROM keys_before ORDER BY rowid;
    DROP TABLE keys_before;
    """,
    # Who could read what was erased, to tell them and nobody else that it was.
    """
    ALTER TABLE erasures ADD COLUMN salt TEXT NOT NULL DEFAULT '';
    ALTER TABLE erasures ADD COLUMN readers TEXT NOT NULL DEFAULT '[]';
    """,
    # Out of which stores, for a backup that holds the file in them.
    """
    ALTER TABLE erasures ADD COLUMN store_ids TEXT NOT NULL DEFAULT '[]';
    UPDATE erasures SET store_ids = json_extract(certificate, '$.vector_store_ids') WHERE certificate IS NOT NULL;
    """,
    # Who could read each of the stores, to name it to them alone; and what is signed of the stores, apart.
    """
    ALTER TABLE erasures ADD COLUMN store_readers TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE erasures ADD COLUMN held TEXT;
    ALTER TABLE erasures ADD COLUMN held_signature TEXT;
    """,
)


class Ledger:
    """The keys and the erasures. May be used from any thread."""

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
        # Durable: a key that was revoked stays revoked through a power cut.
        self._file = Database(
            path,
            purpose="the ledger of keys",
            refusal=LedgerError,
            busy_timeout_ms=busy_timeout_ms,
            migrations=migrations,
        )
        self.keys = Keyring(self._file, clock)
        self.erasures = ErasureRecords(self._file)

    def close(self) -> None:
        """Close the database; nothing may be asked afterwards."""
        self._file.close()

    def trouble(self) -> str | None:
        """Why nobody's key can be looked up in it; None: it can be. Blocks, as a look-up does."""
        try:
            self.keys.find("")
        except FAILED as error:
            return f"the ledger of keys cannot be used: {error}"
        return None

    def stretches(self) -> Iterator[bytes]:
        """All that the ledger holds, as it lies in its file."""
        return self._file.stretches()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced."""
        self._file.copy_to(path)
