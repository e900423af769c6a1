"""retrieval.graph: nearly all of the nearest visible chunks, and nothing left of those that were removed."""

import numpy as np
import pytest

from retrieval.embedder import Vectors
from retrieval.graph import Graph
from retrieval.index import Numbers, Visible
from tests.retrieval.vectors import unit

DIMS = 32
ROWS = 3000


VECTORS = unit(ROWS, dims=DIMS)
NUMBERS = np.arange(1, 2 * ROWS, 2)  # every second chunk is of another store


@pytest.fixture
def graph() -> Graph:
    made = Graph(DIMS, rows_per_step=0)
    made.add(NUMBERS, VECTORS)
    return made


def flags(numbers: Numbers) -> Visible:
    visible = np.zeros(2 * ROWS + 1, np.bool_)
    visible[numbers] = True
    return visible


def nearest(query: Vectors, numbers: Numbers, k: int) -> set[int]:
    """What looking at each of them finds."""
    products = VECTORS[np.searchsorted(NUMBERS, numbers)] @ query
    return {int(number) for number in numbers[np.argsort(-products)[:k]]}


@pytest.mark.parametrize("share", [1.0, 0.3, 0.05])
def test_nearly_all_of_the_nearest_visible_chunks_are_found_and_nothing_else(graph: Graph, share: float) -> None:
    visible = NUMBERS[np.random.default_rng(5).random(ROWS) < share]
    hits = 0

    for query in unit(30, seed=1, dims=DIMS):
        found, answered = graph.nearest(query, 10, flags(visible))
        assert len(found) >= 10
        assert set(found.tolist()) <= set(visible.tolist())
        assert answered.tolist() == NUMBERS.tolist()
        hits += len(nearest(query, visible, 10) & set(found.tolist()))

    assert hits >= 0.95 * 300


def test_it_answers_for_nothing_where_no_more_are_visible_than_asked_for(graph: Graph) -> None:
    found, answered = graph.nearest(unit(1, dims=DIMS)[0], 10, flags(NUMBERS[:10]))

    assert not len(found)
    assert not len(answered)


def test_it_leaves_to_others_what_is_quicker_to_scan() -> None:
    graph = Graph(DIMS)
    graph.add(NUMBERS, VECTORS)

    assert not len(graph.nearest(unit(1, dims=DIMS)[0], 10, flags(NUMBERS))[1])


def test_removed_chunks_are_not_found_and_their_vectors_are_overwritten(graph: Graph) -> None:
    gone = NUMBERS[::4]
    first = VECTORS[0].astype(np.float16).tobytes()
    assert first in graph._codes().tobytes()

    graph.remove([*gone.tolist(), 2, 4])

    held = graph._codes().tobytes()
    assert not any(VECTORS[row].astype(np.float16).tobytes() in held for row in range(0, ROWS, 4))
    assert (graph.rows, graph.empty_share) == (ROWS - len(gone), 0.25)
    left = NUMBERS[~np.isin(NUMBERS, gone)]
    hits = 0
    for query in unit(30, seed=1, dims=DIMS):
        found, answered = graph.nearest(query, 10, flags(NUMBERS))
        assert not set(found.tolist()) & set(gone.tolist())
        assert answered.tolist() == left.tolist()
        hits += len(nearest(query, left, 10) & set(found.tolist()))
    assert hits >= 0.95 * 300


def test_a_chunk_removed_after_it_was_read_and_before_it_was_added_is_left_out() -> None:
    graph = Graph(DIMS, rows_per_step=0)
    graph.add(NUMBERS[:5], VECTORS[:5])

    graph.remove([int(NUMBERS[7])])
    graph.add(NUMBERS[5:10], VECTORS[5:10])

    assert (graph.rows, graph.last) == (9, NUMBERS[9])
    assert VECTORS[7].astype(np.float16).tobytes() not in graph._codes().tobytes()


def test_what_is_added_twice_is_there_once() -> None:
    graph = Graph(DIMS, rows_per_step=0)

    graph.add(NUMBERS[:5], VECTORS[:5])
    graph.add(NUMBERS[:7], VECTORS[:7])

    assert graph.rows == 7


def test_an_empty_graph_has_nothing_to_remove_and_finds_nothing() -> None:
    graph = Graph(DIMS, rows_per_step=0)

    graph.remove([1, 2])

    assert (graph.rows, graph.empty_share) == (0, 0.0)
    assert not len(graph.nearest(unit(1, dims=DIMS)[0], 10, flags(NUMBERS))[0])


def test_what_is_removed_of_other_stores_is_remembered_until_the_graph_is_past_it(graph: Graph) -> None:
    first, second, third, fourth = range(int(NUMBERS[-1]) + 1, int(NUMBERS[-1]) + 5)
    graph.remove([first, second])

    graph.reach(second)
    graph.remove([first, fourth])

    assert graph._missed == {fourth}
    graph.add(np.asarray([first, second, third, fourth]), unit(4, seed=2, dims=DIMS))
    assert graph.rows == ROWS + 1
