"""server.audit.log: records on a disk, salts beside them, several writers, and what is left after a kill."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit.chain import AuditUnavailable, Broken, Head, verify
from server.audit.log import AuditError, AuditLog, content_key, salted
from server.signing import Signer

SIGNER = Signer(Ed25519PrivateKey.generate())
QUESTION = "May Anna Velin claim for the broken heirloom?"


def opened(path: Path, key: bytes | None = None) -> AuditLog:
    return AuditLog(path / "audit.db", SIGNER, content_key=key, clock=lambda: 1_800_000_000.5)


def test_a_record_is_found_again_and_holds_no_text(tmp_path: Path) -> None:
    log = opened(tmp_path)
    entry = log.append({"kind": "answer", "request": "req_1"}, {"question": QUESTION})

    (found,) = log.of_request("req_1")
    record = json.loads(found.record)
    salt = log.salt(1)
    assert found == entry
    assert record["at"] == "2027-01-15T08:00:00.500Z"
    assert salt is not None
    assert record["hashes"] == {"question": salted(salt, QUESTION)}
    assert log.content(1) is None
    log.close()
    assert all(b"heirloom" not in path.read_bytes() for path in tmp_path.iterdir())


def test_the_same_text_has_another_hash_in_every_record(tmp_path: Path) -> None:
    log = opened(tmp_path)
    hashes = {json.loads(log.append({}, {"question": QUESTION}).record)["hashes"]["question"] for _ in range(3)}

    assert len(hashes) == 3


def test_texts_are_kept_encrypted_where_that_is_wanted_and_opened_by_their_key_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 32)
    log = opened(tmp_path / "data", content_key(secret))
    log.append({"request": "req_1"}, {"question": QUESTION})

    assert json.loads(log.content(1) or "") == {"question": QUESTION}
    log.close()
    assert all(b"heirloom" not in path.read_bytes() for path in (tmp_path / "data").iterdir())
    for other in (None, bytes(32)):
        with pytest.raises(AuditError, match="key"):
            opened(tmp_path / "data", other).content(1)


def test_an_erasure_takes_salt_and_texts_and_leaves_the_chain_whole(tmp_path: Path) -> None:
    log = opened(tmp_path, bytes(32))
    for request in ("req_1", "req_2", "req_1"):
        log.append({"request": request}, {"question": QUESTION})

    assert log.erase("req_1") == 2

    assert [log.salt(number) is None for number in (1, 2, 3)] == [True, False, True]
    assert log.content(1) is None
    assert verify(log.entries(), [SIGNER.public_key]).number == 3


def test_two_writers_make_one_chain(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    for number in range(6):
        (one, other)[number % 2].append({"number": number}, {})

    assert verify(one.entries(), [SIGNER.public_key]) == other.head()
    assert [json.loads(entry.record)["number"] for entry in other.entries()] == list(range(6))


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE audit SET record = replace(record, '3', '4') WHERE number = 3", 3),
        ("DELETE FROM audit WHERE number = 4", 4),
        ("UPDATE audit SET number = -1 WHERE number = 2", 1),
        ("UPDATE audit SET number = 99 WHERE number = 2", 2),
    ],
)
def test_what_is_done_to_the_database_is_found(tmp_path: Path, statement: str, number: int) -> None:
    log = opened(tmp_path)
    for which in range(1, 6):
        log.append({"which": which}, {})
    apsw.Connection(str(tmp_path / "audit.db")).execute(statement)

    with pytest.raises(Broken) as refusal:
        verify(log.entries(), [SIGNER.public_key])
    assert refusal.value.number == number


_WRITER = """
import sys
from pathlib import Path
from server.audit.log import AuditLog
from server.signing import Signer

folder = Path(sys.argv[1])
log = AuditLog(folder / "audit.db", Signer.of(folder))
for number in range(10_000):
    print(log.append({"request": str(number)}, {"question": "q"}).number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 4, 9])
def test_a_kill_at_any_moment_leaves_every_acknowledged_record_in_a_chain_that_holds(
    tmp_path: Path, acknowledged: int
) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(acknowledged):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)

    signer = Signer.of(tmp_path)
    log = AuditLog(tmp_path / "audit.db", signer)
    assert verify(log.entries(), [signer.public_key]).number >= last
    assert log.append({}, {}).number == log.head().number


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db", SIGNER, busy_timeout_ms=10)
    other = apsw.Connection(str(tmp_path / "audit.db"))
    other.execute("BEGIN IMMEDIATE")

    assert log.trouble() is None, "nobody has tried"
    with pytest.raises(AuditUnavailable):
        log.append({}, {})
    assert log.trouble() == "the audit log cannot be written: database is locked"

    other.execute("ROLLBACK")
    assert log.trouble() is None
    assert log.head() == Head()
    assert log.append({}, {}).number == 1


def test_a_newer_log_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    apsw.Connection(str(tmp_path / "audit.db")).pragma("user_version", 99)

    with pytest.raises(AuditError, match="99"):
        opened(tmp_path)
