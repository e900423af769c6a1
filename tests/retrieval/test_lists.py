"""retrieval.lists: which documents are hidden from whom, at the very next look after any change."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import StoreFailed
from retrieval.lists import NAME, AccessLists
from retrieval.store import attaching, documents, files, scope, stores
from retrieval.store.database import Database, Transaction, Value
from retrieval.store.erasures import REPLACED
from retrieval.types import Access, Reader

BEN, CLAIMS = Reader(frozenset({"user:ben"})), Reader(frozenset({"user:eva", "group:claims"}))
ADMIN = Reader(frozenset({"user:root"}), is_admin=True)


class Listed:
    """A store of files, and what is kept in memory of their lists."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.lists = AccessLists()
        with self.database.write() as tx:
            self.store_no = stores.create(tx, "shelf", BEN, Access(read=("*",)))

    def add(self, *readers: str, owner: str = "user:anna", expires_at: int | None = None) -> tuple[int, int]:
        """A file and its document; without readers, the file has no lists."""
        with self.database.write() as tx:
            file_no, _ = files.add(tx, owner=owner, filename="a", size=1, sha256="x", expires_at=expires_at)
            if readers:
                files.grant(tx, file_no, Access(read=readers))
            return file_no, attaching.attach(tx, self.store_no, file_no)

    def grant(self, file_no: int, readers: Sequence[str] | None) -> None:
        with self.database.write() as tx:
            files.grant(tx, file_no, None if readers is None else Access(read=tuple(readers)))

    def hidden(self, reader: Reader, lists: AccessLists | None = None) -> list[int]:
        with self.database.read() as tx:
            flags = (lists or self.lists).hidden(tx, reader)
        return [] if flags is None else flags.nonzero()[0].tolist()


@pytest.fixture
def shelf(tmp_path: Path) -> Listed:
    return Listed(tmp_path / "store.db")


def test_without_limits_there_is_nothing_to_look_through(shelf: Listed) -> None:
    shelf.add()

    with shelf.database.read() as tx:
        assert shelf.lists.hidden(tx, BEN) is None


def test_lists_hide_a_document_from_all_but_those_on_them_its_owner_and_admins(shelf: Listed) -> None:
    _, open_to_all = shelf.add("*")
    _, of_claims = shelf.add("group:claims")
    _, of_ben = shelf.add("user:nobody", owner="user:ben")

    assert shelf.hidden(BEN) == [of_claims]
    assert shelf.hidden(CLAIMS) == [of_ben]
    assert shelf.hidden(ADMIN) == []
    assert open_to_all not in {*shelf.hidden(BEN), *shelf.hidden(CLAIMS)}


def test_what_the_application_may_not_read_is_hidden_from_whom_it_acts_for(shelf: Listed) -> None:
    _, of_ben = shelf.add("user:ben")
    _, of_both = shelf.add("user:ben", "user:portal")
    portal = Reader(frozenset({"user:portal"}))

    assert shelf.hidden(Reader(BEN.names, through=portal)) == [of_ben]
    assert shelf.hidden(Reader(ADMIN.names, is_admin=True, through=portal)) == [of_ben]
    assert of_both not in shelf.hidden(portal)


def test_what_came_since_is_hidden_or_shown_by_its_own_lists(shelf: Listed) -> None:
    _, first = shelf.add("group:claims")
    assert (shelf.hidden(BEN), shelf.hidden(CLAIMS)) == ([first], [])

    _, for_ben = shelf.add("user:ben")
    _, of_ben = shelf.add("user:nobody", owner="user:ben")
    shelf.add()

    assert shelf.hidden(BEN) == [first]
    assert shelf.hidden(CLAIMS) == [for_ben, of_ben]


def test_a_change_of_lists_holds_at_the_next_look_whoever_made_it(shelf: Listed) -> None:
    file_no, document_no = shelf.add("user:ben", "group:claims")
    assert shelf.hidden(BEN) == []

    shelf.grant(file_no, ["group:claims"])
    assert shelf.hidden(BEN) == [document_no]
    shelf.grant(file_no, None)
    assert shelf.hidden(BEN) == []
    shelf.grant(file_no, [])
    assert shelf.hidden(CLAIMS) == [document_no]
    shelf.grant(file_no, ["user:ben"])
    assert shelf.hidden(BEN) == []


@pytest.mark.parametrize("modes", [("write",), ("read", "write")])
def test_who_may_write_is_among_the_readers_whenever_the_list_is_read(shelf: Listed, modes: tuple[str, ...]) -> None:
    def rewrite() -> None:
        with shelf.database.write() as tx:
            tx.run("DELETE FROM file_access")
            numbers = tx.rows("SELECT file_no FROM files")
            tx.many(
                "INSERT INTO file_access (file_no, mode, name) VALUES (?, ?, 'user:ben')",
                [(row[0], mode) for row in numbers for mode in modes],
            )

    _, first = shelf.add("user:eva")
    assert shelf.hidden(BEN) == [first]
    rewrite()
    assert shelf.hidden(BEN) == []
    with shelf.database.write() as tx:
        file_no, _ = files.add(tx, owner="user:anna", filename="b", size=1, sha256="y")
        files.grant(tx, file_no, Access(("user:ben",) if "read" in modes else (), ("user:ben",)))
        attaching.attach(tx, shelf.store_no, file_no)
    assert shelf.hidden(BEN) == [], "as of what came later"


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM file_access WHERE name = 'user:ben'",
        "UPDATE file_access SET name = 'user:eva' WHERE name = 'user:ben'",
        "UPDATE files SET expires_at = 1",
    ],
)
def test_the_store_itself_tells_of_changes_so_that_none_can_be_overlooked(shelf: Listed, change: str) -> None:
    _, document_no = shelf.add("user:ben")
    assert shelf.hidden(BEN) == []

    with shelf.database.write() as tx:
        tx.run(change)

    assert shelf.hidden(BEN) == [document_no]


def test_a_file_that_gets_another_owner_leaves_the_former_one(shelf: Listed) -> None:
    _, document_no = shelf.add("user:nobody", owner="user:ben")
    assert shelf.hidden(BEN) == []

    with shelf.database.write() as tx:
        tx.run("UPDATE files SET owner = 'user:anna'")

    assert shelf.hidden(BEN) == [document_no]


def test_a_file_past_its_expiry_is_hidden_from_everybody(shelf: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = int(time.time()) + 1_000
    _, document_no = shelf.add(expires_at=soon)
    assert shelf.hidden(ADMIN) == shelf.hidden(BEN) == []

    monkeypatch.setattr(time, "time", lambda: soon)

    assert shelf.hidden(ADMIN) == shelf.hidden(BEN) == [document_no]


def test_a_file_in_a_second_store_is_hidden_there_too(shelf: Listed) -> None:
    file_no, first = shelf.add("group:claims")
    assert shelf.hidden(BEN) == [first]

    with shelf.database.write() as tx:
        other = stores.create(tx, "other", BEN, Access(read=("*",)))
        second = attaching.attach(tx, other, file_no)

    assert shelf.hidden(BEN) == [first, second]
    assert shelf.hidden(CLAIMS) == []


def test_numbers_of_documents_that_are_gone_confuse_nothing(shelf: Listed) -> None:
    file_no, _ = shelf.add("group:claims")
    assert len(shelf.hidden(BEN)) == 1
    with shelf.database.write() as tx:
        documents.remove_file(tx, file_no, REPLACED)

    _, document_no = shelf.add("group:claims")

    assert document_no in shelf.hidden(BEN)
    assert document_no not in shelf.hidden(CLAIMS)


def test_later_documents_are_hidden_beside_those_with_lists_when_the_newest_was_removed(shelf: Listed) -> None:
    _, with_lists = shelf.add("group:claims")
    _, later = shelf.add()
    newest, _ = shelf.add()
    assert shelf.hidden(BEN) == [with_lists]
    with shelf.database.write() as tx:
        tx.run("UPDATE documents SET completed_in = 9 WHERE document_no = ?", later)
        documents.remove_file(tx, newest, REPLACED)

    with shelf.database.read() as tx:
        found_in = scope.resolve(tx, [shelf.store_no], None, shelf.lists.hidden(tx, BEN), as_of=8)

    assert found_in.hidden is not None
    assert found_in.hidden.nonzero()[0].tolist() == [with_lists, later]


def test_a_look_that_fails_half_way_hides_all_the_same_the_next_time(
    shelf: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = shelf.add("group:claims")
    assert shelf.hidden(BEN) == [first]
    _, second = shelf.add("group:claims")

    def fails(tx: Transaction, after: int) -> None:
        raise StoreFailed(Path("store.db"), "disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(scope, "readers_above", fails)
        with pytest.raises(StoreFailed):
            shelf.hidden(BEN)

    assert shelf.hidden(BEN) == [first, second]


def test_the_memory_for_names_is_bounded_and_forgetting_changes_nothing(shelf: Listed) -> None:
    for name in ("user:ben", "group:claims", "user:eva", "user:ben"):
        shelf.add(name)
    small = AccessLists(kept=2 + 2 * NAME)

    for reader in (BEN, CLAIMS, ADMIN, BEN):
        assert shelf.hidden(reader, small) == shelf.hidden(reader)
        assert small._entries == sum(NAME + len(documents) for documents in small._known.values())
        assert small._entries <= 2 + 2 * NAME
    small.forget()
    assert shelf.hidden(CLAIMS, small) == shelf.hidden(CLAIMS)


def test_new_files_cost_one_question_however_many_names_are_known(
    shelf: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.add("user:ben")
    readers = [Reader(frozenset({f"user:{number}"})) for number in range(30)]
    for reader in (BEN, *readers):
        shelf.hidden(reader)
    asked: list[str] = []
    rows = Transaction.rows

    def counted(tx: Transaction, statement: str, *values: Value) -> list[Any]:
        asked.append(statement)
        return rows(tx, statement, *values)

    _, second = shelf.add("user:3", "group:claims", owner="user:7")
    monkeypatch.setattr(Transaction, "rows", counted)

    assert [second not in shelf.hidden(reader) for reader in readers] == [number in (3, 7) for number in range(30)]
    assert len(asked) < 3 * len(readers)


def test_what_is_kept_outlives_new_files_with_lists_and_removals(shelf: Listed) -> None:
    file_no, _ = shelf.add("group:claims")
    with shelf.database.read() as tx:
        before = scope.changes_of_lists(tx)

    shelf.add("user:ben")
    with shelf.database.write() as tx:
        documents.remove_file(tx, file_no, REPLACED)

    with shelf.database.read() as tx:
        assert scope.changes_of_lists(tx) == before
