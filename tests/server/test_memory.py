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


def test_threads_share_two_places() -> None:
    def places(*arguments: str) -> int:
        found = subprocess.run(
            [sys.executable, "-c", _COUNTED, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return int(found.stdout)

    assert places() >= 5
    assert places("few") == 1
