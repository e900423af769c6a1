"""What the store's database and the server's databases both keep, whichever tables they have."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

import apsw
import pytest

from retrieval.errors import SchemaTooNew, StoreFailed
from retrieval.locks import migrating
from retrieval.store import database as store_database
from retrieval.store.database import Database as StoreDatabase
from retrieval.store.schema import MIGRATIONS
from server.database import Database as ServerDatabase
from tests.at_once import at_once
from tests.full_disk import full
from tests.retrieval.power import watched
from tests.temporary_files import folders_used

MORE = "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO extra VALUES (1);"
# A query that takes far longer than any busy timeout in these tests.
LONG = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000)"
    " SELECT count(*) FROM numbers"
)


class Kind(Protocol):
    """A kind of database, with a table of words; opened by a program that knows `more` versions than there are."""

    VERSION: ClassVar[int]
    UNUSABLE: ClassVar[type[Exception]]
    TOO_NEW: ClassVar[type[Exception]]

    def __init__(self, path: Path, *more: str) -> None: ...
    def put(self, word: str) -> None: ...
    def words(self) -> list[str]: ...
    def ask(self, sql: str) -> None: ...
    def writing(self) -> AbstractContextManager[object]: ...
    def close(self) -> None: ...


class OfTheStore:
    VERSION = len(MIGRATIONS)
    UNUSABLE = StoreFailed
    TOO_NEW = SchemaTooNew

    def __init__(self, path: Path, *more: str) -> None:
        self._database = StoreDatabase(path, (*MIGRATIONS, *more))
        self.writing, self.close = self._database.write, self._database.close

    def put(self, word: str) -> None:
        with self._database.write() as tx:
            tx.run("INSERT INTO meta VALUES (?, 'x')", word)

    def words(self) -> list[str]:
        with self._database.read() as tx:
            return [word for (word,) in tx.rows("SELECT key FROM meta ORDER BY key")]

    def ask(self, sql: str) -> None:
        with self._database.read() as tx:
            tx.rows(sql)


class Refused(Exception):
    pass


class OfTheServer:
    VERSION = 1
    UNUSABLE = TOO_NEW = Refused
    busy_ms = 5_000

    def __init__(self, path: Path, *more: str) -> None:
        self._database = ServerDatabase(
            path,
            purpose="a test's",
            refusal=Refused,
            busy_timeout_ms=self.busy_ms,
            migrations=("CREATE TABLE words (word TEXT PRIMARY KEY) STRICT;", *more),
        )
        self.writing, self.close = self._database.writing, self._database.close

    def put(self, word: str) -> None:
        with self._database.writing() as db:
            db.execute("INSERT INTO words VALUES (?)", (word,))

    def words(self) -> list[str]:
        with self._database.reading() as db:
            return [word for (word,) in db.execute("SELECT word FROM words ORDER BY word")]

    def ask(self, sql: str) -> None:
        with self._database.reading() as db:
            db.execute(sql).fetchall()


@pytest.fixture(params=[OfTheStore, OfTheServer])
def kind(request: pytest.FixtureRequest) -> type[Kind]:
    found: type[Kind] = request.param
    return found


def older(kind: type[Kind], path: Path, word: str = "a") -> None:
    database = kind(path)
    database.put(word)
    database.close()


def extras(path: Path) -> list[int]:
    connection = apsw.Connection(str(path))
    return [x for (x,) in connection.execute("SELECT x FROM extra")]


def test_what_sqlite_sorts_on_disk_lies_beside_the_file(tmp_path: Path, kind: type[Kind]) -> None:
    database = kind(tmp_path / "a.db")
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"

    assert folders_used(lambda: database.ask(f"{numbers} SELECT '{'x' * 1000}' || i FROM n ORDER BY 1 DESC")) == {
        tmp_path
    }


def test_an_older_database_is_copied_and_then_migrated(tmp_path: Path, kind: type[Kind]) -> None:
    older(kind, tmp_path / "a.db")

    assert kind(tmp_path / "a.db", MORE).words() == ["a"]
    assert extras(tmp_path / "a.db") == [1]
    assert kind(tmp_path / f"a.db.v{kind.VERSION}.backup").words() == ["a"]


def test_a_migration_that_fails_leaves_the_older_version(tmp_path: Path, kind: type[Kind]) -> None:
    older(kind, tmp_path / "a.db")

    with pytest.raises(kind.UNUSABLE, match="no such table"):
        kind(tmp_path / "a.db", f"{MORE} INSERT INTO nowhere VALUES (1)")

    assert kind(tmp_path / "a.db").words() == ["a"]


def test_a_copy_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path, kind: type[Kind]) -> None:
    long = "a" * 1_000_000
    older(kind, tmp_path / "a.db", long)

    with full(500_000), pytest.raises(kind.UNUSABLE):
        kind(tmp_path / "a.db", MORE)

    assert {found.name for found in tmp_path.iterdir()} == {"a.db", "a.db.lock"}
    assert kind(tmp_path / "a.db", MORE).words() == [long]


def test_a_copy_that_a_killed_process_began_goes_when_nobody_can_be_making_it(tmp_path: Path, kind: type[Kind]) -> None:
    ends = ("", ".unfinished", ".0a1b2c3d-journal", ".gz", ".kept")
    whole, begun, journal, *of_the_operator = (tmp_path / f"a.db.v1.backup{end}" for end in ends)
    database = kind(tmp_path / "a.db")
    for path in (whole, begun, journal, *of_the_operator):
        path.touch()

    with database.writing():
        opening = threading.Thread(target=kind, args=(tmp_path / "a.db",))
        opening.start()
        opening.join(0.3)
        assert begun.exists(), "a process that migrates holds the lock"
    opening.join()

    assert [path.exists() for path in (whole, begun, journal)] == [True, False, False]
    assert all(path.exists() for path in of_the_operator)


def test_processes_that_open_an_older_database_at_once_migrate_it_once(tmp_path: Path, kind: type[Kind]) -> None:
    older(kind, tmp_path / "a.db")

    found = at_once(4, lambda: kind(tmp_path / "a.db", MORE).words())

    assert found == [["a"]] * 4
    assert extras(tmp_path / "a.db") == [1]
    assert [path.name for path in tmp_path.glob("*.backup*")] == [f"a.db.v{kind.VERSION}.backup"]
    assert kind(tmp_path / f"a.db.v{kind.VERSION}.backup").words() == ["a"], "of the older version"


def test_an_older_program_that_waited_for_a_newer_one_leaves_what_that_has_made(
    tmp_path: Path, kind: type[Kind]
) -> None:
    path = tmp_path / "a.db"
    kind(path).close()
    (tmp_path / "a.db.v1.backup.unfinished").touch()

    with ThreadPoolExecutor(1) as threads:
        with migrating(path):
            waiting = threads.submit(kind, path)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            newer = apsw.Connection(str(path))
            newer.execute(f"{MORE} PRAGMA user_version = {kind.VERSION + 1}")
            newer.close()
        with pytest.raises(kind.TOO_NEW, match=rf"{kind.VERSION + 1}.*{kind.VERSION}"):
            waiting.result()

    assert kind(path, MORE).words() == []
    assert extras(path) == [1]


def test_however_long_a_migration_takes_who_opens_the_database_meanwhile_waits(
    tmp_path: Path, kind: type[Kind], monkeypatch: pytest.MonkeyPatch
) -> None:
    older(kind, tmp_path / "a.db")
    monkeypatch.setattr(store_database, "BUSY_MS", 20)
    monkeypatch.setattr(OfTheServer, "busy_ms", 20)

    found = at_once(3, lambda: kind(tmp_path / "a.db", f"{MORE} INSERT INTO extra {LONG}").words())

    assert found == [["a"]] * 3


def test_the_copy_of_before_a_migration_outlasts_a_power_cut(tmp_path: Path, kind: type[Kind]) -> None:
    older(kind, tmp_path / "a.db")

    with watched(tmp_path) as disk:
        kind(tmp_path / "a.db", MORE)

    assert disk.at_the_end == []
    assert disk.syncs


@pytest.mark.parametrize("lost", ["*.unfinished", "test_*"], ids=["of the copy", "of its name"])
def test_a_sync_that_a_migration_leaves_out_is_noticed(tmp_path: Path, kind: type[Kind], lost: str) -> None:
    older(kind, tmp_path / "a.db")

    with watched(tmp_path, lambda path: path.match(lost)) as disk:
        kind(tmp_path / "a.db", MORE)

    assert disk.at_the_end
