"""retrieval.store.schema: a store of every older version opens, keeps what it held, and can be worked with."""

from pathlib import Path

import pytest

from retrieval.store import documents, erasures, files
from retrieval.store.database import Database
from retrieval.store.erasures import REPLACED
from retrieval.store.schema import MIGRATIONS
from tests.retrieval.desk import ANNA
from tests.retrieval.store.first_version import FIRST


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_store_of_an_older_version_is_copied_and_brought_forward(tmp_path: Path, version: int) -> None:
    path = tmp_path / "store.db"
    first = Database(path, migrations=MIGRATIONS[:1])
    with first.write() as tx:
        tx.run(FIRST)
    first.close()
    Database(path, migrations=MIGRATIONS[:version]).close()
    for copy in tmp_path.glob("*.backup"):
        copy.unlink()

    database = Database(path)

    with database.write() as tx:
        read, failed = documents.listing(tx, 1, ANNA)
        assert (read.file_id, read.status, failed.file_id, failed.status) == ("file-4", "completed", "file-6", "failed")
        assert tx.rows("SELECT rowid FROM chunk_words WHERE chunk_words MATCH 'apple'") == [(8,)]
        tx.run("INSERT INTO chunk_words (chunk_words, rank) VALUES ('integrity-check', 1)")
        assert tx.rows("PRAGMA integrity_check") == [("ok",)]
        assert tx.rows("PRAGMA foreign_key_check") == []
        documents.remove_file(tx, files.number(tx, "file-4", ANNA, "write"), REPLACED)
        assert [erasure.file_id for erasure in erasures.pending(tx)] == ["file-4"]
    old = Database(tmp_path / f"store.db.v{version}.backup", migrations=MIGRATIONS[:version])
    with old.read() as tx:
        assert tx.rows("PRAGMA user_version") == [(version,)]
        assert tx.rows("SELECT count(*) FROM chunks") == [(1,)]
    assert [copy.name for copy in tmp_path.glob("*.backup*") if copy.suffix == ".backup"] == [
        f"store.db.v{version}.backup"
    ]


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_every_version_has_the_tables_of_a_new_store_in_the_end(tmp_path: Path, version: int) -> None:
    def tables(database: Database) -> set[tuple[str, str]]:
        with database.read() as tx:
            return set(tx.rows("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"))

    Database(tmp_path / "old.db", migrations=MIGRATIONS[:version]).close()

    assert tables(Database(tmp_path / "old.db")) == tables(Database(tmp_path / "new.db"))
