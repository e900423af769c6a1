"""The ledger as a file: its versions, and what keeps it from being opened."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from server.api_key import LedgerError
from server.identity import Limits
from server.ledger import MIGRATIONS, Ledger
from tests.server.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger(path, clock=clock)
    yield ledger
    ledger.close()


def test_a_ledger_of_a_newer_version_is_left_alone(ledger: Ledger, path: Path) -> None:
    ledger.close()
    newer = apsw.Connection(str(path))
    newer.pragma("user_version", 99)
    newer.close()

    with pytest.raises(LedgerError, match="is of version 99"):
        Ledger(path)


def test_an_older_ledger_is_backed_up_and_brought_forward(ledger: Ledger, path: Path) -> None:
    _, secret = ledger.keys.create(principal="user:anna", roles=["ask"])
    ledger.close()

    migrated = Ledger(path, migrations=(*MIGRATIONS, "CREATE TABLE audit (at INTEGER) STRICT"))
    found = migrated.keys.find(secret)
    migrated.close()

    assert found is not None
    backup = apsw.Connection(
        str(path.with_name(f"ledger.db.v{len(MIGRATIONS)}.backup")), flags=apsw.SQLITE_OPEN_READONLY
    )
    assert backup.pragma("user_version") == len(MIGRATIONS)
    assert backup.execute("SELECT principal FROM keys").get == "user:anna"
    assert backup.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'audit'").get == 0
    backup.close()


def test_the_keys_of_a_ledger_from_before_rotation_open_with_their_secrets(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    before = apsw.Connection(str(path))
    for schema in MIGRATIONS[:2]:
        before.execute(schema)
    before.pragma("user_version", 2)
    columns = "id, secret_sha256, principal, groups, roles, grounded_only, created_at, expires_at, revoked_at"
    before.executemany(
        f"INSERT INTO keys ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (f"key_{name}", hashlib.sha256(name.encode()).digest(), f"user:{name}", "group:hr", "ask", 1, 5, None, end)
            for name, end in (("zoe", None), ("anna", None), ("ben", 7))
        ],
    )
    before.close()

    ledger = Ledger(path, clock=clock)

    assert [(key.key_id, key.revoked_at) for key in ledger.keys.all()] == [
        ("key_zoe", None),
        ("key_anna", None),
        ("key_ben", 7),
    ]
    assert (found := ledger.keys.find("anna")) is not None
    assert found.principal == "user:anna"
    assert found.groups == {"group:hr"}
    assert found.roles == {"ask"}
    assert (found.grounded_only, found.created_at) == (True, 5)
    assert (found.limits, found.allowed_models, found.allowed_stores) == (Limits(), None, None)
    assert ledger.keys.find("ben") is None
    _, secret = ledger.keys.rotate("key_anna", overlap_s=10)
    assert ledger.keys.find(secret) is not None
    ledger.close()


def test_a_failed_migration_changes_nothing(ledger: Ledger, path: Path) -> None:
    ledger.keys.create(principal="user:anna", roles=["ask"])
    ledger.close()
    broken = (*MIGRATIONS, "CREATE TABLE audit (at INTEGER) STRICT; CREATE TABLE keys (id TEXT)")

    with pytest.raises(LedgerError, match="already exists"):
        Ledger(path, migrations=broken)

    reopened = Ledger(path)
    names = [entry.principal for entry in reopened.keys.all()]
    reopened.close()

    assert names == ["user:anna"]


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(os.urandom(4096))

    with pytest.raises(LedgerError, match=r"ledger\.db cannot be used as the ledger of keys: .*not a database"):
        Ledger(path)


def test_all_that_it_holds_is_told_in_pieces_between_which_others_are_let_in(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.database.PIECE_ROWS", 2)
    for number in range(5):
        ledger.keys.create(principal=f"user:{number}", roles=["ask"])

    told = ledger.stretches()
    found = [stretch for stretch in told for _ in [ledger.keys.find("sk-hrm-unknown")]]

    assert all(any(b"user:%d" % number in stretch for stretch in found) for number in range(5))
