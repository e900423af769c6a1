"""What a piece of work costs the processor, told apart from whatever else the process does meanwhile."""

import gc
from collections.abc import Callable
from time import thread_time

_TIMES = 3


def effort(work: Callable[[], object]) -> float:
    """Seconds of processor time that the work takes this thread, at the best of three times.

    Other threads are not counted, and no collection of garbage falls into it: after thousands of tests one alone
    takes longer than many a piece of work that is measured here.
    """

    def once() -> float:
        began = thread_time()
        work()
        return thread_time() - began

    gc.collect()
    gc.disable()
    try:
        return min(once() for _ in range(_TIMES))
    finally:
        gc.enable()
