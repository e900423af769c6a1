"""server.audit.log: records on a disk, salts beside them, several writers, and what is left after a kill."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.audit.beside import Erased
from server.audit.chain import AuditError, AuditUnavailable, Broken, verify
from server.audit.log import AuditLog
from server.audit.seal import content_key, salted
from server.database import looking
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

    assert log.erase("req_1", {"caller": "somebody"}) == (2, 0)
    assert log.erase("req_unknown", {"caller": "somebody"}) == (0, 0)

    assert [log.salt(number) is None for number in (1, 2, 3)] == [True, False, True]
    assert log.content(1) is None
    assert log.verify([SIGNER.public_key]).number == 4
    assert log.erase("req_1", {"caller": "somebody"}) == (3, 0), "and the record of the erasure"
    assert log.verify([SIGNER.public_key]).number == 5


def test_an_erasure_of_one_record_excuses_no_other_loss(tmp_path: Path) -> None:
    log = opened(tmp_path, bytes(32))
    for _ in range(3):
        log.append({"request": "req_1"}, {"question": QUESTION})
    assert log.erase("req_1", {"caller": "somebody"}, numbers=[2]) == (1, 2)
    assert json.loads(log.of_request("req_1")[-1].record)["erased"] == [2]
    assert log.verify([SIGNER.public_key]).number == 4

    db = apsw.Connection(str(tmp_path / "audit.db"))
    db.execute("UPDATE private SET salt = x'', content = NULL WHERE number = 1")
    db.close()

    with pytest.raises(Broken, match="Record 1 has lost its salt, and no later record tells of an erasure"):
        log.verify([SIGNER.public_key])


def test_an_erasure_says_what_else_of_the_request_there_is_at_the_same_moment(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append({"request": "req_1"}, {"question": QUESTION})
    looked_at = [entry.number for entry in log.of_request("req_1")]
    log.append({"request": "req_1", "caller": "user:ben"}, {"question": QUESTION})
    for request in ("req_1", "req_2"):
        log.begin({"kind": "answer", "request": request}, {"question": QUESTION})

    erased = log.erase("req_1", {"caller": "somebody"}, numbers=looked_at)

    assert erased == Erased(records=1, left=2), "a record that came since, and one that is to come"
    assert [log.salt(number) is None for number in (1, 2)] == [True, False]


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


@pytest.mark.parametrize(
    ("statement", "number", "reason"),
    [
        ("DELETE FROM private WHERE number = 2", 2, "has lost what lay beside it"),
        ("UPDATE private SET request = 'req_9' WHERE number = 3", 3, "'req_9', which is not its own"),
        ("UPDATE private SET salt = randomblob(32) WHERE number = 4", 4, "has other salt"),
        ("UPDATE private SET salt = x'' WHERE number = 1", 1, "texts all the same"),
        ("UPDATE private SET salt = x'', content = NULL WHERE number = 1", 1, "no later record tells of an erasure"),
        ("UPDATE private SET content = NULL WHERE number = 5", 5, "other encrypted texts"),
        ("UPDATE private SET content = randomblob(length(content)) WHERE number = 2", 2, "other encrypted texts"),
        ("UPDATE private SET number = 9 WHERE number = 5", 5, "has lost what lay beside it"),
        ("INSERT INTO private VALUES (6, 'req_6', x'', NULL)", 6, "is missing"),
        ("DELETE FROM audit WHERE number = 5", 5, "is missing"),
    ],
)
def test_what_is_done_beside_the_chain_is_found(tmp_path: Path, statement: str, number: int, reason: str) -> None:
    log = opened(tmp_path, bytes(32))
    for which in range(1, 6):
        log.append({"request": f"req_{which}"}, {"question": QUESTION})
    assert log.verify([SIGNER.public_key]).number == 5
    apsw.Connection(str(tmp_path / "audit.db")).execute(statement)

    with pytest.raises(Broken, match=reason) as refusal:
        log.verify([SIGNER.public_key])
    assert refusal.value.number == number


def everything(path: Path) -> list[list[tuple[Any, ...]]]:
    with looking(path) as db:
        return [db.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in ("audit", "private", "begun")]


@settings(max_examples=60, deadline=None)
@example(place=0.6, bit=0)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_file_is_said_or_has_changed_nothing(place: float, bit: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.db"
        log = opened(path.parent)
        for which in range(1, 30):
            log.append({"request": f"req_{which}"}, {"question": QUESTION})
        log.close()
        before, whole = everything(path), bytearray(path.read_bytes())
        whole[int(place * len(whole))] ^= 1 << bit
        path.write_bytes(whole)

        try:
            log = opened(path.parent)
            log.verify([SIGNER.public_key])
            log.close()
        except (AuditError, Broken):
            return
        assert everything(path) == before


def test_an_answer_whose_server_is_gone_is_on_record_once_and_no_other_server_s(tmp_path: Path) -> None:
    gone, alive = opened(tmp_path), opened(tmp_path)
    gone.begin({"request": "req_1", "outcome": "cut off"}, {"question": QUESTION})
    ended = alive.begin({"request": "req_2", "outcome": "cut off"}, {"question": QUESTION})
    gone.close()

    later = opened(tmp_path)
    assert (later.settle([SIGNER.public_key]), later.under_way()) == (0, 2), "somebody who makes notes lives"
    alive.append({"request": "req_2", "outcome": "answered"}, {"question": QUESTION}, note=ended)
    alive.close()
    assert (later.settle([SIGNER.public_key]), later.settle([SIGNER.public_key]), later.under_way()) == (1, 0, 0)

    found = [json.loads(entry.record) for entry in later.entries()]
    assert [(record["request"], record["outcome"]) for record in found] == [("req_2", "answered"), ("req_1", "cut off")]
    salt = later.salt(2)
    assert salt is not None
    assert found[1]["hashes"] == {"question": salted(salt, QUESTION)}
    assert [entry.number for entry in later.of_request("req_1")] == [2]
    assert later.verify([SIGNER.public_key]).number == 2


_WRITER = """
import sys
from pathlib import Path
from server.audit.log import AuditLog
from server.database import looking
from server.signing import Signer

folder = Path(sys.argv[1])
log = AuditLog(folder / "audit.db", Signer.of(folder), durability=sys.argv[2])
for number in range(10_000):
    print(log.append({"request": str(number)}, {"question": "q"}).number, flush=True)
"""


@pytest.mark.parametrize("durability", ["durable", "async"])
@pytest.mark.parametrize("acknowledged", [1, 4, 9])
def test_a_kill_at_any_moment_leaves_every_acknowledged_record_in_a_chain_that_holds(
    tmp_path: Path, acknowledged: int, durability: str
) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path), durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
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
    assert (log.trouble(), log.trouble()) == (None, None)
    (entry,) = log.entries()
    assert json.loads(entry.record)["outcome"] == "written again"
    assert log.append({}, {}).number == 2


def test_trouble_is_over_when_the_disk_has_taken_a_record_and_not_before(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append({}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as much as a full disk: no page can be written
    try:
        with pytest.raises(AuditUnavailable):
            log.append({}, {})
        said = [log.trouble() for _ in range(2)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert said == ["the audit log cannot be written: disk I/O error"] * 2
    assert log.trouble() is None
    assert log.verify([SIGNER.public_key]).number == 2


def test_once_a_record_has_waited_in_vain_the_next_ones_do_not_wait(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db", SIGNER, busy_timeout_ms=600_000)
    other = apsw.Connection(str(tmp_path / "audit.db"))
    other.execute("BEGIN IMMEDIATE")
    log._has_failed = True  # as if one had waited ten minutes

    with pytest.raises(AuditUnavailable):
        log.append({}, {})

    other.execute("ROLLBACK")
    assert log.append({}, {}).number == 1


def owing(path: Path) -> AuditLog:
    """A log that has a note of something done, whose record could not be written."""
    log = AuditLog(path / "audit.db", SIGNER, busy_timeout_ms=10)
    note = log.begin({"request": "req_1", "outcome": "cut off"}, {})
    other = apsw.Connection(str(path / "audit.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(AuditUnavailable):
        log.append({"request": "req_1", "outcome": "done"}, {}, note=note)
    other.close()  # which ends its transaction
    return log


def test_a_record_that_is_owed_is_written_with_the_next_one_once(tmp_path: Path) -> None:
    log = owing(tmp_path)

    log.append({"request": "req_2", "outcome": "done"}, {})
    log.append({"request": "req_3", "outcome": "done"}, {})

    found = [json.loads(entry.record) for entry in log.entries()]
    assert [(one["request"], one["outcome"]) for one in found] == [(f"req_{n}", "done") for n in (1, 2, 3)]
    assert log.under_way() == 0


def test_a_record_that_is_owed_is_written_when_the_log_is_closed(tmp_path: Path) -> None:
    log = owing(tmp_path)
    log.close()

    later = opened(tmp_path)
    assert later.settle([SIGNER.public_key]) == 0
    assert [json.loads(entry.record)["outcome"] for entry in later.entries()] == ["done"]


def test_a_log_that_was_replaced_or_removed_under_a_server_is_not_written(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append({}, {})
    (tmp_path / "audit.db").rename(tmp_path / "elsewhere.db")

    with pytest.raises(AuditUnavailable, match="replaced or removed under this process"):
        log.append({}, {})
    assert "replaced or removed" in (log.trouble() or "")
    opened(tmp_path)
    assert "replaced or removed" in (log.trouble() or ""), "another one in its place is not it"


def test_after_an_erasure_no_file_has_the_salt_though_a_server_has_the_log_open(tmp_path: Path) -> None:
    server, command = opened(tmp_path), opened(tmp_path)
    for which in range(4):
        server.append({"request": f"req_{which}"}, {"question": QUESTION})
    salt = server.salt(2)
    assert salt is not None

    assert command.erase("req_1", {"caller": "somebody"}) == (1, 0)

    assert all(salt not in path.read_bytes() for path in tmp_path.iterdir())
    server.append({"request": "req_5"}, {})
    assert all(salt not in path.read_bytes() for path in tmp_path.iterdir())


def test_what_a_damaged_write_ahead_log_would_lose_is_in_the_file_already(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path), "durable"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(40):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
    wal = tmp_path / "audit.db-wal"
    damaged = bytearray(wal.read_bytes())
    damaged[40] ^= 1
    wal.write_bytes(damaged)

    signer = Signer.of(tmp_path)
    assert AuditLog(tmp_path / "audit.db", signer).verify([signer.public_key]).number >= last


_PAGE = 4096


def pages_in_log(path: Path) -> int:
    """Pages that the write-ahead log holds: SQLite syncs for each time that it carries them on, and begins anew."""
    return (path.with_name(f"{path.name}-wal").stat().st_size - 32) // (_PAGE + 24)


def test_a_durable_record_is_carried_on_at_once_and_others_are_left_in_the_log_for_a_while(tmp_path: Path) -> None:
    held = {}
    for durability in ("durable", "async"):
        log = AuditLog(tmp_path / durability / "audit.db", SIGNER, durability=durability)
        log.append({}, {})
        before = (tmp_path / durability / "audit.db").read_bytes()
        for _ in range(50):
            log.append({}, {"question": QUESTION})
        is_untouched = (tmp_path / durability / "audit.db").read_bytes() == before
        held[durability] = is_untouched, pages_in_log(tmp_path / durability / "audit.db") >= 50
        log.close()

    assert held == {"durable": (False, False), "async": (True, True)}


def test_a_newer_log_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    apsw.Connection(str(tmp_path / "audit.db")).pragma("user_version", 99)

    with pytest.raises(AuditError, match="99"):
        opened(tmp_path)
