"""What a process gives up before it opens a file that a stranger made: memory, files, the network, other programs.

Everything is given up for good, and by means that any user has.
"""

import ctypes
import fcntl
import os
import resource
import select
import sys
import time

from retrieval.parsing.calls import leave_only_harmless
from retrieval.parsing.paths import leave_only_libraries

_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 64


def confine(memory_bytes: int, lifeline: int) -> list[str]:
    """Leave this process memory, what it has open, and the reading of libraries and fonts.

    Args:
        lifeline: see `end_with`; it can no more be cut from this end.

    Returns:
        What the machine cannot keep such a process from, each with the reason, in words that follow "a process that".
    """
    for kind, bound in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (bound, bound))
    is_kept = sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    gaps = []
    if not (is_kept and leave_only_libraries()):
        gaps.append("could read what this server may read: no Landlock on this machine")
    if not (is_kept and leave_only_harmless(lifeline)):
        gaps.append("could use the network, other processes and files: no seccomp on this machine")
    return gaps


def allow_seconds(seconds: int) -> None:
    """Let this process compute for so long from now; then the kernel ends it."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 1, hard))


def end_with(lifeline: int) -> None:
    """Have the kernel end this process when the other end of a pipe closes, whatever it is doing then."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    # SIGIO, whose default is to end the process.
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    watched = select.poll()
    watched.register(lifeline, select.POLLIN)
    if watched.poll(0):  # it closed before the kernel was asked
        os._exit(1)
