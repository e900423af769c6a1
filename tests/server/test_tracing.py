"""Spans around requests, answers, searches and embeddings, by the real SDK into memory."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hrm_model.errors import EngineError
from retrieval.errors import StoreFailed
from retrieval.opening import open_library
from server.deps import Services
from server.events import AnswerEvent, Opened
from server.otel import OtelTracer
from server.pipeline import Answer
from server.spent import Spent
from server.traced import TracedAnswer
from server.tracing import within
from tests.fakes.engine import ScriptedEngine
from tests.fakes.meaning import WordsApart
from tests.fakes.serving import HANDBOOK, MODEL, client_of, listening, question, services, stocked
from tests.fakes.shelf import Shelf
from tests.retrieval.desk import WordsEmbedder

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
# A process of its own, since a process has one global provider for good.
GLOBAL = """
import asyncio, httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from server.app import bare_app

memory, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bare_app()), base_url="http://test") as client:
        return (await client.get("/livez")).status_code

print(asyncio.run(ask()), len(memory.get_finished_spans()))
"""
KEY = {"Authorization": "Bearer sk-ann"}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Spans:
    """What was told, in the order in which it ended."""

    def __init__(self) -> None:
        self._memory = InMemorySpanExporter()
        self.tracer = OtelTracer(SimpleSpanProcessor(self._memory))

    def all(self) -> tuple[ReadableSpan, ...]:
        return self._memory.get_finished_spans()

    def around(self, given: Services) -> Services:
        return replace(given, tracer=self.tracer)

    def names(self) -> list[str]:
        return [span.name for span in self.all()]

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.all() if span.name == name]
        return found


def facts(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    parent: int = span.parent.span_id
    return parent


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    own: int = span.context.span_id
    return own


async def until_ended(spans: Spans, name: str) -> None:
    deadline = monotonic() + 5
    while name not in spans.names():
        assert monotonic() < deadline, spans.names()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_from_documents_is_three_spans_in_each_other(tmp_path: Path, stream: bool) -> None:
    spans, engine = Spans(), ScriptedEngine("28 ", "days.")
    given = services(engine, await stocked(tmp_path, HANDBOOK), default_store="handbook")
    async with client_of(spans.around(given)) as client:
        response = await client.post(CHAT, json=question("leave days", stream=stream))

    request, chat, search = (spans.named(name) for name in (f"POST {CHAT}", f"chat {MODEL}", "retrieval"))
    assert spans.names() == ["retrieval", f"chat {MODEL}", f"POST {CHAT}"]
    assert (parent_of(search), parent_of(chat), request.parent) == (id_of(chat), id_of(request), None)
    assert (request.kind, chat.kind) == (SpanKind.SERVER, SpanKind.INTERNAL)
    assert facts(request) == {
        "http.request.method": "POST",
        "http.route": CHAT,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "hrm.request.id": response.headers["x-request-id"],
    }
    told = facts(chat)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.request.model"] == MODEL
    assert told["gen_ai.usage.output_tokens"] == 3  # the closing token is one
    assert isinstance(told["gen_ai.usage.input_tokens"], int)
    assert told["gen_ai.usage.input_tokens"] > 2
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    assert told["hrm.grounding.status"] == ("supported",)
    assert facts(search)["gen_ai.operation.name"] == "retrieval"
    assert facts(search)["hrm.retrieval.found"] == told["hrm.retrieval.found"] == told["hrm.retrieval.used"] == 2
    assert {span.status.status_code for span in (request, chat, search)} == {StatusCode.UNSET}


async def test_each_choice_has_its_reason_and_its_verdict(tmp_path: Path) -> None:
    spans = Spans()
    given = services(ScriptedEngine("28 ", "days."), await stocked(tmp_path, HANDBOOK), default_store="handbook")
    async with client_of(spans.around(given)) as client:
        await client.post(CHAT, json=question("leave days", n=2, max_tokens=1))
        await client.post(CHAT, json=question("zebras", model=f"{MODEL}@handbook"))

    first, second = (span for span in spans.all() if span.name == f"chat {MODEL}")
    assert facts(first)["gen_ai.response.finish_reasons"] == ("length", "length")
    assert facts(first)["hrm.grounding.status"] == ("supported", "supported")
    assert facts(second)["hrm.grounding.status"] == ("no_sources",)


async def test_a_trace_that_the_client_began_goes_on(tmp_path: Path) -> None:
    spans = Spans()
    async with client_of(spans.around(services())) as client:
        await client.post(CHAT, json=question(), headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    request, chat = spans.named(f"POST {CHAT}"), spans.named(f"chat {MODEL}")
    assert request.context is not None
    assert chat.context is not None
    assert format(parent_of(request), "016x") == PARENT
    assert format(request.context.trace_id, "032x") == format(chat.context.trace_id, "032x") == TRACE


async def test_a_trace_that_the_client_does_not_sample_leaves_nothing() -> None:
    spans = Spans()
    async with client_of(spans.around(services())) as client:
        answered = await client.post(CHAT, json=question(), headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})

    assert answered.status_code == 200
    assert spans.names() == []


async def test_a_traceparent_that_is_none_begins_a_trace() -> None:
    spans = Spans()
    async with client_of(spans.around(services())) as client:
        await client.post(CHAT, json=question(), headers={"traceparent": "zero"})

    assert spans.named(f"POST {CHAT}").parent is None


async def test_a_stream_that_fails_ends_its_span_in_the_kind_of_error() -> None:
    spans, engine = Spans(), ScriptedEngine("a ", "b", failure=EngineError("the canary"), fail_after=1)
    async with client_of(spans.around(services(engine))) as client:
        await client.post(CHAT, json=question(stream=True))

    chat = spans.named(f"chat {MODEL}")
    assert (chat.status.status_code, chat.status.description) == (StatusCode.ERROR, None)
    assert facts(chat)["error.type"] == "EngineError"
    assert facts(chat)["gen_ai.response.finish_reasons"] == ("error",)
    assert not chat.events


async def test_a_search_that_fails_fails_all_around_it() -> None:
    spans = Spans()
    async with client_of(spans.around(services(shelf=Shelf(StoreFailed(Path("x"), "y"))))) as client:
        refused = await client.post(CHAT, json=question(model=f"{MODEL}@handbook"))

    kinds = [facts(spans.named(name)).get("error.type") for name in ("retrieval", f"chat {MODEL}", f"POST {CHAT}")]
    assert kinds == ["StoreFailed", "StoreFailed", str(refused.status_code)]
    assert spans.named(f"POST {CHAT}").status.status_code is StatusCode.ERROR


async def test_what_the_client_did_wrong_is_no_error_of_the_request() -> None:
    spans = Spans()
    async with client_of(spans.around(services())) as client:
        await client.post(CHAT, json=question(model="nobody"))
        await client.get("/canary.pdf")

    assert facts(spans.named(f"chat {MODEL}"))["error.type"] == "UnknownModel"
    for name, status in ((f"POST {CHAT}", 404), ("GET", 404)):
        span = spans.named(name)
        assert facts(span)["http.response.status_code"] == status
        assert "error.type" not in facts(span)
        assert span.status.status_code is StatusCode.UNSET
    assert "canary" not in str(facts(spans.named("GET")))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_span_and_is_no_error(stream: bool) -> None:
    spans, engine = Spans(), ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    async with listening(spans.around(services(engine, heartbeat_s=60))) as url:
        async with httpx.AsyncClient(base_url=url, headers=KEY) as client:
            asking = asyncio.create_task(client.post(CHAT, json=question(stream=stream)))
            await asyncio.wait_for(engine.busy.wait(), 5)
            assert spans.names() == []
            asking.cancel()
        await until_ended(spans, f"POST {CHAT}")

    chat = spans.named(f"chat {MODEL}")
    assert facts(chat)["gen_ai.response.finish_reasons"] == ("abort",)
    assert "error.type" not in facts(chat)
    assert spans.names() == [f"chat {MODEL}", f"POST {CHAT}"]


async def test_an_answer_that_is_left_before_its_first_word_was_aborted() -> None:
    spans, traced = Spans(), TracedAnswer("chat", MODEL)

    async def silent() -> AsyncGenerator[AnswerEvent, None]:
        await asyncio.Event().wait()
        yield Opened(0, None)

    async def start() -> Answer:
        return Answer(silent(), None, Spent())

    with within(spans.tracer.request("POST", {}, {})):
        answer = traced.followed(await traced.begun(start))
    await answer.aclose()

    assert facts(spans.named(f"chat {MODEL}"))["gen_ai.response.finish_reasons"] == ("abort",)


async def test_a_completion_is_named_as_one() -> None:
    spans = Spans()
    async with client_of(spans.around(services(ScriptedEngine("a ", "b")))) as client:
        await client.post("/v1/completions", json={"model": MODEL, "prompt": ["x", "y"]})

    told = facts(spans.named(f"text_completion {MODEL}"))
    assert told["gen_ai.operation.name"] == "text_completion"
    assert told["gen_ai.usage.output_tokens"] == 6  # the closing tokens are two
    assert told["gen_ai.response.finish_reasons"] == ("stop", "stop")
    assert "hrm.grounding.status" not in told


async def test_embeddings_have_a_span_of_their_model() -> None:
    spans, embedder = Spans(), WordsApart()
    async with client_of(spans.around(services(embedder=embedder))) as client:
        answered = await client.post("/v1/embeddings", json={"model": embedder.name, "input": ["two words"]})

    told = facts(spans.named(f"embeddings {embedder.name}"))
    assert told["gen_ai.usage.input_tokens"] == answered.json()["usage"]["prompt_tokens"]
    assert told["gen_ai.embeddings.dimension.count"] == embedder.dims
    assert told["gen_ai.request.model"] == embedder.name


async def test_a_search_in_a_store_is_a_span_below_its_request(tmp_path: Path) -> None:
    spans = Spans()
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        given = spans.around(services(store=library))
        async with client_of(given, "sk-admin") as client:
            store = (await client.post("/v1/vector_stores", json={"name": "notes"})).json()["id"]
            await client.post(f"/v1/vector_stores/{store}/search", json={"query": "leave"})

    request = spans.named("POST /v1/vector_stores/{store}/search")
    assert parent_of(spans.named("retrieval")) == id_of(request)
    assert facts(spans.named("retrieval"))["hrm.retrieval.found"] == 0
    assert store not in str(facts(request))


async def test_a_method_of_the_clients_own_is_not_repeated() -> None:
    spans = Spans()
    async with client_of(spans.around(services())) as client:
        await client.request("CANARY", "/livez")

    assert all("CANARY" not in name for name in spans.names())
    (span,) = spans.all()
    assert facts(span)["http.request.method"] == "_OTHER"


def test_the_web_framework_makes_no_spans_of_its_own() -> None:
    ended = subprocess.run([sys.executable, "-c", GLOBAL], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["200", "0"]
