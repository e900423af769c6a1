"""retrieval.postings: which chunks hold a query's words, counted within what a search may find."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.index import Visible
from retrieval.postings import CHARACTER, TERM, WORD, LexicalIndex, Postings
from retrieval.store import passages
from retrieval.store.database import Transaction
from retrieval.types import Reader
from retrieval.wording import Term, Wording, terms
from tests.retrieval.desk import ANNA
from tests.retrieval.test_mirror import Shop

APPLE = TERM + WORD + len("appl") * CHARACTER  # what keeping it costs besides its chunks


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def visible(*numbers: int, last: int = 4) -> Visible:
    flags = np.zeros(last + 1, np.bool_)
    flags[list(numbers)] = True
    return flags


def ask(
    shop: Shop, index: LexicalIndex, query: str, seen: Visible, k: int = 9, reader: Reader = ANNA
) -> tuple[Wording, list[int], list[int]]:
    words = index.of(reader)
    with shop.database.read() as tx:
        wording = words.weigh(tx, terms(query, tx.words), seen)
        best, equal = words.heaviest(tx, wording, k, seen)
    return wording, best, np.flatnonzero(equal).tolist()


def test_words_are_counted_within_what_is_visible(shop: Shop) -> None:
    shop.add("apple pear", "apple", "apple", "plum")

    wording, best, _ = ask(shop, LexicalIndex(), "apple", visible(1, 2, 4))
    of_four, _, _ = ask(shop, LexicalIndex(), "apple", visible(1, 2, 3, 4))

    assert wording.weights == {Term("apple", ("appl",)): math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))}
    assert wording.weights != of_four.weights
    assert sorted(best) == [1, 2]


def test_the_chunks_with_most_of_the_weight_come_first_and_equal_ones_are_told_apart_by_others(shop: Shop) -> None:
    shop.add("apple", "apple pear", "apple again", "plum")

    _, best, equal = ask(shop, LexicalIndex(), "apple pear", visible(1, 2, 3, 4), k=2)

    assert best == [2]
    assert equal == [1, 3]


def test_where_all_fit_none_is_left_to_choose_from(shop: Shop) -> None:
    shop.add("apple", "pear", "plum", "fig")

    _, best, equal = ask(shop, LexicalIndex(), "apple pear", visible(1, 2, 3, 4), k=2)

    assert (best, equal) == ([1, 2], [])


def test_what_was_added_later_is_found_and_what_is_gone_is_not(shop: Shop) -> None:
    index = LexicalIndex()
    apple, *_ = shop.add("apple", "pear")
    assert ask(shop, index, "apple", visible(1, 2, last=2))[1] == [1]

    shop.add("apple tree", "plum")
    shop.remove(apple)

    assert ask(shop, index, "apple", visible(2, 3, 4))[1] == [3]


def test_several_words_that_belong_together_are_found_in_their_order(shop: Shop) -> None:
    shop.add("error HX-204/B", "204 HX", "the code is hx 204 b", "x")

    assert ask(shop, LexicalIndex(), "HX-204/B", visible(1, 2, 3, 4))[1] == [1, 3]


def test_the_memory_for_words_is_bounded_and_forgetting_changes_nothing(shop: Shop) -> None:
    shop.add("apple pear", "apple", "pear plum", "fig")
    small = LexicalIndex(kept=2 + APPLE)
    seen = visible(1, 2, 3, 4)

    found = [ask(shop, small, query, seen) for query in ("apple", "pear", "apple", "plum fig")]

    assert small._entries <= 2 + APPLE
    assert found == [ask(shop, LexicalIndex(), query, seen) for query in ("apple", "pear", "apple", "plum fig")]
    small.forget()
    assert ask(shop, small, "apple", seen) == found[0]


def test_words_that_nobody_has_written_take_no_more_room_than_others(shop: Shop) -> None:
    shop.add("apple", "pear", "plum", "fig")
    small = LexicalIndex(kept=10 * (TERM + WORD + 9 * CHARACTER))

    for number in range(10, 50):
        ask(shop, small, f"unknown{number}", visible(1, 2, 3, 4))

    assert len(small._known) == 10


def test_a_term_of_many_words_takes_the_room_of_all_of_them(shop: Shop) -> None:
    shop.add("apple", "pear", "plum", "fig")
    index = LexicalIndex()

    ask(shop, index, "°".join(f"a{number}" for number in range(1000)), visible(1, 2, 3, 4))

    ((_, words),) = index._known
    assert len(words) == 1000
    in_memory = sys.getsizeof(words) + sum(map(sys.getsizeof, words))
    assert 4 * index._entries > 0.9 * in_memory


def test_forms_of_one_word_are_kept_once(shop: Shop) -> None:
    shop.add("apples", "an apple tree", "pear", "plum")
    index = LexicalIndex()

    found = [ask(shop, index, query, visible(1, 2, 3, 4))[1] for query in ("apple", "Apples?", '"apple"')]

    assert found == [[1, 2]] * 3
    assert index._entries == 2 + APPLE


@pytest.mark.parametrize(
    "other",
    [
        Reader(frozenset({"user:ben"})),
        Reader(ANNA.names, is_admin=True),
        Reader(ANNA.names, stores=frozenset({"shop"})),
        Reader(ANNA.names, through=Reader(frozenset({"user:app"}))),
    ],
    ids=["somebody else", "with other rights", "in fewer stores", "through an application"],
)
def test_what_one_reader_has_asked_makes_nothing_faster_for_another(
    shop: Shop, other: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add("apple pear", "apple", "pear", "plum")
    index, seen = LexicalIndex(), visible(1, 2, 3, 4)
    looked_up: list[str] = []
    containing = passages.containing

    def counted(tx: Transaction, expression: str, after: int) -> Postings:
        looked_up.append(expression)
        return containing(tx, expression, after)

    monkeypatch.setattr(passages, "containing", counted)
    for reader in (ANNA, ANNA, other, other):
        assert ask(shop, index, "apple", seen, reader=reader)[1] == [1, 2]

    assert len(looked_up) == 2


def test_words_asked_for_are_forgotten_once_something_was_removed(shop: Shop) -> None:
    mirror = shop.mirror()
    apple, *_ = shop.add("apple", "pear")
    with mirror.view() as tx:
        mirror.words.of(ANNA).weigh(tx, terms("apple", tx.words), visible(1, 2, last=2))
    assert mirror.words._known
    shop.remove(apple)

    mirror.forget()

    assert not mirror.words._known


def test_a_store_that_was_replaced_is_read_anew(shop: Shop) -> None:
    mirror = shop.mirror()
    shop.add("apple")
    with mirror.view() as tx:
        assert (
            mirror.words.of(ANNA).heaviest(tx, Wording({Term("pear", ("pear",)): 1.0}), 9, visible(1, last=1))[0] == []
        )
    with shop.database.write() as tx:
        tx.run("UPDATE chunks SET text = 'pear'")
        tx.run("INSERT INTO chunk_words (chunk_words) VALUES ('rebuild')")
        tx.run("UPDATE generations SET stamp = 'restored'")

    with mirror.view() as tx:
        assert mirror.words.of(ANNA).heaviest(tx, Wording({Term("pear", ("pear",)): 1.0}), 9, visible(1, last=1))[
            0
        ] == [1]
