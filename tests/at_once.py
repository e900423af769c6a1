"""The same act by several threads at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")


def at_once(count: int, act: Callable[[], T]) -> list[T]:
    """What it gave each; raises what it raised for one of them."""
    start = Barrier(count)

    def begin() -> T:
        start.wait()
        return act()

    with ThreadPoolExecutor(count) as threads:
        return [begun.result() for begun in [threads.submit(begin) for _ in range(count)]]
