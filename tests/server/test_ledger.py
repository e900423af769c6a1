"""The ledger of API keys, on real SQLite files."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from server.ledger import MIGRATIONS, Ledger, LedgerError


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


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


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_key_opens_with_its_secret_and_nothing_else(ledger: Ledger) -> None:
    key, secret = ledger.create(principal="user:anna", roles=["ask"], groups=["group:claims", "group:hr"])

    found = ledger.find(secret)

    assert found is not None
    assert (found.key_id, found.principal) == (key.key_id, "user:anna")
    assert found.roles == {"ask"}
    assert found.groups == {"group:claims", "group:hr"}
    assert ledger.find(secret[:-1]) is None
    assert ledger.find(secret + "x") is None
    assert ledger.find("") is None


def test_only_a_hash_of_the_secret_is_on_disk(ledger: Ledger, path: Path) -> None:
    _, secret = ledger.create(principal="user:anna", roles=["ask"])

    stored = files_of(path)

    assert b"user:anna" in stored
    assert secret.encode() not in stored
    assert secret.removeprefix("hrm_").encode() not in stored


def test_the_ledger_is_readable_by_its_owner_alone(ledger: Ledger, path: Path) -> None:
    ledger.create(principal="user:anna", roles=["ask"])

    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


def test_secrets_are_long_and_never_the_same(ledger: Ledger) -> None:
    secrets = {ledger.create(principal="user:anna", roles=["ask"])[1] for _ in range(20)}

    assert len(secrets) == 20
    assert all(secret.startswith("hrm_") and len(secret) == 47 for secret in secrets)


def test_a_key_ends_at_its_expiry(ledger: Ledger, clock: Clock) -> None:
    _, secret = ledger.create(principal="user:anna", roles=["ask"], expires_in_s=60)

    clock.now += 59
    assert ledger.find(secret) is not None
    clock.now += 1
    assert ledger.find(secret) is None


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(ledger: Ledger, clock: Clock) -> None:
    key, secret = ledger.create(principal="user:anna", roles=["ask"])

    ledger.revoke(key.key_id)

    assert ledger.find(secret) is None
    assert [(entry.key_id, entry.revoked_at) for entry in ledger.all_keys()] == [(key.key_id, int(clock.now))]


def test_revoking_twice_keeps_the_first_time(ledger: Ledger, clock: Clock) -> None:
    key, _ = ledger.create(principal="user:anna", roles=["ask"])
    first = ledger.revoke(key.key_id).revoked_at

    clock.now += 100

    assert ledger.revoke(key.key_id).revoked_at == first


def test_revoking_an_unknown_key_says_where_to_look(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="There is no key key_nope; `hrm-serve keys list`"):
        ledger.revoke("key_nope")


def test_a_key_revoked_by_another_process_is_closed_at_once(ledger: Ledger, path: Path) -> None:
    key, secret = ledger.create(principal="user:anna", roles=["ask"])
    assert ledger.find(secret) is not None

    code = f"import pathlib, server.ledger as l; l.Ledger(pathlib.Path({str(path)!r})).revoke({key.key_id!r})"
    subprocess.run([sys.executable, "-c", code], check=True)

    assert ledger.find(secret) is None


def test_revoking_the_last_key_does_not_make_the_ledger_empty(ledger: Ledger) -> None:
    assert ledger.is_empty()
    key, _ = ledger.create(principal="user:anna", roles=["ask"])

    ledger.revoke(key.key_id)

    assert not ledger.is_empty()


def test_the_use_of_a_key_is_noted_once_a_minute(ledger: Ledger, clock: Clock) -> None:
    _, secret = ledger.create(principal="user:anna", roles=["ask"])
    seen = []

    for _ in range(3):
        ledger.find(secret)
        seen.append(ledger.all_keys()[0].last_used_at)
        clock.now += 40

    assert seen == [1_000_000, 1_000_000, 1_000_080]


def test_a_writer_elsewhere_does_not_keep_a_key_from_opening(path: Path, clock: Clock) -> None:
    ledger = Ledger(path, clock=clock, busy_timeout_ms=10)
    _, secret = ledger.create(principal="user:anna", roles=["ask"])
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN IMMEDIATE")

    assert ledger.find(secret) is not None

    writer.execute("ROLLBACK")
    writer.close()
    ledger.close()


def test_the_first_key_is_taken_from_a_file_only_while_there_is_none(ledger: Ledger) -> None:
    first = ledger.adopt_first("s" * 32)

    assert first is not None
    assert first.roles == {"admin"}
    assert ledger.find("s" * 32) is not None
    assert ledger.adopt_first("t" * 32) is None
    assert ledger.find("t" * 32) is None


def test_a_revoked_first_key_does_not_come_back_with_the_next_start(ledger: Ledger) -> None:
    first = ledger.adopt_first("s" * 32)
    assert first is not None
    ledger.revoke(first.key_id)

    assert ledger.adopt_first("s" * 32) is None
    assert ledger.find("s" * 32) is None


def test_a_short_first_secret_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="has 8 characters; it needs 32"):
        ledger.adopt_first("password")
    assert ledger.is_empty()


@pytest.mark.parametrize("principal", ["anna", "user:", "user:anna smith", "group:claims", ""])
def test_a_principal_is_a_name_that_access_lists_can_know(ledger: Ledger, principal: str) -> None:
    with pytest.raises(LedgerError, match="is not a name like user:anna"):
        ledger.create(principal=principal, roles=["ask"])
    assert ledger.is_empty()


def test_a_key_without_a_role_or_with_a_past_expiry_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="one or more of the roles admin, ingest, ask, metrics"):
        ledger.create(principal="user:anna", roles=[])
    with pytest.raises(LedgerError, match="must lie ahead"):
        ledger.create(principal="user:anna", roles=["ask"], expires_in_s=0)


def test_keys_outlive_the_process(ledger: Ledger, path: Path, clock: Clock) -> None:
    _, secret = ledger.create(principal="user:anna", roles=["ask", "ingest"], grounded_only=True)
    ledger.close()

    reopened = Ledger(path, clock=clock)
    found = reopened.find(secret)
    reopened.close()

    assert found is not None
    assert found.grounded_only
    assert found.roles == {"ask", "ingest"}


def test_many_threads_may_ask_and_write_at_once(ledger: Ledger) -> None:
    secrets = [ledger.create(principal="user:anna", roles=["ask"])[1] for _ in range(4)]
    found: list[bool] = []

    def work(secret: str) -> None:
        for _ in range(25):
            ledger.create(principal="user:ben", roles=["ask"])
            found.append(ledger.find(secret) is not None)

    threads = [threading.Thread(target=work, args=(secret,)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 100
    assert len(ledger.all_keys()) == 104


def test_a_ledger_of_a_newer_version_is_left_alone(ledger: Ledger, path: Path) -> None:
    ledger.close()
    newer = apsw.Connection(str(path))
    newer.pragma("user_version", 99)
    newer.close()

    with pytest.raises(LedgerError, match="is of version 99"):
        Ledger(path)


def test_an_older_ledger_is_backed_up_and_brought_forward(ledger: Ledger, path: Path) -> None:
    _, secret = ledger.create(principal="user:anna", roles=["ask"])
    ledger.close()

    migrated = Ledger(path, migrations=(*MIGRATIONS, "CREATE TABLE audit (at INTEGER) STRICT"))
    found = migrated.find(secret)
    migrated.close()

    assert found is not None
    backup = apsw.Connection(
        str(path.with_name(f"ledger.db.v{len(MIGRATIONS)}.backup")), flags=apsw.SQLITE_OPEN_READONLY
    )
    assert backup.pragma("user_version") == len(MIGRATIONS)
    assert backup.execute("SELECT principal FROM keys").get == "user:anna"
    assert backup.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'audit'").get == 0
    backup.close()


def test_a_failed_migration_changes_nothing(ledger: Ledger, path: Path) -> None:
    ledger.create(principal="user:anna", roles=["ask"])
    ledger.close()
    broken = (*MIGRATIONS, "CREATE TABLE audit (at INTEGER) STRICT; CREATE TABLE keys (id TEXT)")

    with pytest.raises(LedgerError, match="already exists"):
        Ledger(path, migrations=broken)

    reopened = Ledger(path)
    names = [entry.principal for entry in reopened.all_keys()]
    reopened.close()

    assert names == ["user:anna"]


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(os.urandom(4096))

    with pytest.raises(LedgerError, match=r"ledger\.db cannot be used as the ledger of keys: .*not a database"):
        Ledger(path)
