"""hrm_model.pages: which pages a sequence gets, and where its tokens lie in them."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hrm_model.pages import PAGE_TOKENS, FreePages, rows_of


def test_neighbouring_pages_give_a_range_of_rows() -> None:
    assert rows_of([3, 4, 5], 17, 40) == range(3 * PAGE_TOKENS + 17, 3 * PAGE_TOKENS + 40)


def test_pages_here_and_there_give_the_row_of_each_token() -> None:
    assert rows_of([3, 5, 4], 14, 18) == [62, 63, 80, 81]
    assert rows_of([3, 5, 4], 31, 33) == [95, 64]


def test_a_sequence_gets_neighbours_from_the_smallest_run_that_has_them() -> None:
    free = FreePages(20)
    held = [free.take(count) for count in (4, 2, 5, 3)]
    free.give(held[1])
    free.give(held[2][2:])

    assert free.take(3) == held[2][2:]
    assert free.take(2) == held[1]
    assert free.take(6) == [14, 15, 16, 17, 18, 19]


def test_where_no_run_is_long_enough_several_are_taken() -> None:
    free = FreePages(9)
    held = [free.take(3) for _ in range(3)]
    free.give(held[0])
    free.give(held[2][:2])

    assert free.take(5) == [*held[0], *held[2][:2]]
    assert len(free) == 0


@given(st.lists(st.integers(0, 12), max_size=30), st.randoms(use_true_random=False))
def test_every_page_is_held_once_or_free(wishes: list[int], random: Random) -> None:
    free, held = FreePages(24), list[list[int]]()
    for wish in wishes:
        if wish <= len(free):
            held.append(free.take(wish))
        elif held:
            given_back = held.pop(random.randrange(len(held)))
            random.shuffle(given_back)
            free.give(given_back)
        mine = [page for pages in held for page in pages]
        assert len(set(mine)) == len(mine) == 24 - len(free)
    for pages in held:
        free.give(pages)
    assert free.take(24) == list(range(24))
