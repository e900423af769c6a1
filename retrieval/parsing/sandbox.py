"""What a process gives up before it opens a file that a stranger made: memory, files, the network, other programs.

Everything is given up for good, and by means that any user has.
"""

import ctypes
import errno
import fcntl
import os
import platform
import resource
import select
import struct
import sys
import time

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_REFUSE = 0x00050000 | errno.EACCES
# The instructions of a seccomp filter (linux/filter.h), and where it finds the call's number and the machine.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4
_X32 = 0x40000000  # the same calls again, by other numbers
# By machine, as the kernel names it, the numbers of: socket, connect, bind, execve, execveat, ptrace, process_vm_readv,
# process_vm_writev, kill, bpf, io_uring_setup; on x86-64 fork and vfork as well.
_MACHINES = {
    "x86_64": (0xC000003E, (41, 42, 49, 59, 322, 101, 310, 311, 62, 321, 425, 57, 58)),
    "aarch64": (0xC00000B7, (198, 203, 200, 221, 281, 117, 270, 271, 129, 280, 425)),
}
_OPEN_FILES = 64


def confine(memory_bytes: int) -> bool:
    """Bound memory, forbid writing files, and forbid the network and other programs.

    Returns:
        Whether the last was possible; it is on Linux, on x86-64 and aarch64.
    """
    for kind, bound in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (bound, bound))
    return sys.platform == "linux" and _forbid_calls()


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


def _forbid_calls() -> bool:
    if platform.machine() not in _MACHINES:
        return False
    machine, calls = _MACHINES[platform.machine()]
    checks = [(_AT_LEAST, _X32), *((_EQUAL, call) for call in calls)]
    program = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        # On a match over what is left of the checks and the permission, to the refusal.
        *((code, len(checks) - at, 0, value) for at, (code, value) in enumerate(checks)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    encoded = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    filter_program = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(encoded)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return bool(
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program, 0, 0) == 0
    )
