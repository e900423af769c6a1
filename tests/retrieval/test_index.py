"""retrieval.index: exact search among visible chunks, in blocks of half-precision vectors."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.index import BLOCK, Block, SnapshotRefused, VectorIndex, block_of
from tests.retrieval.vectors import DIMS, Filled, held, unit


@pytest.mark.parametrize("seed", range(5))
def test_a_search_finds_what_a_comparison_with_every_vector_finds(seed: int) -> None:
    filled = Filled(unit(5000, seed))
    query = unit(1, seed + 100)[0]

    assert filled.search(query, 50) == filled.ranked(query)[:50]


def test_vectors_that_half_precision_cannot_tell_apart_are_told_apart() -> None:
    """Thousands within the rounding of each other: the scan alone would give any of them."""
    directions = np.zeros((3000, DIMS), np.float32)
    directions[:, 0] = 1
    directions[:, 1] = np.linspace(0.01, 0.0101, 3000)
    np.random.default_rng(7).shuffle(directions)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    filled = Filled(directions)
    query = np.asarray([0, 1, 0, 0, 0, 0, 0, 0], np.float32)
    half = directions.astype(np.float16).astype(np.float32) @ query

    found = filled.search(query, 5)

    assert found == filled.ranked(query)[:5]
    assert np.count_nonzero(half == half.max()) > 20


def test_where_nothing_is_near_the_border_few_vectors_are_compared_again() -> None:
    filled = Filled(unit(5000))

    filled.search(unit(1, seed=1)[0], 10)

    assert filled.asked <= 4 * 2 * 10


def test_of_equal_vectors_the_lower_numbers_come_first() -> None:
    filled = Filled(np.repeat(unit(1), 100, axis=0))

    assert filled.search(unit(1)[0], 4) == [1, 2, 3, 4]


def test_what_is_not_visible_is_not_found_and_takes_no_place() -> None:
    filled = Filled(unit(200))
    query = unit(1, seed=1)[0]
    visible = filled.all()
    visible[::7] = False
    visible[100:] = False

    assert filled.search(query, 10, visible) == filled.ranked(query, visible)[:10]


def test_fewer_are_found_where_fewer_are_visible() -> None:
    filled = Filled(unit(200))
    visible = np.zeros(201, np.bool_)
    visible[[5, 9]] = True

    assert sorted(filled.search(unit(1)[0], 10, visible)) == [5, 9]
    assert filled.search(unit(1)[0], 10, np.zeros(201, np.bool_)) == []
    assert filled.search(unit(1)[0], 0) == []
    assert VectorIndex(DIMS).search(unit(1)[0], 10, np.zeros(1, np.bool_), filled.exact) == []


def test_chunks_far_apart_lie_in_blocks_of_their_own_and_are_found_together() -> None:
    numbers = [1, BLOCK - 1, BLOCK, 3 * BLOCK + 5, 3 * BLOCK + 6]
    filled = Filled(unit(5), numbers)
    query = unit(1, seed=1)[0]

    assert set(filled.index.blocks) == {0, 1, 3}
    assert held(filled.index) == numbers
    assert filled.search(query, 5) == filled.ranked(query)


def test_removed_chunks_are_gone_from_memory() -> None:
    filled = Filled(unit(200))

    touched = filled.index.remove([3, 1, 999, 5 * BLOCK])
    filled.index.remove([])

    assert touched == {0, 5}
    assert filled.index.rows == 198
    assert not {1, 3} & set(held(filled.index))
    assert filled.search(filled.vectors[0], 1) != [1]


def test_a_block_of_which_nothing_is_left_is_dropped() -> None:
    filled = Filled(unit(2), [1, BLOCK])

    filled.index.remove([1])

    assert set(filled.index.blocks) == {1}


def test_a_change_marks_its_block_as_not_saved() -> None:
    filled = Filled(unit(2), [1, BLOCK])
    for block in filled.index.blocks.values():
        block.saved = "somewhere"

    filled.index.add([2], unit(1))
    assert [block.saved for block in filled.index.blocks.values()] == [None, "somewhere"]
    filled.index.remove([BLOCK])
    assert block_of(BLOCK) not in filled.index.blocks


def test_a_written_block_is_read_as_it_was(tmp_path: Path) -> None:
    filled = Filled(unit(200))
    path = tmp_path / "0-x.faiss"
    path.write_bytes(filled.index.blocks[0].image().tobytes())

    filled.index.blocks[0] = Block.read(path, DIMS)

    assert filled.index.blocks[0].saved == path.name
    assert filled.search(unit(1, seed=1)[0], 9) == filled.ranked(unit(1, seed=1)[0])[:9]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    path.write_bytes(b"no index at all")
    with pytest.raises(SnapshotRefused):
        Block.read(path, DIMS)

    path.write_bytes(Filled(unit(2)).index.blocks[0].image().tobytes())
    with pytest.raises(SnapshotRefused, match="not a block of 9"):
        Block.read(path, DIMS + 1)


def test_the_block_of_many_numbers_is_the_block_of_each() -> None:
    numbers: NDArray[np.int64] = np.asarray([0, BLOCK - 1, BLOCK])

    assert block_of(numbers).tolist() == [block_of(int(number)) for number in numbers] == [0, 0, 1]
