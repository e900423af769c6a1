"""The API keys, in a ledger of real SQLite files."""

import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic

import apsw
import pytest

from server.api_key import LedgerError
from server.identity import Limits
from server.keyring import Keyring
from server.ledger import Ledger
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


@pytest.fixture
def keys(ledger: Ledger) -> Keyring:
    return ledger.keys


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Every write of this process to a file fails in the meantime."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_key_opens_with_its_secret_and_nothing_else(keys: Keyring) -> None:
    key, secret = keys.create(principal="user:anna", roles=["ask"], groups=["group:claims", "group:hr"])

    found = keys.find(secret)

    assert found is not None
    assert (found.key_id, found.principal) == (key.key_id, "user:anna")
    assert found.roles == {"ask"}
    assert found.groups == {"group:claims", "group:hr"}
    assert keys.find(secret[:-1]) is None
    assert keys.find(secret + "x") is None
    assert keys.find("") is None


def test_only_a_hash_of_the_secret_is_on_disk(keys: Keyring, path: Path) -> None:
    _, secret = keys.create(principal="user:anna", roles=["ask"])

    stored = files_of(path)

    assert b"user:anna" in stored
    assert secret.encode() not in stored
    assert secret.removeprefix("hrm_").encode() not in stored


def test_the_ledger_is_readable_by_its_owner_alone(keys: Keyring, path: Path) -> None:
    keys.create(principal="user:anna", roles=["ask"])

    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


def test_secrets_are_long_and_never_the_same(keys: Keyring) -> None:
    secrets = {keys.create(principal="user:anna", roles=["ask"])[1] for _ in range(20)}

    assert len(secrets) == 20
    assert all(secret.startswith("hrm_") and len(secret) == 47 for secret in secrets)


def test_a_key_ends_at_its_expiry(keys: Keyring, clock: Clock) -> None:
    _, secret = keys.create(principal="user:anna", roles=["ask"], expires_in_s=60)

    clock.now += 59
    assert keys.find(secret) is not None
    clock.now += 1
    assert keys.find(secret) is None


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(keys: Keyring, clock: Clock) -> None:
    key, secret = keys.create(principal="user:anna", roles=["ask"])

    keys.revoke(key.key_id)

    assert keys.find(secret) is None
    assert [(entry.key_id, entry.revoked_at) for entry in keys.all()] == [(key.key_id, int(clock.now))]


def test_revoking_twice_keeps_the_first_time(keys: Keyring, clock: Clock) -> None:
    key, _ = keys.create(principal="user:anna", roles=["ask"])
    first = keys.revoke(key.key_id).revoked_at

    clock.now += 100

    assert keys.revoke(key.key_id).revoked_at == first


def test_revoking_an_unknown_key_says_where_to_look(keys: Keyring) -> None:
    with pytest.raises(LedgerError, match="There is no key key_nope; `hrm-serve keys list`"):
        keys.revoke("key_nope")


def test_a_key_revoked_by_another_process_is_closed_at_once(keys: Keyring, path: Path) -> None:
    key, secret = keys.create(principal="user:anna", roles=["ask"])
    assert keys.find(secret) is not None

    code = f"import pathlib, server.ledger as l; l.Ledger(pathlib.Path({str(path)!r})).keys.revoke({key.key_id!r})"
    subprocess.run([sys.executable, "-c", code], check=True)

    assert keys.find(secret) is None


def test_revoking_the_last_key_does_not_make_the_ledger_empty(keys: Keyring) -> None:
    assert keys.is_empty()
    key, _ = keys.create(principal="user:anna", roles=["ask"])

    keys.revoke(key.key_id)

    assert not keys.is_empty()


def test_the_use_of_a_key_is_noted_once_a_minute(keys: Keyring, clock: Clock) -> None:
    _, secret = keys.create(principal="user:anna", roles=["ask"])
    seen = []

    for _ in range(3):
        keys.find(secret)
        seen.append(keys.all()[0].last_used_at)
        clock.now += 40

    assert seen == [1_000_000, 1_000_000, 1_000_080]


def test_a_writer_elsewhere_holds_up_nobody_who_has_a_key(keys: Keyring, path: Path, clock: Clock) -> None:
    _, secret = keys.create(principal="user:anna", roles=["ask"])
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN IMMEDIATE")

    began = monotonic()
    opened = [keys.find(secret) is not None for _ in range(3)]
    took_s = monotonic() - began
    writer.execute("ROLLBACK")
    writer.close()

    assert all(opened)
    assert took_s < 2, "a ledger that is opened as the server opens it waits 5 s for another writer"
    keys.find(secret)
    assert keys.all()[0].last_used_at == clock.now


def test_a_disk_that_takes_no_writes_keeps_nobody_out(
    keys: Keyring, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    _, secret = keys.create(principal="user:anna", roles=["ask"])

    with no_file_may_grow():
        opened = [keys.find(secret) is not None for _ in range(3)]

    assert opened == [True] * 3
    assert keys.all()[0].last_used_at is None
    assert [record.getMessage() for record in caplog.records] == [
        "the use of keys cannot be written down: disk I/O error"
    ], "said once, not with every request"
    keys.find(secret)
    assert keys.all()[0].last_used_at == clock.now


def test_the_first_key_is_taken_from_a_file_only_while_there_is_none(keys: Keyring) -> None:
    first = keys.adopt_first("s" * 32)

    assert first is not None
    assert first.roles == {"admin"}
    assert keys.find("s" * 32) is not None
    assert keys.adopt_first("t" * 32) is None
    assert keys.find("t" * 32) is None


def test_a_revoked_first_key_does_not_come_back_with_the_next_start(keys: Keyring) -> None:
    first = keys.adopt_first("s" * 32)
    assert first is not None
    keys.revoke(first.key_id)

    assert keys.adopt_first("s" * 32) is None
    assert keys.find("s" * 32) is None


def test_a_short_first_secret_is_refused(keys: Keyring) -> None:
    with pytest.raises(LedgerError, match="has 8 characters; it needs 32"):
        keys.adopt_first("password")
    assert keys.is_empty()


@pytest.mark.parametrize("principal", ["anna", "user:", "user:anna smith", "group:claims", ""])
def test_a_principal_is_a_name_that_access_lists_can_know(keys: Keyring, principal: str) -> None:
    with pytest.raises(LedgerError, match="is not a name like user:anna"):
        keys.create(principal=principal, roles=["ask"])
    assert keys.is_empty()


def test_a_key_without_a_role_or_with_a_past_expiry_is_refused(keys: Keyring) -> None:
    with pytest.raises(LedgerError, match="one or more of the roles admin, ingest, ask, metrics, act-for"):
        keys.create(principal="user:anna", roles=[])
    with pytest.raises(LedgerError, match="must lie ahead"):
        keys.create(principal="user:anna", roles=["ask"], expires_in_s=0)


def test_keys_outlive_the_process(ledger: Ledger, path: Path, clock: Clock) -> None:
    made, secret = ledger.keys.create(
        principal="user:anna",
        roles=["ask", "ingest"],
        expires_in_s=600,
        grounded_only=True,
        note="the intranet's",
        limits=Limits(requests_per_minute=60, max_tokens=512),
        allowed_models=["hrm-text-mini"],
        allowed_stores=["handbook", "vs_1"],
    )
    ledger.close()

    reopened = Ledger(path, clock=clock)
    listed = reopened.keys.all()
    found = reopened.keys.find(secret)
    reopened.close()

    assert listed == [made]
    assert found == made
    assert made.grounded_only
    assert made.roles == {"ask", "ingest"}
    assert made.limits == Limits(60, None, None, 512)
    assert made.allowed_models == frozenset({"hrm-text-mini"})
    assert made.allowed_stores == frozenset({"handbook", "vs_1"})


def test_a_key_that_names_no_limit_has_none(keys: Keyring) -> None:
    made, _ = keys.create(principal="user:anna", roles=["ask"])

    assert made.limits == Limits(None, None, None, None)
    assert (made.allowed_models, made.allowed_stores) == (None, None)


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "concurrent_requests", "max_tokens"])
@pytest.mark.parametrize(("value", "said"), [(0, "at least 1"), (-1, "at least 1"), (2**63, f"at most {2**53 - 1}")])
def test_a_limit_that_lets_nothing_through_or_cannot_be_kept_is_refused(
    keys: Keyring, name: str, value: int, said: str
) -> None:
    with pytest.raises(LedgerError, match=f"{name} must be {said}; it is {value}."):
        keys.create(principal="user:anna", roles=["ask"], limits=Limits(**{name: value}))
    assert keys.is_empty()


def test_allowed_names_must_be_such_as_models_and_stores_have(keys: Keyring) -> None:
    with pytest.raises(LedgerError, match="'two words' cannot be the name of a model"):
        keys.create(principal="user:anna", roles=["ask"], allowed_models=["two words"])
    with pytest.raises(LedgerError, match="'Handbook' cannot be the name of a store"):
        keys.create(principal="user:anna", roles=["ask"], allowed_stores=["Handbook"])
    assert keys.is_empty()


def test_a_rotated_key_opens_with_both_secrets_until_the_overlap_ends(keys: Keyring, clock: Clock) -> None:
    key, old = keys.create(principal="user:anna", roles=["ask"], limits=Limits(max_tokens=9))

    rotated, new = keys.rotate(key.key_id, overlap_s=100)

    assert (rotated.key_id, rotated.limits, rotated.overlap_until) == (key.key_id, key.limits, 1_000_100)
    clock.now += 99
    assert [found and found.key_id for found in map(keys.find, (old, new))] == [key.key_id, key.key_id]
    clock.now += 1
    assert keys.find(old) is None
    assert (found := keys.find(new)) is not None
    assert found.overlap_until is None


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(keys: Keyring) -> None:
    key, old = keys.create(principal="user:anna", roles=["ask"])

    rotated, new = keys.rotate(key.key_id, overlap_s=0)

    assert rotated.overlap_until is None
    assert keys.find(old) is None
    assert keys.find(new) is not None


def test_a_second_rotation_does_not_lengthen_the_life_of_the_first_secret(keys: Keyring, clock: Clock) -> None:
    key, first = keys.create(principal="user:anna", roles=["ask"])
    _, second = keys.rotate(key.key_id, overlap_s=100)
    _, third = keys.rotate(key.key_id, overlap_s=1000)

    clock.now += 100

    assert keys.find(first) is None
    assert keys.find(second) is not None
    assert keys.find(third) is not None


def test_a_secret_that_has_ended_is_forgotten_with_the_next_rotation(
    ledger: Ledger, keys: Keyring, clock: Clock
) -> None:
    key, first = keys.create(principal="user:anna", roles=["ask"])
    secrets = [first]
    for _ in range(5):
        secrets.append(keys.rotate(key.key_id, overlap_s=10)[1])
        clock.now += 20

    held = b"".join(ledger.stretches())
    assert [sha256(secret.encode()).digest() in held for secret in secrets] == [False] * 4 + [True] * 2


def test_revoking_ends_every_secret_of_a_key_at_once(keys: Keyring) -> None:
    key, old = keys.create(principal="user:anna", roles=["ask"])
    _, new = keys.rotate(key.key_id, overlap_s=1000)

    keys.revoke(key.key_id)

    assert keys.find(old) is None
    assert keys.find(new) is None


def test_only_a_key_that_opens_something_is_rotated(keys: Keyring, clock: Clock) -> None:
    revoked, _ = keys.create(principal="user:anna", roles=["ask"])
    keys.revoke(revoked.key_id)
    expired, _ = keys.create(principal="user:anna", roles=["ask"], expires_in_s=1)
    clock.now += 1

    for key_id, words in (
        (revoked.key_id, "opens nothing any more"),
        (expired.key_id, "opens nothing any more"),
        ("key_nope", "There is no key key_nope"),
    ):
        with pytest.raises(LedgerError, match=words):
            keys.rotate(key_id, overlap_s=10)


def test_many_threads_may_ask_and_write_at_once(keys: Keyring) -> None:
    secrets = [keys.create(principal="user:anna", roles=["ask"])[1] for _ in range(4)]
    found: list[bool] = []

    def work(secret: str) -> None:
        for _ in range(25):
            keys.create(principal="user:ben", roles=["ask"])
            found.append(keys.find(secret) is not None)

    threads = [threading.Thread(target=work, args=(secret,)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 100
    assert len(keys.all()) == 104
