"""retrieval.parsing.sandbox: a document that takes its reader over can neither change, reach nor read anything."""

import ast
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.parsing import paths

ROOT = Path(__file__).parents[2]
PRELUDE = """
import ctypes, errno, fcntl, mmap, os, platform, resource, signal, socket, sys
from retrieval.parsing.sandbox import confine, end_with
victim, folder = sys.argv[1], os.path.dirname(sys.argv[1])
parent, libc, page = os.getppid(), ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(4096)
lifeline, held = os.pipe()

def asked(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")

def outcome(attempt):
    try:
        exec(attempt)
    except OSError as error:
        return errno.errorcode[error.errno]
    except MemoryError:
        return "no memory"
    return "done"
"""
CHANGES = (
    "os.unlink(victim)",
    "os.rename(victim, victim + '.old')",
    "os.truncate(victim, 0)",
    "os.chmod(victim, 0)",
    "os.chown(victim, os.getuid(), -1)",
    "os.utime(victim)",
    "os.link(victim, victim + '.link')",
    "os.symlink(victim, victim + '.link')",
    "os.mkdir(folder + '/planted')",
    "os.mkfifo(folder + '/planted')",
    "os.setxattr(victim, 'user.planted', b'x')",
    "os.open(victim, os.O_WRONLY)",
    "os.open(victim, os.O_RDONLY | os.O_TRUNC)",
    "os.open(folder + '/planted', os.O_RDONLY | os.O_CREAT)",
    "os.open(folder, os.O_TMPFILE | os.O_RDWR)",
    "mmap.mmap(os.open(victim, os.O_RDWR), 0)[:1] = b'x'",
    "os.open(f'/proc/{parent}/mem', os.O_RDWR)",
    "os.open(f'/proc/{os.getpid()}/mem', os.O_RDWR)",
    "os.memfd_create('program')",
)
REACHES = (
    "socket.create_connection(('127.0.0.1', 9))",
    "socket.socket(socket.AF_UNIX)",
    "os.execv('/bin/true', ['true'])",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.fork() or os._exit(0)",
    "os.setsid()",
    "os.kill(parent, 0)",
    "asked(libc.syscall({'x86_64': 200, 'aarch64': 130}[platform.machine()], parent, 0))  # tkill",
    "asked(libc.tgkill(parent, parent, 0))",
    "signal.pidfd_send_signal(os.pidfd_open(parent), 0)",
    "fcntl.fcntl(held, fcntl.F_SETOWN, parent)",
    "asked(libc.ptrace(16, parent, None, None))",
    "asked(libc.process_vm_readv(parent, page, 1, page, 1, 0))",
    "resource.prlimit(parent, resource.RLIMIT_NOFILE)",
    "os.sched_setaffinity(parent, {0})",
    "os.setpriority(os.PRIO_PROCESS, parent, 0)",
)
OUTLIVES = (
    "os.close(lifeline)",
    "os.dup2(held, lifeline)",
    "fcntl.fcntl(lifeline, fcntl.F_SETFL, 0)",
    "fcntl.fcntl(lifeline, fcntl.F_SETOWN, 0)",
    "signal.signal(signal.SIGIO, signal.SIG_IGN)",
    "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})",
)
READS = (
    "open(victim)",
    "os.listdir(folder)",
    "open(f'/proc/{parent}/environ', 'rb')",
    "open(f'/proc/{parent}/mem', 'rb')",
    "open(f'/proc/{parent}/maps')",
    "fcntl.flock(os.open(victim, os.O_RDONLY), fcntl.LOCK_EX)",
)
GAPS = [
    "could read what this server may read: no Landlock on this machine",
    "could use the network, other processes and files: no seccomp on this machine",
]


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "store.db"
    path.write_text("of all tenants")
    return path


@pytest.fixture(scope="module")
def outcomes(victim: Path) -> tuple[list[str], dict[str, str]]:
    """What a confined process says that it could still do, and what became of each attempt."""
    attempts = (*CHANGES, *REACHES, *OUTLIVES, *READS)
    said = run(
        "end_with(lifeline)\ngaps = confine(1 << 28, lifeline)\n"
        f"print((gaps, {{attempt: outcome(attempt) for attempt in {attempts}}}))",
        str(victim),
    )
    gaps, found = ast.literal_eval(said)
    return gaps, found


@pytest.mark.parametrize("attempt", [*CHANGES, *REACHES, *OUTLIVES])
def test_a_document_that_takes_its_reader_over_gets_nowhere(
    outcomes: tuple[list[str], dict[str, str]], victim: Path, attempt: str
) -> None:
    gaps, found = outcomes

    assert GAPS[1] not in gaps
    assert found[attempt] in {"EACCES", "ENOSYS"}
    assert (victim.read_text(), os.listdir(victim.parent)) == ("of all tenants", [victim.name])


@pytest.mark.parametrize("attempt", READS)
def test_what_is_no_library_cannot_be_read_or_the_process_says_that_it_can(
    outcomes: tuple[list[str], dict[str, str]], attempt: str
) -> None:
    gaps, found = outcomes

    assert found[attempt] in {"EACCES", "ENOSYS"} or GAPS[0] in gaps


def test_memory_is_bounded() -> None:
    assert run("confine(1 << 28, lifeline); print(outcome(\"b'x' * (1 << 29)\"))", "") == "no memory\n"


def test_a_process_that_finds_itself_broken_may_still_abort() -> None:
    code = f"{PRELUDE}\nconfine(1 << 28, lifeline); os.abort()"

    assert subprocess.run([sys.executable, "-c", code, ""], cwd=ROOT, check=False).returncode == -6


def test_what_the_machine_cannot_keep_a_process_from_is_said() -> None:
    # The second time the system calls that confine it are forbidden themselves.
    assert run("confine(1 << 28, lifeline); print(confine(1 << 28, lifeline))", "") == f"{GAPS}\n"


def test_without_landlock_files_are_read_all_the_same_and_the_log_says_once_what_that_means() -> None:
    # A filter that answers as an older kernel does: load the number; is it 444; no such call; allow.
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000))
    code = f"""
import logging
from pathlib import Path
from retrieval.parsing.process import ParseProcess
steps = ctypes.create_string_buffer({b"".join(struct.pack("HBBI", *step) for step in steps)!r})
program = ctypes.create_string_buffer(__import__("struct").pack("HP", 4, ctypes.addressof(steps)))
libc.prctl(38, 1, 0, 0, 0), libc.prctl(22, 2, program, 0, 0)
logging.basicConfig(format="%(message)s")
parser = ParseProcess(files_per_process=1)
print(*(parser.parse(Path("a.txt"), data).text for data in (b"one", b"two")))
parser.close()
"""

    assert run(code, "").splitlines() == ["one two", f"documents are read in a process that {GAPS[0]}"]


def test_a_place_that_may_not_be_looked_at_is_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    unseen = "/" + "a" * 300  # as little to be looked at as one in a closed folder, and for root too
    with pytest.raises(OSError, match="too long"):
        Path(unseen).exists()
    monkeypatch.setattr(paths, "_SYSTEM", ("/usr/lib", unseen))

    found = paths.readable()

    assert Path("/usr/lib") in found
    assert Path(unseen) not in found
