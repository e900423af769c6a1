"""hrm_model.threads: a thread that computes alone, save where many are wanted, and leaves all others theirs."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from hrm_model.threads import compute_alone, computing_on

ALL = 3


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(ALL)
    yield
    torch.set_num_threads(before)


def on_a_new_thread(ask: Callable[[], int]) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


def test_who_computes_alone_leaves_others_theirs() -> None:
    def ask() -> int:
        compute_alone()
        return torch.get_num_threads()

    assert on_a_new_thread(ask) == 1
    assert on_a_new_thread(torch.get_num_threads) == ALL
    assert torch.get_num_threads() == ALL


def test_where_many_are_wanted_they_come_and_go_and_others_keep_theirs() -> None:
    def ask() -> int:
        compute_alone()
        with computing_on(ALL):
            assert torch.get_num_threads() == ALL
        return torch.get_num_threads()

    assert on_a_new_thread(ask) == 1
    assert on_a_new_thread(torch.get_num_threads) == ALL


def test_a_fault_meanwhile_changes_nothing_of_that() -> None:
    def ask() -> int:
        compute_alone()
        with pytest.raises(RuntimeError), computing_on(ALL):
            raise RuntimeError
        return torch.get_num_threads()

    assert on_a_new_thread(ask) == 1
    assert on_a_new_thread(torch.get_num_threads) == ALL
