"""The system calls that reading a document takes, and a seccomp filter that leaves a process no others."""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_REFUSE = 0x00050000 | errno.EACCES
# What a kernel answers that does not know a call: C libraries then do without it, or by older means.
_UNKNOWN = 0x00050000 | errno.ENOSYS
# The instructions of a seccomp filter (linux/filter.h), and where it finds the call's number, the machine and, eight
# bytes each with the lower half first, the arguments.
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
# As the kernel names a machine: its number (linux/audit.h), and its column below.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# Missing on purpose, besides all that changes a file or reaches another process: any way to make a process or a thread,
# and to block, handle or redirect the signal by which `sandbox.end_with` ends this one (sigreturn sets a mask, too).
# The most frequent first. None: the machine has another call for it.
_HARMLESS: dict[str, tuple[int, int | None]] = {
    "newfstatat": (262, 79),
    "read": (0, 63),
    "lseek": (8, 62),
    "mmap": (9, 222),  # memory shared with a file needs the file open for writing
    "munmap": (11, 215),
    "brk": (12, 214),
    "write": (1, 64),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "statx": (332, 291),
    "getdents64": (217, 61),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "setrlimit": (160, 164),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_OPEN, _OPENAT = (2, None), (257, 56)
_CLOSE, _FCNTL, _PRLIMIT, _TGKILL = (3, 57), (72, 25), (302, 261), (234, 131)
_O_TMPFILE = 0o20000000  # without the bit of O_DIRECTORY, which os.O_TMPFILE has too
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | _O_TMPFILE
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: no locks, and no signals to others by F_SETOWN.
_FCNTL_COMMANDS = (0, 1, 2, 3, 1030)

_Step = tuple[int, int, int, int]


def leave_only_harmless(lifeline: int) -> bool:
    """Forbid this process, for good, every system call but those above; it must have given up new privileges.

    Args:
        lifeline: a descriptor that may not be closed.

    Returns:
        Whether it was possible; it is on Linux, on x86-64 and aarch64.
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    machine, column = _MACHINES[platform.machine()]
    program = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL_PROCESS)]
    program.append((_LOAD, 0, 0, _NUMBER_AT))
    for numbers, steps in (
        *((numbers, [(_RETURN, 0, 0, _ALLOW)]) for numbers in _HARMLESS.values()),
        (_OPEN, _unless_any_bit(1, _WRITING)),
        (_OPENAT, _unless_any_bit(2, _WRITING)),
        (_CLOSE, _if_other(0, lifeline)),
        (_FCNTL, _if_among(1, _FCNTL_COMMANDS)),
        (_PRLIMIT, _if_among(0, (0,))),
        # Ends a process that finds itself broken, as abort() does.
        (_TGKILL, _if_among(0, (os.getpid(),))),
    ):
        number = numbers[column]
        if number is not None:
            program += [(_EQUAL, 0, len(steps), number), *steps]
    program.append((_RETURN, 0, 0, _UNKNOWN))
    encoded = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    filter_program = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(encoded)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return bool(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program, 0, 0) == 0)


# Every argument that is looked at is an int, of which the kernel reads the lower half alone.


def _argument(at: int) -> _Step:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * at)


def _if_among(at: int, values: Iterable[int]) -> list[_Step]:
    choices = [step for value in values for step in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
    return [_argument(at), *choices, (_RETURN, 0, 0, _REFUSE)]


def _if_other(at: int, value: int) -> list[_Step]:
    return [_argument(at), (_EQUAL, 0, 1, value), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _unless_any_bit(at: int, bits: int) -> list[_Step]:
    return [_argument(at), (_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
