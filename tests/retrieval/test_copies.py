"""A store that says the same thousands of times: a search goes on below the copies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval import copies
from retrieval.embedder import Vectors
from retrieval.index import TIED, Numbers, VectorIndex
from retrieval.mirror import Mirror
from retrieval.retriever import DEEPEST, Searcher
from retrieval.snapshots import Snapshots
from retrieval.store import attaching, contents, files, filters, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.database import Database
from retrieval.types import Access, Comparison, Filter, Fusion
from tests.retrieval.desk import ANNA, WordsEmbedder, texts

pytestmark = pytest.mark.anyio

EMBEDDER = WordsEmbedder()
COPY = "The form is to be signed by the head of the department."


class Searched:
    """A store filled without files, and a searcher over it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "store.db")
        with self.database.write() as tx:
            self._store_no = stores.create(tx, "shop", ANNA, None)
        mirror = Mirror(self.database, Snapshots(folder / "index"), embedder=EMBEDDER.fingerprint, dims=EMBEDDER.dims)
        mirror.open()
        self._searcher = Searcher(mirror, EMBEDDER, Fusion())

    def add(self, *lines: str, kind: str = "any", is_private: bool = False) -> None:
        vectors = dict(zip(lines, EMBEDDER.embed(lines), strict=True))
        chunks = [StoredChunk(0, 1, "t", line, vectors[line].tobytes()) for line in lines]
        with self.database.write() as tx:
            owner = "user:ben" if is_private else "user:anna"
            file_no, _ = files.add(tx, owner=owner, filename="a.txt", size=1, sha256=kind)
            if is_private:
                files.grant(tx, file_no, Access())
            document_no = attaching.attach(tx, self._store_no, file_no)
            contents.complete(tx, document_no, Content("t", "x", "x", chunks))
            filters.put(tx, document_no, {"kind": kind})

    async def find(self, k: int, filters: Filter | None = None) -> Sequence[str]:
        query = "who is to sign the form"
        hits = await self._searcher.search(query, stores=["shop"], k=k, reader=ANNA, filters=filters)
        return texts(hits.passages)


@pytest.fixture
def shop(tmp_path: Path) -> Searched:
    return Searched(tmp_path)


async def test_what_is_said_once_is_found_below_many_copies(shop: Searched) -> None:
    once = [f"Rule {number} is another one." for number in range(5)]
    shop.add(*[COPY] * (DEEPEST - 100), *once)

    found = await shop.find(6)

    assert found[0] == COPY
    assert set(found[1:]) == set(once)


@pytest.mark.parametrize("count", [DEEPEST + 100, 4 * DEEPEST])
async def test_copies_use_up_no_depth_however_many_there_are(shop: Searched, count: int) -> None:
    once = [f"Rule {number} is another one." for number in range(3)]
    shop.add(*[COPY] * count, *["The form is signed by the mayor."] * count, *once)

    found = await shop.find(6)

    assert found[:2] == [COPY, "The form is signed by the mayor."]
    assert set(found[2:]) == set(once)


async def test_a_copy_that_came_later_is_left_out_as_well(shop: Searched) -> None:
    shop.add(*[COPY] * (DEEPEST + 100), "Rule 1 is another one.")
    await shop.find(6)
    shop.add(*[COPY] * DEEPEST, "Rule 2 is another one.")

    assert set(await shop.find(6)) == {COPY, "Rule 1 is another one.", "Rule 2 is another one."}


def test_of_very_many_texts_some_are_read_by_the_next_search(shop: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "READ", 4)
    shop.add(*[COPY] * 6, "Rule 1 is another one.")
    known, visible = copies.Copies(), np.array([False] + [True] * 7)

    with shop.database.read() as tx:
        left = [int(np.count_nonzero(known.without(tx, visible, {COPY}))) for _ in range(2)]

    assert left == [3, 1]


def test_a_removed_text_is_known_no_longer(shop: Searched) -> None:
    shop.add(COPY, COPY, "Rule 1 is another one.")
    known, visible = copies.Copies(), np.ones(4, np.bool_)
    with shop.database.read() as tx:
        known.without(tx, visible, {COPY})

        known.remove([1, 2])

        assert known.without(tx, np.array([False, False, False, True]), {COPY}).tolist() == [False] * 3 + [True]
    assert not known._digests[:3].any()


@pytest.mark.parametrize("is_private", [True, False], ids=["access", "a filter"])
async def test_copies_that_a_search_may_not_find_count_for_nothing(shop: Searched, is_private: bool) -> None:
    once = [f"Rule {number} is another one." for number in range(6)]
    shop.add(*[COPY] * (DEEPEST + 100), kind="copy", is_private=is_private)
    shop.add(*once, kind="rule")

    assert set(await shop.find(6, None if is_private else Comparison("kind", "eq", "rule"))) == set(once)


@pytest.mark.parametrize("count", [TIED // 2, 4 * TIED])
def test_of_equal_vectors_no_more_are_compared_than_tell_the_order(count: int) -> None:
    vectors, index = np.zeros((count, 8), np.float32), VectorIndex(8)
    vectors[:, 0] = 1
    index.add(range(1, count + 1), vectors)
    asked: list[int] = []

    def exact(numbers: Numbers) -> Vectors:
        asked.append(len(numbers))
        return vectors[numbers - 1]

    found = index.search(vectors[0], 5, np.ones(count + 1, np.bool_), exact)

    assert found == [1, 2, 3, 4, 5]
    assert max(asked) <= TIED
