"""Commands in a network namespace that has no way out, and the system calls by which they tried to find one."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

# -s 0: what is sent is nobody's business here; seccomp: only the calls that are looked at are slowed down.
_STRACE = ("strace", "--follow-forks", "--seccomp-bpf", "--trace=network", "--string-limit=0", "--quiet=all")
_SENDING = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(")
_FAMILY = re.compile(r"sa_family=(\w+)")
_ADDRESS = re.compile(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
# Within a machine: sockets with a path, the kernel's own tables, and a socket that is cut off from its peer.
_INTERNAL = frozenset({"AF_UNIX", "AF_NETLINK", "AF_UNSPEC"})
_DNS = 53  # on a loopback address too: such a resolver asks others in our name


def can_cut_off() -> bool:
    """Whether this machine lets this user make network namespaces and trace processes."""
    if not all(map(shutil.which, ("unshare", "strace"))):
        return False
    tried = subprocess.run([*_unshare(), *_STRACE, "--output=/dev/null", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def cut_off(
    command: Sequence[str], trace: Path, *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command, and all that it starts, without a network, and write its network calls to `trace`."""
    return subprocess.run(
        [*_unshare(), *_STRACE, f"--output={trace}", *command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


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
