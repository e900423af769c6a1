"""server.database: a transaction waits for other writers without holding up the rest of the process."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retrieval.locks import migrating
from server.audit.log import AuditLog
from server.database import FAILED, Database
from server.ledger import Ledger
from server.signing import Signer
from tests.at_once import at_once
from tests.retrieval.store.test_database import LONG
from tests.retrieval.test_disk import full
from tests.temporary_files import folders_used

SIGNER = Signer(Ed25519PrivateKey.generate())
TABLE = "CREATE TABLE seen (number INTEGER PRIMARY KEY) STRICT;"


class Refused(Exception):
    pass


def opened(path: Path, *more: str, busy_timeout_ms: int = 5_000) -> Database:
    return Database(
        path, purpose="a test's", refusal=Refused, busy_timeout_ms=busy_timeout_ms, migrations=(TABLE, *more)
    )


def numbers(database: Database) -> list[int]:
    with database.reading() as db:
        return [number for (number,) in db.execute("SELECT number FROM seen ORDER BY number")]


@pytest.mark.parametrize(
    ("file", "synchronous"),
    [
        (lambda path: Ledger(path)._file, "full"),
        (lambda path: AuditLog(path, SIGNER, durability="durable")._file, "full"),
        (lambda path: AuditLog(path, SIGNER, durability="async")._file, "normal"),
    ],
    ids=["ledger", "durable audit log", "async audit log"],
)
def test_what_a_power_cut_may_take_of_each_database(
    tmp_path: Path, file: Callable[[Path], Database], synchronous: str
) -> None:
    """SQLite syncs its log at each commit in full mode alone; who may lose nothing needs that."""
    with file(tmp_path / "a.db").reading() as db:
        assert db.pragma("journal_mode") == "wal"
        assert db.pragma("synchronous") == {"normal": 1, "full": 2}[synchronous]
        assert db.pragma("secure_delete") == 1


def test_who_waits_for_another_writer_leaves_the_interpreter_to_other_threads(tmp_path: Path) -> None:
    database = opened(tmp_path / "a.db")
    other = apsw.Connection(str(tmp_path / "a.db"))
    other.execute("BEGIN IMMEDIATE")
    begun, refused = threading.Event(), list[Exception]()

    def write() -> None:
        begun.set()
        try:
            with database.writing() as db:
                db.execute("INSERT INTO seen VALUES (1)")
        except FAILED as error:
            refused.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    begun.wait()
    time.sleep(0.2)  # it waits now; a thread that held the interpreter would keep this one from ever making room
    other.execute("ROLLBACK")
    writing.join()

    assert refused == []
    assert numbers(database) == [1]


def test_an_exception_undoes_everything_and_the_next_transaction_begins_anew(tmp_path: Path) -> None:
    database = opened(tmp_path / "a.db")

    def fail() -> None:
        with database.writing() as db:
            db.execute("INSERT INTO seen VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.writing() as db:
        db.execute("INSERT INTO seen VALUES (2)")

    assert numbers(database) == [2]


def test_a_statement_that_ends_the_transaction_itself_is_told_as_it_was(tmp_path: Path) -> None:
    database = opened(tmp_path / "a.db")
    with database.writing() as db:
        db.execute("INSERT INTO seen VALUES (1)")

    with pytest.raises(apsw.ConstraintError), database.writing() as db:
        db.execute("INSERT OR ROLLBACK INTO seen VALUES (1)")

    assert numbers(database) == [1]


def test_what_sqlite_sorts_on_disk_lies_beside_the_file(tmp_path: Path) -> None:
    database = opened(tmp_path / "a.db")
    with database.writing() as db:
        db.executemany("INSERT INTO seen VALUES (?)", ((number,) for number in range(9000)))

    def sort() -> None:
        with database.reading() as db:
            db.execute(f"SELECT '{'x' * 1000}' || number FROM seen ORDER BY 1 DESC").fetchall()

    assert folders_used(sort) == {tmp_path}


NEWER = "CREATE TABLE later (text TEXT) STRICT;"


def test_a_copy_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old = opened(path)
    with old.writing() as db:
        db.executemany("INSERT INTO seen VALUES (?)", ((number,) for number in range(90_000)))
    old.close()

    with full(500_000), pytest.raises(Refused):
        opened(path, NEWER)

    assert {found.name for found in tmp_path.iterdir()} == {"a.db", "a.db.lock"}
    assert len(numbers(opened(path, NEWER))) == 90_000


def test_a_copy_that_a_killed_process_began_goes_when_nobody_can_be_making_it(tmp_path: Path) -> None:
    ends = ("", ".unfinished", ".0a1b2c3d-journal", ".gz", ".kept")
    whole, begun, journal, *of_the_operator = (tmp_path / f"a.db.v1.backup{end}" for end in ends)
    database = opened(tmp_path / "a.db")
    for path in (whole, begun, journal, *of_the_operator):
        path.touch()

    with database.writing():
        opening = threading.Thread(target=opened, args=(tmp_path / "a.db",))
        opening.start()
        opening.join(0.3)
        assert begun.exists(), "a process that migrates holds the lock"
    opening.join()

    assert [path.exists() for path in (whole, begun, journal)] == [True, False, False]
    assert all(path.exists() for path in of_the_operator)


def test_processes_that_open_an_older_database_at_once_migrate_it_once(tmp_path: Path) -> None:
    old = opened(tmp_path / "a.db")
    with old.writing() as db:
        db.execute("INSERT INTO seen VALUES (1)")
    old.close()

    found = at_once(4, lambda: numbers(opened(tmp_path / "a.db", NEWER)))

    assert found == [[1]] * 4
    assert [path.name for path in tmp_path.glob("*.backup*")] == ["a.db.v1.backup"]
    assert numbers(opened(tmp_path / "a.db.v1.backup")) == [1]


def test_an_older_program_that_waited_for_a_newer_one_leaves_what_that_has_made(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    opened(path).close()
    (tmp_path / "a.db.v1.backup.unfinished").touch()

    with ThreadPoolExecutor(1) as threads:
        with migrating(path):
            older = threads.submit(opened, path)
            with pytest.raises(TimeoutError):
                older.result(timeout=0.3)
            newer = apsw.Connection(str(path))
            newer.execute(f"{NEWER} PRAGMA user_version = 2")
            newer.close()
        with pytest.raises(Refused, match="of version 2; this program knows up to 1"):
            older.result()

    assert numbers(opened(path, NEWER)) == []


def test_however_long_a_migration_takes_who_opens_the_database_meanwhile_waits(tmp_path: Path) -> None:
    opened(tmp_path / "a.db").close()
    newer = f"CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO extra {LONG}"

    found = at_once(3, lambda: numbers(opened(tmp_path / "a.db", newer, busy_timeout_ms=20)))

    assert found == [[]] * 3
