"""What a request, an answer and a search tell their spans, in the words of OpenTelemetry's semantic conventions."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.types import Filter, Hits, Reader
from server.events import AnswerEvent, Closed, Opened, Sources, closing
from server.pipeline import Answer
from server.ports import Retriever
from server.spent import Spent
from server.tracing import NOTHING, Fact, Facts, Tracer, current, kind_of, spanned, within

PROVIDER = "hrm-serve"
# Of the conventions: any other word is the client's own.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
P = ParamSpec("P")
T = TypeVar("T")


class TracedRequests:
    """ASGI middleware: a span around each request, from its first to its last byte.

    It has no path, query or address: they name files, stores and people. Goes inside `RequestLog`, which gives the id.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        facts: dict[str, Fact] = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
            "hrm.request.id": scope["state"]["request_id"],
        }
        name = "HTTP" if method == "_OTHER" else method
        span = self._tracer.request(name, facts, Headers(scope=scope))
        status: int | None = None

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        error = None
        try:
            with within(span):
                await self._app(scope, receive, noted)
        except BaseException as raised:
            error = kind_of(raised)
            raise
        finally:
            if (route := getattr(scope.get("route"), "path", None)) is not None:
                span.rename(f"{name} {route}")
                span.note({"http.route": route})
            if status is not None:
                span.note({"http.response.status_code": status})
                error = error or (str(status) if status >= 500 else None)  # below that it is the client's
            span.end(error)


class TracedAnswer:
    """The span of one answer, from before anything is looked up to the end of its last choice, or until it is left."""

    def __init__(self, operation: str, model: str) -> None:
        self._name = f"{operation} {model}"
        self._facts = genai(operation, model)
        self._span = NOTHING
        self._reasons: dict[int, str] = {}
        self._verdicts: dict[int, str] = {}
        self._spent: Spent | None = None  # of what has begun
        self._has_ended = False

    async def begun(self, start: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Begin the span, and the answer inside it; what is refused ends both."""
        self._span = current().child(self._name, self._facts)
        try:
            with within(self._span):
                return await start(*args, **kwargs)
        except BaseException as error:
            self._end(kind_of(error))
            raise

    def followed(self, answer: Answer) -> Answer:
        """The same answer; its span ends with it."""
        self._spent = answer.spent
        return replace(answer, events=self._events(answer), engine=_Both(answer, self._end))

    async def _events(self, answer: Answer) -> AsyncGenerator[AnswerEvent, None]:
        try:
            async with closing(answer.events):
                async for event in answer.events:
                    self._hear(event)
                    yield event
        except Exception as error:
            self._end(kind_of(error))
            raise
        finally:
            self._end()

    def _hear(self, event: AnswerEvent) -> None:
        match event:
            case Opened():
                self._reasons[event.choice] = "abort"  # until it has ended
                if event.choice == 0 and event.sources is not None:
                    self._span.note(_read(event.sources))
            case Closed():
                self._reasons[event.choice] = event.reason
                if event.verdict is not None:
                    self._verdicts[event.choice] = event.verdict.status

    def _end(self, error: str | None = None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        broken_off = {"abort": "error"} if error else {}
        if not self._reasons and error is None:
            self._reasons[0] = "abort"  # left before anything was written
        if self._reasons:
            reasons = [broken_off.get(reason, reason) for _, reason in sorted(self._reasons.items())]
            self._span.note({"gen_ai.response.finish_reasons": reasons})
        if self._verdicts:
            self._span.note({"hrm.grounding.status": [status for _, status in sorted(self._verdicts.items())]})
        if self._spent is not None:
            self._span.note(
                {
                    "gen_ai.usage.input_tokens": self._spent.prompt,
                    "gen_ai.usage.output_tokens": self._spent.completion,
                    "gen_ai.usage.cache_read.input_tokens": self._spent.cached,
                }
            )
        self._span.end(error)


class TracedRetriever:
    """A retriever whose searches have spans; see `server.ports.Retriever`."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def search(
        self,
        query: str,
        *,
        stores: Sequence[str],
        k: int,
        reader: Reader,
        filters: Filter | None = None,
        score_threshold: float = 0.0,
        weights: tuple[float, float] | None = None,
        as_of: int | None = None,
    ) -> Hits:
        asked: dict[str, Fact] = {"hrm.retrieval.stores": len(stores), "hrm.retrieval.k": k}
        with spanned("retrieval", {"gen_ai.operation.name": "retrieval", **asked}) as span:
            hits = await self._retriever.search(
                query,
                stores=stores,
                k=k,
                reader=reader,
                filters=filters,
                score_threshold=score_threshold,
                weights=weights,
                as_of=as_of,
            )
            span.note(
                {
                    "hrm.retrieval.found": len(hits.passages),
                    "hrm.retrieval.generation": hits.generation,
                    "hrm.retrieval.embed_seconds": hits.embed_s,
                    "hrm.retrieval.search_seconds": hits.search_s,
                }
            )
            return hits


class _Both:
    """Closes an answer, and then ends what belongs to it, whether or not anybody has begun to read."""

    def __init__(self, answer: Answer, end: Callable[[], None]) -> None:
        self._answer, self._end = answer, end

    async def aclose(self) -> None:
        try:
            async with closing(self._answer):
                pass
        finally:
            self._end()


def genai(operation: str, model: str) -> dict[str, Fact]:
    """What every span of a model has."""
    return {"gen_ai.operation.name": operation, "gen_ai.provider.name": PROVIDER, "gen_ai.request.model": model}


def _read(sources: Sources) -> Facts:
    return {
        "hrm.retrieval.found": sources.retrieved,
        "hrm.retrieval.used": len(sources.passages),
        "hrm.retrieval.left_out": sources.left_out,
        "hrm.retrieval.truncated": sources.truncated,
    }
