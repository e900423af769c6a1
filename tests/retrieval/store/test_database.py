"""retrieval.store.database and schema: transactions, migrations, and errors in our own words."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import apsw
import pytest

from retrieval.errors import SchemaTooNew, StoreFailed
from retrieval.locks import migrating
from retrieval.store import database as database_module
from retrieval.store.database import KEPT, Database
from retrieval.store.schema import MIGRATIONS
from tests.at_once import at_once
from tests.retrieval.test_disk import full
from tests.temporary_files import folders_used

KNOWN = len(MIGRATIONS)
# A query that takes far longer than any busy timeout in these tests.
LONG = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000)"
    " SELECT count(*) FROM numbers"
)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "store.db")


def put(database: Database, key: str) -> None:
    with database.write() as tx:
        tx.run("INSERT INTO meta VALUES (?, 'x')", key)


def keys(database: Database) -> list[str]:
    with database.read() as tx:
        return [row[0] for row in tx.rows("SELECT key FROM meta ORDER BY key")]


def test_nobody_else_on_the_machine_may_read_the_documents(database: Database) -> None:
    put(database, "a")

    modes = {path.name: path.stat().st_mode & 0o777 for path in database.path.parent.iterdir()}

    assert modes == dict.fromkeys(modes, 0o600)
    assert "store.db-wal" in modes


def test_what_was_committed_is_there_after_reopening(database: Database) -> None:
    put(database, "a")
    database.close()

    assert keys(Database(database.path)) == ["a"]


def test_an_exception_undoes_the_whole_transaction(database: Database) -> None:
    def half() -> None:
        with database.write() as tx:
            tx.run("INSERT INTO meta VALUES ('a', 'x')")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        half()

    assert keys(database) == []
    put(database, "b")
    assert keys(database) == ["b"]


def test_the_memory_of_a_crowd_of_readers_is_given_back(database: Database) -> None:
    with database.write() as tx:
        tx.many("INSERT INTO meta VALUES (?, ?)", ((str(key), "x" * 1000) for key in range(4000)))

    with ExitStack() as crowd:
        for view in [crowd.enter_context(database.read()) for _ in range(4 * KEPT)]:
            assert view.rows("SELECT sum(length(value)) FROM meta") == [(4_000_000,)]
        crowded = apsw.memory_used()

    # Pages of a file that is larger than each connection's cache.
    assert apsw.memory_used() < crowded / 3
    assert keys(database)[0] == "0"


def test_a_reader_sees_one_moment_and_does_not_wait_for_a_writer(database: Database) -> None:
    put(database, "a")
    with database.read() as reading:
        assert reading.rows("SELECT count(*) FROM meta") == [(1,)]
        put(database, "b")
        assert reading.rows("SELECT count(*) FROM meta") == [(1,)]

    assert keys(database) == ["a", "b"]


def test_writers_take_turns(database: Database) -> None:
    def count() -> None:
        for _ in range(20):
            with database.write() as tx:
                (value,) = tx.rows("SELECT count(*) FROM meta")[0]
                tx.run("INSERT INTO meta VALUES (?, 'x')", f"{value:03}")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert keys(database) == [f"{number:03}" for number in range(80)]


def test_every_connection_is_durable_and_wipes_what_it_frees(database: Database) -> None:
    with database.read() as tx:
        pragmas = ["journal_mode", "synchronous", "foreign_keys", "secure_delete"]
        assert [tx.rows(f"PRAGMA {name}")[0][0] for name in pragmas] == ["wal", 2, 1, 1]


def test_a_checkpoint_empties_the_log_unless_a_reader_needs_it(database: Database) -> None:
    log = database.path.with_name("store.db-wal")
    put(database, "a")
    assert log.stat().st_size > 0

    with database.read() as reading:
        reading.rows("SELECT * FROM meta")
        put(database, "b")
        assert not database.checkpoint()
        assert log.stat().st_size > 0

    assert database.checkpoint()
    assert log.stat().st_size == 0


def test_what_sqlite_puts_aside_while_it_rewrites_a_file_lies_beside_it(tmp_path: Path) -> None:
    """Also where the process has opened another one since."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    database, _ = Database(tmp_path / "one" / "store.db"), Database(tmp_path / "two" / "store.db")
    with database.write() as tx:
        tx.many("INSERT INTO meta VALUES (?, ?)", ((str(key), "x" * 1000) for key in range(8000)))

    assert folders_used(database.vacuum) == {tmp_path / "one"}


def test_what_sqlite_sorts_on_disk_lies_beside_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    long = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) SELECT '{'x' * 1000}' || i"

    def sort() -> None:
        with database.read() as tx:
            tx.rows(f"{long} FROM n ORDER BY 1 DESC")

    assert folders_used(sort) == {tmp_path}


def test_an_older_database_is_copied_and_then_migrated(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old = Database(path)
    put(old, "a")
    old.close()

    new = Database(path, migrations=(*MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO extra VALUES (1)"))

    with new.read() as tx:
        assert tx.rows("SELECT x FROM extra") == [(1,)]
        assert tx.rows("PRAGMA user_version") == [(KNOWN + 1,)]
    assert keys(new) == ["a"]
    assert keys(Database(tmp_path / f"store.db.v{KNOWN}.backup")) == ["a"]


def test_a_copy_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    put(Database(path), "a" * 1_000_000)

    with full(500_000), pytest.raises(StoreFailed):
        Database(path, migrations=(*MIGRATIONS, "CREATE TABLE extra (x)"))

    assert list(tmp_path.glob("*.backup*")) == []
    assert keys(Database(path)) == ["a" * 1_000_000]


def test_a_copy_that_a_killed_process_began_goes_when_nobody_can_be_making_it(tmp_path: Path) -> None:
    ends = ("", ".unfinished", ".0a1b2c3d-journal", ".gz", ".kept")
    whole, begun, journal, *of_the_operator = (tmp_path / f"store.db.v1.backup{end}" for end in ends)
    database = Database(tmp_path / "store.db")
    for path in (whole, begun, journal, *of_the_operator):
        path.touch()

    with database.write() as tx:
        tx.run("INSERT INTO meta VALUES ('a', 'x')")
        opening = threading.Thread(target=Database, args=(database.path,))
        opening.start()
        opening.join(0.3)
        assert begun.exists(), "a process that migrates holds the lock"
    opening.join()

    assert [path.exists() for path in (whole, begun, journal)] == [True, False, False]
    assert all(path.exists() for path in of_the_operator)


def test_processes_that_open_an_older_database_at_once_migrate_it_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    put(Database(path), "a")
    newer = (*MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO extra VALUES (1)")

    opened = at_once(4, lambda: Database(path, newer))

    assert [keys(database) for database in opened] == [["a"]] * 4
    with opened[0].read() as tx:
        assert tx.rows("SELECT x FROM extra") == [(1,)]
    assert [copy.name for copy in tmp_path.glob("*.backup*")] == [f"store.db.v{KNOWN}.backup"]
    with Database(tmp_path / f"store.db.v{KNOWN}.backup").read() as tx:
        assert tx.rows("PRAGMA user_version") == [(KNOWN,)]


def test_an_older_program_that_waited_for_a_newer_one_leaves_what_that_has_made(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database(path).close()
    (tmp_path / "store.db.v1.backup.unfinished").touch()

    with ThreadPoolExecutor(1) as threads:
        with migrating(path):
            older = threads.submit(Database, path)
            with pytest.raises(TimeoutError):
                older.result(timeout=0.3)
            newer = apsw.Connection(str(path))
            newer.execute(f"CREATE TABLE later (x); PRAGMA user_version = {KNOWN + 1}")
            newer.close()
        with pytest.raises(SchemaTooNew):
            older.result()


def test_however_long_a_migration_takes_who_opens_the_database_meanwhile_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    put(Database(path), "a")
    monkeypatch.setattr(database_module, "BUSY_MS", 20)
    newer = (*MIGRATIONS, f"CREATE TABLE extra (x); INSERT INTO extra {LONG}")

    opened = at_once(3, lambda: Database(path, newer))

    assert [keys(database) for database in opened] == [["a"]] * 3


def test_a_database_is_opened_while_somebody_writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_MS", 20)

    with database.write():
        assert keys(Database(database.path)) == []


def test_a_migration_that_fails_leaves_the_older_version(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    put(Database(path), "a")

    with pytest.raises(StoreFailed, match="no such table"):
        Database(path, migrations=(*MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO nowhere VALUES (1)"))

    assert keys(Database(path)) == ["a"]
    with Database(path).read() as tx:
        assert tx.rows("PRAGMA user_version") == [(KNOWN,)]


def test_chunks_of_before_there_were_pages_have_none(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Database(path, migrations=MIGRATIONS[:1]).write() as tx:
        tx.run("INSERT INTO stores VALUES (1, 'vs_1', 'shop', 'user:anna', 0)")
        tx.run(
            "INSERT INTO documents (file_id, store_no, filename, bytes, sha256, created_at, status)"
            " VALUES ('file-1', 1, 'a.txt', 1, '', 0, 'completed')"
        )
        tx.run("INSERT INTO chunks VALUES (1, 1, 1, 0, 5, 'a', 'apple')")

    with Database(path).read() as tx:
        assert tx.rows("SELECT text, page, locator FROM chunks") == [("apple", None, "")]
        assert tx.rows("SELECT stripped FROM documents") == [(0,)]


def test_a_newer_database_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database(path, migrations=(*MIGRATIONS, "CREATE TABLE extra (x)"))

    with pytest.raises(SchemaTooNew) as refusal:
        Database(path)

    assert (refusal.value.found, refusal.value.known) == (KNOWN + 1, KNOWN)


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"something else entirely" * 100)

    with pytest.raises(StoreFailed, match=r"store\.db: .*not a database"):
        Database(path)


def test_a_database_closed_under_a_transaction_lets_it_end(database: Database) -> None:
    with database.write() as tx:
        tx.run("INSERT INTO meta VALUES ('a', 'x')")
        database.close()

    assert keys(Database(database.path)) == ["a"]


def test_a_full_disk_undoes_the_transaction(database: Database) -> None:
    def fill() -> None:
        with database.write() as tx:
            tx.run("PRAGMA max_page_count = 60")
            tx.run("INSERT INTO meta VALUES ('a', ?)", "x" * 10_000_000)

    with pytest.raises(StoreFailed, match="full"):
        fill()

    assert keys(database) == []


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_file_that_was_replaced_under_a_process_is_noticed_at_once(database: Database, how: str) -> None:
    put(database, "a")
    other = database.path.with_name("other.db")
    Database(other).close()
    if how == "replaced":
        other.replace(database.path)
    else:
        database.path.unlink()

    with pytest.raises(StoreFailed, match=r"store\.db: it was replaced or removed under this process; restart it"):
        keys(database)


def test_a_closed_database_says_so(database: Database) -> None:
    database.close()

    with pytest.raises(StoreFailed, match="closed"):
        keys(database)


def test_words_are_folded_and_stemmed_and_codes_are_cut_alike(database: Database) -> None:
    with database.read() as tx:
        assert tx.words("Employees' Übung, HX-204/B") == ["employe", "ubung", "hx", "204", "b"]
