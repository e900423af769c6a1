"""What a new site does first, as a program of its own that needs nothing but Python: it is run without a network.

    python journey.py STARTS DATA_DIR [DOCUMENT...] -- HRM_SERVE...

Takes in the documents, or else the samples; then, STARTS times, serves, asks and stops. `HRM_SERVE...` is the command.
A collector of traces listens at HRM_OTEL_ENDPOINT, if that is set. Prints a JSON object: the `answers`, and whether the
collector was `told` of them.
"""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
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
    with collecting(os.environ.get("HRM_OTEL_ENDPOINT")) as received:
        for _ in range(int(starts)):
            with serving([*hrm_serve, "serve", "--data-dir", data, "--default-store", "handbook"]) as url:
                answers.append(ask(url, QUESTION))
    told = sum(f"chat {MODEL}".encode() in message for message in received)
    print(json.dumps({"answers": answers, "told": told}))


@contextmanager
def collecting(endpoint: str | None) -> Iterator[list[bytes]]:
    """What is sent to a collector of traces on this machine; nothing, if there is no address for it."""
    received: list[bytes] = []
    if endpoint is None:
        yield received
        return

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", int(endpoint.rpartition(":")[2])), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield received
        server.shutdown()


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
