"""What a new site does first, as a program of its own that needs nothing but Python: it is run without a network.

    python journey.py STARTS DATA_DIR [DOCUMENT...] -- HRM_SERVE...

Takes in the documents, or else the samples; then, STARTS times, serves, asks and stops. Prints the answers as a JSON
list. `HRM_SERVE...` is the command.
"""

import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from urllib.request import Request, urlopen

QUESTION = "How long are server logs kept?"
MODEL = "hrm-text-mini"
START_S = 120
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def main(arguments: Sequence[str]) -> None:
    """Make the journey."""
    middle = arguments.index("--")
    starts, data, *documents = arguments[:middle]
    hrm_serve = arguments[middle + 1 :]
    raise_loopback()
    if not documents:
        documents = [subprocess.run([*hrm_serve, "samples"], check=True, capture_output=True, text=True).stdout.strip()]
    ingest = [*hrm_serve, "ingest", *documents, "--store", "handbook", "--read", "*", "--data-dir", data]
    subprocess.run(ingest, check=True, stdout=sys.stderr)
    answers = []
    for _ in range(int(starts)):
        with serving([*hrm_serve, "serve", "--data-dir", data, "--default-store", "handbook"]) as url:
            answers.append(ask(url, QUESTION))
    print(json.dumps(answers))


def raise_loopback() -> None:
    """A new network namespace has a loopback interface, which is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = struct.unpack_from("16xh", fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", b"lo")))[0]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


@contextmanager
def serving(command: Sequence[str], port: int = 8000) -> Iterator[str]:
    """A running server that is ready; it is asked to end, and has to."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([*command, "--port", str(port)], stdout=sys.stderr)
    try:
        deadline = monotonic() + START_S
        while not is_ready(url):
            if process.poll() is not None or monotonic() > deadline:
                raise SystemExit("the server did not start")
            sleep(0.5)
        yield url
        process.send_signal(signal.SIGTERM)
        if status := process.wait(timeout=60):
            raise SystemExit(f"the server ended with status {status}")
    finally:
        process.kill()


def is_ready(url: str) -> bool:
    """Whether the server would answer a question now; while it loads, it may not answer at all."""
    try:
        with urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def ask(url: str, question: str, key: str | None = None) -> Any:
    """One question, whole; the completion."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": question}]}).encode()
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    with urlopen(Request(f"{url}/v1/chat/completions", body, headers), timeout=120) as response:
        return json.load(response)


if __name__ == "__main__":
    main(sys.argv[1:])
