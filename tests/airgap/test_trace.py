"""Reading traces: what leaves the machine is found, whatever call sends it, and what stays is not reported."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.airgap.trace import TracerFailed, beyond, cut_off
from tests.waiting import until

STAYS = """\
71 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3
71 connect(3, {sa_family=AF_INET, sin_port=htons(8000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
72 connect(4, {sa_family=AF_INET6, sin6_port=htons(8000), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", \
&sin6_addr), sin6_scope_id=0}, 28) = 0
72 connect(5, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory)
72 sendto(6, ""..., 20, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 20
72 sendto(3, ""..., 317, 0, NULL, 0) = 317
72 accept4(7, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("192.0.2.7")}, [16], SOCK_CLOEXEC) = 8
"""


def test_what_stays_on_the_machine_is_not_reported() -> None:
    assert beyond(STAYS) == []


@pytest.mark.parametrize(
    "line",
    [
        '9 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16 <unfinished ...>',
        "9 connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "
        '"2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 ENETUNREACH (Network is unreachable)',
        '9 sendto(3, ""..., 1, 0, {sa_family=AF_INET, sin_port=htons(99), sin_addr=inet_addr("192.0.2.1")}, 16) = 1',
        '9 sendmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(99), sin_addr=inet_addr("192.0.2.1")}}, 0) = 1',
        '9 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0',
        '9 sendto(3, ""..., 1, 0, {sa_family=AF_PACKET, sll_protocol=htons(ETH_P_IP)}, 20) = 1',
        '9 sendmmsg(3, [{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}}}, '
        '{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(2), sin_addr=inet_addr("192.0.2.1")}}}], 2, 0) = 2',
    ],
)
def test_what_leaves_is_reported(line: str) -> None:
    assert beyond(STAYS + line) == [line]


@pytest.mark.cut_off
@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('192.0.2.1', 443))",
        "socket.create_connection(('2001:db8::1', 443))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
        "socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('192.0.2.1', 9))",
        "subprocess.run([sys.executable, '-c', 'import socket; socket.create_connection((\"192.0.2.1\", 443))'])",
    ],
)
def test_an_attempt_is_seen_though_it_fails(call: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = f"import socket, subprocess, sys; {call}"

    ended = cut_off([sys.executable, "-c", code], trace, cwd=tmp_path, env={}, timeout_s=60)

    assert "OSError" in ended.stderr
    assert len(beyond(trace.read_text())) == 1


@pytest.mark.cut_off
@pytest.mark.parametrize("then", ["time.sleep(600)", "sys.exit(1)"])
def test_a_tracer_that_fails_ends_the_run_at_once_and_is_told_apart_from_what_it_watched(
    then: str, tmp_path: Path
) -> None:
    said = "strace: ptrace(PTRACE_LISTEN,pid:71,sig:0): Input/output error"
    code = f"import sys, time; print({said!r}, file=sys.stderr, flush=True); {then}"

    with pytest.raises(TracerFailed, match="PTRACE_LISTEN"):
        cut_off([sys.executable, "-c", code], tmp_path / "trace", cwd=tmp_path, env={}, timeout_s=60)


@pytest.mark.cut_off
def test_a_command_that_does_not_end_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    started = "child = subprocess.Popen(['sleep', '600']); print(child.pid, file=open('pid', 'w')); child.wait()"
    code = f"import subprocess; {started}"

    with pytest.raises(subprocess.TimeoutExpired):
        cut_off([sys.executable, "-c", code], tmp_path / "trace", cwd=tmp_path, env={}, timeout_s=3)

    child = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    asyncio.run(until(lambda: has_ended(child)))  # a signal is sent before it is obeyed


def has_ended(process: Path) -> bool:
    """Whether a process is gone, or nothing of it is left but its status."""
    try:
        return process.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
