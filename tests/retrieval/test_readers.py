"""Which files a reader may use, alone, limited to stores, or through an application: a property of the real SQL."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.errors import CursorUnknown, DocumentNotFound, NotTheOwner, StoreNotFound
from retrieval.store import attaching, documents, files, going, stores
from retrieval.store.access import Mode
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import REPLACED
from retrieval.types import Access, Cursor, Reader

OWNER = Reader(frozenset({"user:owner"}))
ADMIN = Reader(frozenset({"user:root"}), is_admin=True)
NAMES = ("user:ann", "user:app", "group:claims", "*")
STORES = ("first", "second")
MODES: tuple[Mode, ...] = ("read", "write")


@dataclass(frozen=True)
class Kept:
    """A file of a world: the stores that hold it, and its own lists, if it has any."""

    owner: str
    stores: tuple[str, ...]
    access: Access | None


some_names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple)
lists = st.builds(Access, some_names, some_names)
kept = st.builds(
    Kept,
    st.sampled_from(("user:ann", "user:app", "user:owner")),
    st.lists(st.sampled_from(STORES), max_size=2, unique=True).map(tuple),
    st.none() | lists,
)
alone = st.builds(
    Reader,
    st.sets(st.sampled_from(NAMES[:-1]), max_size=2).map(frozenset),
    is_admin=st.sampled_from([False] * 4 + [True]),
    stores=st.sampled_from((None, None, frozenset[str](), *(frozenset({name}) for name in STORES))),
)
readers = alone | st.builds(lambda person, application: replace(person, through=application), alone, alone)


def granted(one: Reader, owner: str, access: Access, mode: Mode) -> bool:
    listed = access.write if mode == "write" else (*access.read, *access.write)
    return one.is_admin or owner in one.names or not (one.names | {"*"}).isdisjoint(listed)


def may_use(reader: Reader, file: Kept, access: Mapping[str, Access], mode: Mode) -> bool:
    allowed = [name for name in file.stores if all(one.stores is None or name in one.stores for one in reader.each())]
    if not (allowed == list(file.stores) or (mode == "read" and allowed)):
        return False
    return all(
        granted(one, file.owner, file.access, mode)
        if file.access is not None
        else one.is_admin
        or file.owner in one.names
        or any(granted(one, "user:owner", access[name], mode) for name in allowed)
        for one in reader.each()
    )


@given(
    world=st.lists(kept, min_size=1, max_size=5),
    access=st.fixed_dictionaries(dict.fromkeys(STORES, lists)),
    asked=st.lists(readers, min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_file_is_there_for_whom_it_is_there_and_for_the_application_that_asks(
    world: Sequence[Kept], access: dict[str, Access], asked: list[Reader]
) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Database(Path(folder) / "store.db")) as database:
        with database.write() as tx:
            numbers = {name: stores.create(tx, name, OWNER, access[name]) for name in STORES}
            ids: list[str] = []
            for at, file in enumerate(world):
                file_no, file_id = files.add(tx, owner=file.owner, filename="a", size=1, sha256=str(at), is_upload=True)
                if file.access is not None:
                    files.grant(tx, file_no, file.access)
                for name in file.stores:
                    attaching.attach(tx, numbers[name], file_no, {})
                ids.append(file_id)
        with database.read() as tx:
            for reader in asked:
                for mode in MODES:
                    for file_id, file in zip(ids, world, strict=True):
                        if may_use(reader, file, access, mode):
                            files.number(tx, file_id, reader, mode)
                        else:
                            with pytest.raises(DocumentNotFound):
                                files.number(tx, file_id, reader, mode)
                listed = files.page(tx, reader, Cursor(50, is_descending=False), None).items
                expected = [at for at, file in enumerate(world) if may_use(reader, file, access, "read")]
                assert [ids.index(file.file_id) for file in listed] == expected
        with database.write() as tx:
            for file_id in ids:
                documents.remove_file(tx, files.number(tx, file_id, ADMIN), REPLACED)
        with database.read() as tx:
            for reader in asked:
                places = [at for at, file_id in enumerate(ids) if is_place(tx, file_id, reader)]
                expected = [at for at, file in enumerate(world) if may_use(reader, file, access, "read")]
                assert places == expected, "what was deleted is a place in the list for whom it was there"


def is_place(tx: Transaction, file_id: str, reader: Reader) -> bool:
    try:
        files.page(tx, reader, Cursor(50, after=file_id), None)
    except CursorUnknown:
        return False
    return True


@given(access=lists, asked=st.lists(readers, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_deleted_store_is_a_place_in_the_list_for_whom_it_was_there(access: Access, asked: list[Reader]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Database(Path(folder) / "store.db")) as database:
        with database.write() as tx:
            store_no = stores.create(tx, "first", OWNER, access)
            store_id = stores.one(tx, store_no, OWNER).store_id
            could = [[store.store_id for store in stores.listing(tx, reader)] == [store_id] for reader in asked]
            going.remove(tx, store_no, REPLACED)
        with database.read() as tx:
            for reader, is_place in zip(asked, could, strict=True):
                try:
                    stores.page(tx, reader, Cursor(50, after=store_id))
                except CursorUnknown:
                    assert not is_place
                else:
                    assert is_place


def test_a_store_is_named_by_its_id_or_its_name_in_the_limit_of_a_reader(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "store.db")) as database, database.write() as tx:
        first = stores.one(tx, stores.create(tx, "first", OWNER, None), OWNER)
        stores.create(tx, "second", OWNER, None)

        for name in (first.store_id, "first"):
            limited = replace(OWNER, stores=frozenset({name}))
            assert [store.name for store in stores.listing(tx, limited)] == ["first"]
            assert stores.number(tx, "first", limited, "write") == stores.number(tx, first.store_id, limited)
            with pytest.raises(StoreNotFound):
                stores.number(tx, "second", limited)
            assert stores.listing(tx, replace(limited, is_admin=True)) == stores.listing(tx, limited)


@given(owner=st.sampled_from(("user:ann", "user:app", "user:owner")), access=lists, asked=st.lists(readers, min_size=1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_who_may_write_may_read_and_only_owners_and_admins_say_who_may(
    owner: str, access: Access, asked: list[Reader]
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(Path(folder) / "store.db")) as database,
        database.write() as tx,
    ):
        store_no = stores.create(tx, "first", Reader(frozenset({owner})), access)
        file_no, file_id = files.add(tx, owner=owner, filename="a", size=1, sha256="1", is_upload=True, access=access)
        attaching.attach(tx, store_no, file_no, {})
        for reader in asked:
            try:
                stores.number(tx, "first", reader, "write")
            except StoreNotFound:
                with pytest.raises(StoreNotFound):
                    stores.sharable(tx, "first", reader)
            else:
                assert stores.number(tx, "first", reader) == store_no
                assert outcome(partial(stores.sharable, tx, "first", reader)) is may_share(reader, owner)
            try:
                files.number(tx, file_id, reader, "write")
            except DocumentNotFound:
                with pytest.raises(DocumentNotFound):
                    files.sharable(tx, file_id, reader)
            else:
                assert files.number(tx, file_id, reader) == file_no
                assert outcome(partial(files.sharable, tx, file_id, reader)) is may_share(reader, owner)


def test_an_application_that_may_only_read_a_file_does_not_rewrite_its_lists_for_the_owner(tmp_path: Path) -> None:
    ann = Reader(frozenset({"user:ann"}))
    through = replace(ann, through=Reader(frozenset({"user:app"})))
    access = Access(read=("user:app",))
    with closing(Database(tmp_path / "store.db")) as database, database.write() as tx:
        stores.create(tx, "first", ann, access)
        _, file_id = files.add(tx, owner="user:ann", filename="a", size=1, sha256="1", is_upload=True, access=access)

        with pytest.raises(DocumentNotFound):
            files.sharable(tx, file_id, through)
        with pytest.raises(StoreNotFound):
            stores.sharable(tx, "first", through)
        files.sharable(tx, file_id, ann)
        stores.sharable(tx, "first", ann)


def may_share(reader: Reader, owner: str) -> bool:
    return reader.is_admin or owner in reader.names


def outcome(share: Callable[[], int]) -> bool:
    try:
        share()
    except NotTheOwner:
        return False
    return True


def test_an_application_acts_for_a_person_and_not_for_another_application() -> None:
    with pytest.raises(ValueError, match="not for another application"):
        replace(OWNER, through=replace(OWNER, through=OWNER))
