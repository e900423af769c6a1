"""Threads share the places that memory comes from; seen from outside, in a process of its own."""

import subprocess
import sys

_COUNTED = """
import ctypes, re, sys, threading
from server.memory import keep_in_few_places
if "few" in sys.argv:
    keep_in_few_places()
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
together = threading.Barrier(7)
def take():
    malloc(100_000)
    together.wait()
    together.wait()
for _ in range(6):
    threading.Thread(target=take).start()
together.wait()
# Each place but the first is mapped where an address is a multiple of its size, 64 MiB.
starts = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "rw-p 00000000 00:00 0" in line]
print(sum(start % 2**26 == 0 for start in starts))
together.wait()
"""


_MAPPED = """
import ctypes, sys
from server.memory import keep_in_few_places
if "few" in sys.argv:
    keep_in_few_places()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd x y z fordblks keepcost".split()]
libc.mallinfo2.restype = Counts
libc.free(libc.malloc(20_000_000))  # from here on glibc, left to itself, takes such blocks for small ones
before = libc.mallinfo2().hblks
libc.malloc(1_000_000)
print(libc.mallinfo2().hblks - before)
"""


def test_a_large_block_is_the_systems_again_once_it_is_freed() -> None:
    def mapped(*arguments: str) -> int:
        found = subprocess.run(
            [sys.executable, "-c", _MAPPED, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return int(found.stdout)

    assert mapped() == 0
    assert mapped("few") == 1


def test_threads_share_two_places() -> None:
    def places(*arguments: str) -> int:
        found = subprocess.run(
            [sys.executable, "-c", _COUNTED, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return int(found.stdout)

    assert places() >= 5
    assert places("few") == 1
