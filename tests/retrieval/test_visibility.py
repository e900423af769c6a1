"""What a search shows a reader is what a store would show that held only what the reader may read: a property."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval import retriever
from retrieval.errors import StoreNotFound
from retrieval.graphs import GraphLimits
from retrieval.mirror import Mirror
from retrieval.retriever import Searcher
from retrieval.snapshots import Snapshots
from retrieval.store import attaching, contents, documents, files, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import REPLACED
from retrieval.types import Access, Attribute, Comparison, Compound, Filter, Fusion, IndexKind, Passage, Reader
from tests.fakes.shelf import matches
from tests.retrieval.desk import WordsEmbedder

EMBEDDER = WordsEmbedder()
OWNER = Reader(frozenset({"user:owner"}))
NAMES = ("user:ann", "user:ben", "group:claims", "group:board", "*")
STORES = ("first", "second")

PAST, FUTURE = 1, 2**33

names = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
lists = st.builds(Access, read=names, write=names)
alone = st.builds(
    Reader,
    st.sets(st.sampled_from(NAMES[:-1]), max_size=3).map(frozenset),
    is_admin=st.sampled_from([False] * 5 + [True]),
    stores=st.sampled_from((None, None, None, frozenset[str](), *(frozenset({name}) for name in STORES))),
)
readers = alone | st.builds(lambda person, application: replace(person, through=application), alone, alone)
sentences = st.lists(st.sampled_from(["apple", "pear", "plum", "fig", "quince"]), min_size=1, max_size=4).map(" ".join)
attributes = st.dictionaries(st.sampled_from("ab"), st.sampled_from((0, 1, 2.5, "x", "y", True, False)), max_size=2)
comparisons = st.builds(
    Comparison,
    st.sampled_from("ab"),
    st.sampled_from(("eq", "ne", "gt", "gte", "lt", "lte")),
    st.sampled_from((0, 1, 2.5, "x", "y")),
) | st.builds(
    Comparison,
    st.sampled_from("ab"),
    st.sampled_from(("in", "nin")),
    st.sampled_from(((0, "x"), (True,), (1, 2.5, "y"))),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    comparisons,
    lambda inner: st.builds(Compound, st.sampled_from(("and", "or")), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=5,
)


@dataclass(frozen=True)
class Written:
    """One document of a world."""

    text: str
    store: str
    attributes: dict[str, Attribute]
    lists: Access | None  # None: none of its own
    owner: str
    is_deleted: bool
    expires_at: int | None
    copies: int = 1  # chunks that all say the text


written = st.builds(
    Written,
    sentences,
    st.sampled_from(STORES),
    attributes,
    st.none() | lists,
    st.sampled_from(("user:owner", "user:ann", "user:ben")),
    st.sampled_from((False, False, True)),
    st.sampled_from((None, None, FUTURE, PAST)),
)


class World:
    """A store of documents in which those that are to be deleted have been; by graph, after it was built."""

    def __init__(self, folder: Path, world: Sequence[Written], access: dict[str, Access], index: IndexKind) -> None:
        self._database = Database(folder / "store.db")
        mirror = Mirror(
            self._database,
            Snapshots(folder / "index"),
            embedder=EMBEDDER.fingerprint,
            dims=EMBEDDER.dims,
            graph_limits=GraphLimits(least_rows=1, rows_per_step=0),
        )
        mirror.open()
        self._searcher = Searcher(mirror, EMBEDDER, Fusion())
        with self._database.write() as tx:
            store_nos = {name: stores.create(tx, name, OWNER, granted) for name, granted in access.items()}
            self._names = {stores.one(tx, number, OWNER).store_id: name for name, number in store_nos.items()}
            for number in store_nos.values():
                stores.set_index(tx, number, index)
            file_nos = [_add(tx, store_nos[document.store], document) for document in world]
        while mirror.grow_graphs():
            pass
        self.is_by_graph = any(mirror.rows_in_graph(number) for number in store_nos.values())
        with self._database.write() as tx:
            for file_no, document in zip(file_nos, world, strict=True):
                if document.is_deleted:
                    documents.remove_file(tx, file_no, REPLACED)

    def search(
        self, query: str, asked: Sequence[str], k: int, reader: Reader, wanted: Filter | None
    ) -> list[tuple[str, str, float, dict[str, Attribute]]]:
        """Text, store, score and attributes of what is found."""

        async def search() -> Sequence[Passage]:
            return (await self._searcher.search(query, stores=asked, k=k, reader=reader, filters=wanted)).passages

        hits = anyio.run(search)
        return [(hit.text, self._names[hit.store_id or ""], hit.score, dict(hit.attributes)) for hit in hits]

    def close(self) -> None:
        self._database.close()


def _add(tx: Transaction, store_no: int, document: Written) -> int:
    file_no, _ = files.add(
        tx, owner=document.owner, filename="a.txt", size=1, sha256=document.text, expires_at=document.expires_at
    )
    if document.lists is not None:
        files.grant(tx, file_no, document.lists)
    document_no = attaching.attach(tx, store_no, file_no, document.attributes)
    chunk = StoredChunk(0, len(document.text), "", document.text, EMBEDDER.embed([document.text])[0].tobytes())
    contents.complete(tx, document_no, Content("", document.text, "x", [chunk] * document.copies))
    return file_no


@contextmanager
def stored(world: Sequence[Written], access: dict[str, Access], index: IndexKind = "exact") -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, closing(World(Path(folder), world, access, index)) as built:
        yield built


def may(reader: Reader, owner: str, granted: Access) -> bool:
    """Who may write may read as well."""
    named = {*granted.read, *granted.write}
    return all(one.is_admin or owner in one.names or not (one.names | {"*"}).isdisjoint(named) for one in reader.each())


def check(
    world: list[Written],
    access: dict[str, Access],
    reader: Reader,
    query: str,
    k: int,
    wanted: Filter | None,
    index: IndexKind = "exact",
) -> None:
    readable = [
        name
        for name in STORES
        if may(reader, "user:owner", access[name])
        and all(one.stores is None or name in one.stores for one in reader.each())
    ]
    hidden = [name for name in STORES if name not in readable]
    visible = [
        document
        for document in world
        if document.store in readable
        and not document.is_deleted
        and document.expires_at != PAST
        and (document.lists is None or may(reader, document.owner, document.lists))
    ]

    with stored(world, access, index) as everything, stored(visible, access) as fresh:
        assert everything.is_by_graph == (index == "hnsw" and bool(world))
        found = everything.search(query, readable, k, reader, wanted)
        assert found == fresh.search(query, readable, k, reader, wanted)
        for name in hidden:
            with pytest.raises(StoreNotFound):
                everything.search(query, [name], k, reader, wanted)
    distinct = {document.text for document in visible if wanted is None or matches(wanted, document.attributes)}
    assert len(found) == (min(k, len(distinct)) if readable else 0), "as many as asked for, wherever there are as many"


properties = given(
    world=st.lists(written, max_size=8),
    access=st.fixed_dictionaries(dict.fromkeys(STORES, lists)),
    reader=readers,
    query=sentences,
    k=st.integers(1, 6),
    wanted=st.none() | filters,
)
slow = [HealthCheck.too_slow]


@properties
@settings(max_examples=12, deadline=None, suppress_health_check=slow)
def test_a_reader_finds_what_a_store_of_only_that_would_show(
    world: list[Written],
    access: dict[str, Access],
    reader: Reader,
    query: str,
    k: int,
    wanted: Filter | None,
) -> None:
    check(world, access, reader, query, k, wanted)


@properties
@settings(max_examples=8, deadline=None, suppress_health_check=slow)
def test_a_store_that_is_searched_by_a_graph_shows_no_more_and_no_less(
    world: list[Written],
    access: dict[str, Access],
    reader: Reader,
    query: str,
    k: int,
    wanted: Filter | None,
) -> None:
    check(world, access, reader, query, k, wanted, "hnsw")


@properties
@settings(max_examples=12, deadline=None, suppress_health_check=slow)
def test_copies_of_a_text_hide_nothing_however_many_they_are(
    world: list[Written],
    access: dict[str, Access],
    reader: Reader,
    query: str,
    k: int,
    wanted: Filter | None,
) -> None:
    crowded = [replace(document, copies=60 if at % 2 else 1) for at, document in enumerate(world)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retriever, "CANDIDATES", 10)
        patch.setattr(retriever, "DEEPEST", 30)
        check(crowded, access, reader, query, k, wanted)


@pytest.mark.soak
@properties
@settings(max_examples=2000, deadline=None, suppress_health_check=slow)
def test_a_reader_finds_what_a_store_of_only_that_would_show_two_thousand_times(
    world: list[Written],
    access: dict[str, Access],
    reader: Reader,
    query: str,
    k: int,
    wanted: Filter | None,
) -> None:
    check(world, access, reader, query, k, wanted)
