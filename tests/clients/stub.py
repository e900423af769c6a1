"""An HTTP server that speaks the wire of /v1/chat/completions and knows one answer, chosen by the test.

It is written from the wire's description and shares no code with the server, so that a client that reads it has
understood the wire and not an implementation.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

JSON = dict[str, Any]
HANDBOOK = "Trainees have 30 days. Full-time staff receive 27 working days of leave. Days lapse on 31 March."
SENTENCE = "Full-time staff receive 27 working days of leave."
# No test takes this long; a client that never leaves must not hang the run.
PATIENCE_S = 20.0


def passage(text: str = HANDBOOK, *, file: str = "leave.md", title: str = "Leave", at: int = 100) -> JSON:
    """A source as `context.citations` lists it."""
    return {
        "content": text,
        "title": title,
        "url": f"/v1/files/file-{file}/content#char={at},{at + len(text)}",
        "filepath": file,
        "chunk_id": f"file-{file}:{at}-{at + len(text)}",
        "file_id": f"file-{file}",
        "vector_store_id": "vs_handbook",
        "page": None,
        "locator": "",
        "start_char": at,
        "end_char": at + len(text),
        "sha256": "0" * 64,
        "score": 0.8125,
        "attributes": {},
    }


def annotation(answer: str, cited: str, source: JSON, *, quote: str, index: int = 0) -> JSON:
    """An annotation of the stretch `cited` of `answer`, supported by `quote` in `source`."""
    start = answer.index(cited)
    begin = source["start_char"] + source["content"].index(quote)
    return {
        "index": index,
        "type": "url_citation",
        "url_citation": {
            "start_index": start,
            "end_index": start + len(cited),
            "url": f"/v1/files/{source['file_id']}/content#char={begin},{begin + len(quote)}",
            "title": source["title"],
            "content": quote,
        },
    }


def grounding(status: str = "supported", *, sentences: int = 1, supported: int = 1, passages: int = 1) -> JSON:
    """The verdict as `context.grounding` tells it."""
    return {
        "status": status,
        "sentences": sentences,
        "supported_sentences": supported,
        "retrieved": passages,
        "used": passages,
        "truncated": False,
        "index_generation": None,
    }


@dataclass
class Reply:
    """What the server answers, and where in the middle it fails or falls silent."""

    pieces: list[str]
    citations: list[JSON] = field(default_factory=list)
    annotations: list[JSON] = field(default_factory=list)
    grounding: JSON | None = None
    finish_reason: str = "stop"
    error_after: int | None = None  # pieces before an error frame
    cut_after: int | None = None  # pieces before the body ends without a word
    torn_after: int | None = None  # pieces before the connection is closed in the middle of the body
    silent_after: int | None = None  # pieces before nothing but heartbeats
    pause_s: float = 0.0  # before each frame; a heartbeat is sent in the middle of it

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def twenty_seven_days() -> Reply:
    """The answer that most tests ask for: one sentence, one source, one marker."""
    source = passage()
    text = "27 working days. [1]"
    return Reply(
        ["27 ", "working ", "days.", " [1]"],
        citations=[source],
        annotations=[annotation(text, text, source, quote=SENTENCE)],
        grounding=grounding(),
    )


def not_in_the_documents() -> Reply:
    """Passages were read, and none held the answer."""
    return Reply(
        ["The documents do not contain the answer."],
        citations=[passage()],
        grounding=grounding("abstained", sentences=0, supported=0),
    )


def nothing_found() -> Reply:
    """No passage was found at all."""
    verdict = grounding("no_sources", sentences=0, supported=0, passages=0)
    return Reply(["The documents do not contain the answer."], grounding=verdict)


@dataclass(frozen=True)
class WebPage:
    """What something that is no such server may say to everything."""

    html: str = "<html><body>It works!</body></html>"


@dataclass(frozen=True)
class Refusal:
    """A status other than 200, and its body in the one shape of errors."""

    status: int
    message: str
    code: str


# What every question asks for besides: the answer while it is written, and what it took.
STREAMED: JSON = {"stream": True, "stream_options": {"include_usage": True}}
USAGE = {"prompt_tokens": 90, "completion_tokens": 5, "total_tokens": 95}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "hrm-text-mini"}


def frames(reply: Reply) -> Iterator[JSON]:
    """The chunks of a stream, in the wire's order."""

    def chunk(delta: JSON, finish_reason: str | None = None) -> JSON:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}

    sources: JSON = {"citations": reply.citations, "intent": '["leave"]'}
    yield chunk({"role": "assistant", "content": "", **({"context": sources} if reply.grounding else {})})
    for piece in reply.pieces:
        yield chunk({"content": piece})
    if reply.annotations:
        yield chunk({"annotations": reply.annotations})
    yield chunk({"context": {"grounding": reply.grounding}} if reply.grounding else {}, reply.finish_reason)
    yield {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}


class StubServer:
    """Serves `reply` on a free port; remembers the requests, and notices when a client leaves."""

    def __init__(self) -> None:
        self.reply: Reply | Refusal | WebPage = twenty_seven_days()
        self.models = ["hrm-text-mini@handbook", "hrm-text-mini"]
        self.bodies: list[JSON] = []
        self.headers: list[str] = []  # the values of all that were sent
        self.authorizations: list[str | None] = []
        self.left = Event()
        stub = self

        class Handler(_Handler):
            server_of_the_test = stub

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_the_test: StubServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if isinstance(self.server_of_the_test.reply, WebPage):
            return self._send(200, "text/html", self.server_of_the_test.reply.html.encode())
        models = [
            {"id": name, "object": "model", "created": 1, "owned_by": "hrm-serve"}
            for name in self.server_of_the_test.models
        ]
        return self._body(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        stub = self.server_of_the_test
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stub.bodies.append(body)
        stub.headers += self.headers.values()
        stub.authorizations.append(self.headers["Authorization"])
        match stub.reply:
            case Refusal(status, message, code):
                error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
                self._body(status, {"error": error})
            case WebPage(html):
                self._send(200, "text/html", html.encode())
            case Reply() as reply:
                with suppress(OSError):  # the client may leave at any frame; `_write` has noted it
                    self._stream(reply)

    def _body(self, status: int, body: JSON) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, media_type: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._write(b": heartbeat\n\n")
        for number, frame in enumerate(frames(reply)):
            if reply.pause_s:
                sleep(reply.pause_s / 2)
                self._write(b": heartbeat\n\n")
                sleep(reply.pause_s / 2)
            # Frame 0 is the role, so `number - 1` pieces have gone out before this one.
            if number - 1 == reply.error_after:
                error = {
                    "message": "The engine failed.",
                    "type": "server_error",
                    "param": None,
                    "code": "internal_error",
                }
                self._write(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
                return self._end()
            if number - 1 == reply.cut_after:
                return self._end()
            if number - 1 == reply.torn_after:
                self.close_connection = True
                return None
            if number - 1 == reply.silent_after:
                return self._wait_until_the_client_leaves()
            self._write(b"data: " + json.dumps(frame, ensure_ascii=False).encode() + b"\n\n")
        self._write(b"data: [DONE]\n\n")
        return self._end()

    def _wait_until_the_client_leaves(self) -> None:
        deadline = monotonic() + PATIENCE_S
        self.close_connection = True
        pause = Event()
        while monotonic() < deadline:
            self._write(b": heartbeat\n\n")
            pause.wait(0.01)

    def _write(self, data: bytes) -> None:
        try:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        except OSError:
            self.close_connection = True
            self.server_of_the_test.left.set()
            raise

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
