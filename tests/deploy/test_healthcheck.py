"""The container's health check, as the container runs it: however the server speaks, it tells life from death."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.authority import Authority

SCRIPT = Path(__file__).parents[2] / "deploy" / "healthcheck.py"


class Living(BaseHTTPRequestHandler):
    """Answers /livez."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Failing(Living):
    """Answers that it cannot."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()


@contextmanager
def answering(handler: type[Living], context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


class Loading(Living):
    """Lives, and is not ready."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()


def checked(port: int, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "HRM_PORT": str(port), **settings}
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_a_server_that_answers_lives() -> None:
    with answering(Living) as port:
        assert checked(port).returncode == 0


def test_what_is_asked_for_may_be_whether_it_is_ready() -> None:
    with answering(Loading) as port:
        assert checked(port).returncode == 0
        assert checked(port, "/readyz").returncode == 1


def test_a_proxy_that_is_set_is_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"

    with answering(Living) as port:
        assert checked(port, http_proxy=nobody, HTTP_PROXY=nobody, no_proxy="").returncode == 0


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    with answering(Living) as port:
        assert checked(port, HRM_TLS_CERTIFICATE="", HRM_TLS_CLIENT_CA="").returncode == 0


def test_one_that_says_it_cannot_does_not() -> None:
    with answering(Failing) as port:
        found = checked(port)

    assert found.returncode == 1
    assert "503" in found.stderr


def test_neither_does_one_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert "Connection refused" in checked(port).stderr


@pytest.mark.parametrize("client_certificates", [False, True])
def test_tls_is_spoken_where_the_server_does(client_certificates: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    settings = {"HRM_TLS_CERTIFICATE": str(pair.certificate)}
    if client_certificates:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        settings["HRM_TLS_CLIENT_CA"] = str(authority.certificate)

    with answering(Living, context) as port:
        assert checked(port, **settings).returncode == 0
        assert checked(port).returncode == 1, "this port speaks TLS alone"
        if client_certificates:
            assert "not told of /readyz" in checked(port, "/readyz", **settings).stderr
