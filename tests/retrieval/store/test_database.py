"""retrieval.store.database and schema: transactions, migrations, and errors in our own words.

What it has in common with the server's databases is in tests/contract/test_database.py.
"""

import threading
from contextlib import ExitStack
from pathlib import Path

import apsw
import pytest

from retrieval.errors import SchemaTooNew, StoreFailed
from retrieval.store import database as database_module
from retrieval.store.database import KEPT, Database
from retrieval.store.schema import MIGRATIONS
from tests.temporary_files import folders_used

KNOWN = len(MIGRATIONS)


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


def test_a_database_is_opened_while_somebody_writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_MS", 20)

    with database.write():
        assert keys(Database(database.path)) == []


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
