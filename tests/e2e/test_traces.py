"""The real process and a collector on loopback: what is sent is OTLP, and holds nothing of what was asked or stored."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from tests.e2e.served import ROOT, environment, serving, write_checkpoint

CANARY = "zanzibar"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DOCUMENT = f"Claims.\n\nMarta Velin of {CANARY} leads the claims desk.\n"
CHAT = "/v1/chat/completions"
STOP_S = 60


class Collector(ThreadingHTTPServer):
    """Takes what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[tuple[str, bytes]] = []  # path, and body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def scoped(self) -> list[ScopeSpans]:
        requests = [ExportTraceServiceRequest.FromString(body) for _, body in self.taken]
        return [scope for request in requests for resource in request.resource_spans for scope in resource.scope_spans]

    def scopes(self) -> set[str]:
        return {scope.scope.name for scope in self.scoped()}

    def spans(self) -> list[Span]:
        return [span for scope in self.scoped() for span in scope.spans]


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "hrm-tiny")


def take_in(client: httpx.Client, filename: str, text: str, *, store: str) -> None:
    file = client.post("/v1/files", files={"file": (filename, text)}, data={"purpose": "assistants"}).json()["id"]
    store_id = client.post("/v1/vector_stores", json={"name": store}).json()["id"]
    client.post(f"/v1/vector_stores/{store_id}/files", json={"file_id": file})
    deadline = monotonic() + STOP_S
    while client.get(f"/v1/vector_stores/{store_id}/files/{file}").json()["status"] != "completed":
        assert monotonic() < deadline
        sleep(0.1)


def test_a_collector_is_sent_every_request_and_nothing_of_its_content(tmp_path: Path, checkpoint: Path) -> None:
    asked = {"model": f"hrm-tiny@{CANARY}", "messages": [{"role": "user", "content": f"Who leads {CANARY}?"}]}
    with collecting() as collector, serving(tmp_path, checkpoint, ["--otel-endpoint", collector.url]) as running:
        headers = {"User-Agent": CANARY, "X-Canary": CANARY, "traceparent": f"00-{TRACE}-{PARENT}-01"}
        with httpx.Client(base_url=running.url, headers=headers, timeout=60) as client:
            take_in(client, f"{CANARY}.txt", DOCUMENT, store=CANARY)
            whole = client.post(CHAT, json={**asked, "max_tokens": 8}).json()
            client.post(CHAT, json={**asked, "max_tokens": 8, "stream": True})
            client.post(CHAT, json={**asked, "model": CANARY})
            client.post("/v1/completions", json={"model": "hrm-tiny", "prompt": CANARY, "max_tokens": 2})
            client.post("/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": CANARY})
            client.post(f"/v1/vector_stores/{CANARY}/search", json={"query": CANARY})
            client.get(f"/v1/files/{CANARY}?{CANARY}")
            client.get(f"/{CANARY}")
            client.post(CHAT, json={CANARY: CANARY})
        running.terminate()
        assert running.process.wait(STOP_S) == 0

    message = whole["choices"][0]["message"]
    assert CANARY in message["context"]["citations"][0]["content"]
    ours = [span for span in collector.spans() if span.trace_id.hex() == TRACE]
    names = [span.name for span in ours]
    assert names.count("chat hrm-tiny") == names.count(f"POST {CHAT}") - 1 == 3
    assert names.count("retrieval") == 3
    assert {
        "text_completion hrm-tiny",
        "embeddings all-MiniLM-L6-v2",
        "POST /v1/vector_stores/{store}/search",
        "GET /v1/files/{file_id}",
        "GET",
    } <= set(names)
    chats = [span for span in ours if span.name == "chat hrm-tiny"]
    told = {fact.key: fact.value for fact in chats[0].attributes}
    assert told["gen_ai.usage.input_tokens"].int_value == whole["usage"]["prompt_tokens"]
    assert told["hrm.retrieval.used"].int_value == 1
    assert [span.status.code for span in chats].count(Status.STATUS_CODE_ERROR) == 1
    assert {path for path, _ in collector.taken} == {"/v1/traces"}
    assert collector.scopes() == {"hrm-serve"}
    for _, body in collector.taken:
        assert CANARY.encode() not in body.lower()
        assert b"Marta" not in body
        assert message["content"].encode() not in body


def test_an_endpoint_without_the_extra_stops_the_start_and_says_what_to_do(tmp_path: Path, checkpoint: Path) -> None:
    code = "import sys; sys.modules['opentelemetry.sdk'] = None; from server.cli import main; sys.exit(main())"
    arguments = ["serve", "--model", str(checkpoint), "--data-dir", str(tmp_path / "data"), "--port", "0"]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--otel-endpoint", "http://127.0.0.1:4318"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )

    assert ended.returncode == 1
    assert "HRM_OTEL_ENDPOINT is set, and OpenTelemetry is not installed" in ended.stderr
    assert "pip install 'hrm-serve[otel]'" in ended.stderr
    assert not (tmp_path / "data").exists()
