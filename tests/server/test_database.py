"""server.database: a transaction waits for other writers without holding up the rest of the process.

What it has in common with the store's database is in tests/contract/test_database.py.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit.log import AuditLog
from server.database import FAILED, Database
from server.ledger import Ledger
from server.signing import Signer

SIGNER = Signer(Ed25519PrivateKey.generate())
TABLE = "CREATE TABLE seen (number INTEGER PRIMARY KEY) STRICT;"


class Refused(Exception):
    pass


def opened(path: Path) -> Database:
    return Database(path, purpose="a test's", refusal=Refused, busy_timeout_ms=5_000, migrations=(TABLE,))


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
