"""How many threads torch computes on, thread by thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import torch


def compute_alone() -> None:
    """Let torch start no OpenMP workers for the calling thread; all others keep theirs.

    A worker looks for more to do for some milliseconds after each operation. Where other threads compute as well, as
    the compiled step's do, it keeps a core from them all that time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # Threads that have not computed yet start from that, too. Put back by another one: here it would be ours again.
    other = Thread(target=torch.set_num_threads, args=(threads,))
    other.start()
    other.join()


@contextmanager
def computing_on(threads: int) -> Iterator[None]:
    """Let torch compute on so many threads meanwhile, although the calling thread computes alone."""
    if torch.get_num_threads() == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        compute_alone()
