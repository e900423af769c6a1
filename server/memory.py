"""How the C library keeps what this process has freed. Knows nothing of who asks for memory."""

import ctypes

# In glibc's malloc.h.
_ARENA_MAX = -8
_MMAP_THRESHOLD = -3

_LARGE = 256 * 1024  # bytes


def keep_in_few_places() -> None:
    """Let all threads take their memory from two places; call it before there are threads.

    glibc gives each new thread a place of its own, up to eight for each core. Most work here wanders through a pool of
    threads, so that in time each place has held the most that any work ever took, and keeps the gaps. Large blocks are
    taken from the system, and go back to it: left to itself glibc would soon take those of a few megabytes, which a
    network's layers are, from these places too.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have other ways, and not this trouble
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, _LARGE)
