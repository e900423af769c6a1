"""Commands in a network namespace that has no way out, and the system calls by which they tried to find one."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TextIO

# -s 0: what is sent is nobody's business here; seccomp: only the calls that are looked at are slowed down.
_STRACE = ("strace", "--follow-forks", "--seccomp-bpf", "--trace=network", "--string-limit=0", "--quiet=all")
_SENDING = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(")
_FAMILY = re.compile(r"sa_family=(\w+)")
_ADDRESS = re.compile(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
# Within a machine: sockets with a path, the kernel's own tables, and a socket that is cut off from its peer.
_INTERNAL = frozenset({"AF_UNIX", "AF_NETLINK", "AF_UNSPEC"})
# Seen on some kernels: strace loses a thread that just started, and then waits for it for good.
_TRACER_FAILED = re.compile(r"^strace: ptrace\(.*", re.MULTILINE)
_DNS = 53  # on a loopback address too: such a resolver asks others in our name


def can_cut_off() -> bool:
    """Whether this machine lets this user make network namespaces and trace processes."""
    if not all(map(shutil.which, ("unshare", "strace"))):
        return False
    tried = subprocess.run([*_unshare(), *_STRACE, "--output=/dev/null", "true"], capture_output=True, check=False)
    return tried.returncode == 0


class TracerFailed(Exception):
    """strace, and not what it watched, came to grief: the run shows nothing, and is to be made again."""


def cut_off(
    command: Sequence[str], trace: Path, *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command, and all that it starts, without a network, and write its network calls to `trace`.

    Raises:
        TracerFailed: strace could not go on watching.
        subprocess.TimeoutExpired: the command took longer than `timeout_s`.
    """
    traced = [*_unshare(), *_STRACE, f"--output={trace}", *command]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        running = subprocess.Popen(traced, cwd=cwd, env=env, stdout=out, stderr=err, start_new_session=True)
        try:
            _watch(running, err, timeout_s)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
        return subprocess.CompletedProcess(traced, running.returncode, _whole(out), _whole(err))


def _watch(running: "subprocess.Popen[bytes]", err: TextIO, timeout_s: float) -> None:
    ends = time.monotonic() + timeout_s
    while True:
        has_ended = running.poll() is not None  # before it is read what it said, or its last words would be missed
        if failed := _TRACER_FAILED.search(_whole(err)):
            raise TracerFailed(failed[0])
        if has_ended:
            return
        if time.monotonic() > ends:
            raise subprocess.TimeoutExpired(running.args, timeout_s, stderr=_whole(err))
        time.sleep(0.2)


def _whole(file: TextIO) -> str:
    # By position: the child writes through the same open file, whose offset must stay where it is.
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


def beyond(trace: str) -> list[str]:
    """The lines of a trace in which something was sent, or would have been, to other than this machine."""
    return [line for line in trace.splitlines() if _SENDING.search(line) and _leaves(line)]


def _leaves(line: str) -> bool:
    families = set(_FAMILY.findall(line))
    if families - _INTERNAL - {"AF_INET", "AF_INET6"}:
        return True
    ports = {int(port) for port in _PORT.findall(line)}
    return _DNS in ports or not all(ip_address(address).is_loopback for address in _ADDRESS.findall(line))


def _unshare() -> tuple[str, ...]:
    return ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--net")
