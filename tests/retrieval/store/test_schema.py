"""retrieval.store.schema: a database of an older version holds the same after it was brought forward."""

from pathlib import Path

from retrieval.store import documents, stores
from retrieval.store.database import Database
from retrieval.store.erasures import REPLACED
from retrieval.store.schema import MIGRATIONS
from retrieval.types import Reader
from tests.retrieval.store.first_version import FIRST

ANNA = Reader(frozenset({"user:anna"}))


def test_documents_of_the_first_version_become_files_in_a_store(tmp_path: Path) -> None:
    old = Database(tmp_path / "store.db", migrations=MIGRATIONS[:1])
    with old.write() as tx:
        tx.run(FIRST)
    old.close()

    database = Database(tmp_path / "store.db")

    with database.read() as tx:
        read, failed = documents.listing(tx, 1, ANNA)
        assert (read.file_id, read.filename, read.sha256, read.created_at) == ("file-4", "a.txt", "digest4", 101)
        assert (read.status, read.chunks, read.usage_bytes) == ("completed", 1, 6 + 6 + 4)
        assert (failed.file_id, failed.error, failed.fault) == ("file-6", "it is empty", "invalid_file")
        assert tx.rows("SELECT document_no FROM sources") == [(4,)]
        assert tx.rows("SELECT document_no FROM jobs") == [(6,)]
        assert tx.rows("SELECT rowid FROM chunk_words WHERE chunk_words MATCH 'apple'") == [(8,)]
        assert tx.rows("PRAGMA foreign_keys") == [(1,)]
        assert stores.one(tx, 1, ANNA).description.index == "exact"
    with database.write() as tx:
        assert documents.remove(tx, 4, REPLACED) == "file-4"
        assert stores.holdings(tx, 1, ANNA)[0].failed == 1
        assert tx.rows("SELECT chunk_no FROM chunks") == []


def test_stores_of_the_version_before_indexes_could_be_chosen_are_searched_exactly(tmp_path: Path) -> None:
    old = Database(tmp_path / "store.db", migrations=MIGRATIONS[:9])
    with old.write() as tx:
        store_no = tx.insert(
            "INSERT INTO stores (store_id, name, owner, created_at, last_active_at)"
            " VALUES ('vs_1', 'shop', 'user:anna', 1, 1)"
        )
    old.close()

    database = Database(tmp_path / "store.db")

    with database.write() as tx:
        assert stores.one(tx, store_no, ANNA).description.index == "exact"
        stores.set_index(tx, store_no, "hnsw")
        assert stores.with_graph(tx) == [store_no]
