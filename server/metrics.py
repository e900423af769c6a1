"""Every metric of this server, in its own registry. Labels are closed sets: never a key, a prompt or a client's text.

Where vLLM has a name for something, it is vLLM's name, so that its dashboards work.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from time import perf_counter
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hrm_model.types import Event, Failed, Finished, FinishReason, Load, Started, Text
from retrieval.facts import Ended, StoreFacts, Worked
from retrieval.types import Fault, Hits
from server.events import closing
from server.grounding.cite import Status
from server.refusals import Refusal
from server.spent import Spent
from server.store_metrics import StoreState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# One second to an answer is what the bundled model promises on two cores; the buckets are finest around it.
_ANSWER_S = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 80)
_TOKEN_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5)
# A search is to cost a small part of that second.
_SEARCH_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
# Parsing ends at HRM_PARSE_SECONDS, by default 60.
_FILE_S = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_PASSAGES = (0, 1, 2, 3, 4, 6, 8, 12, 20, 50)


class Metrics:
    """The metrics of one server; routes and streams are measured by wrapping them."""

    def __init__(
        self,
        model: str,
        load: Callable[[], Load],
        erasures_pending: Callable[[], float] | None = None,
        stored: Callable[[], StoreFacts] | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self._model = model
        self.registry.register(_EngineState(model, load))
        if erasures_pending is not None:
            pending = Gauge(
                "hrm_erasures_pending",
                "Erasures without a certificate, and what is still to be taken out of removed stores.",
                registry=self.registry,
            )
            pending.set_function(erasures_pending)
        if stored is not None:
            self.registry.register(StoreState(stored))

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

        by_model = "model_name"
        self._prompt_tokens = counter("vllm:prompt_tokens", "Prompt tokens of started requests.", by_model)
        self._generated = counter("vllm:generation_tokens", "Tokens of answers, as they are written.", by_model)
        self._success = counter(
            "vllm:request_success",
            "Choices that ended, by how: stop, length, abort (the client left) or error.",
            by_model,
            "finished_reason",
        )
        self._first = histogram(
            "vllm:time_to_first_token_seconds",
            "From the start of generation to the first text, queueing included.",
            _ANSWER_S,
            by_model,
        )
        self._between = histogram(
            "vllm:inter_token_latency_seconds", "Between two tokens of one choice.", _TOKEN_S, by_model
        )
        self._end_to_end = histogram(
            "vllm:e2e_request_latency_seconds",
            "From the start of generation to the end of the last choice.",
            _ANSWER_S,
            by_model,
        )
        self._queued = histogram("vllm:request_queue_time_seconds", "Waiting for pages.", _ANSWER_S, by_model)
        self._prefill = histogram("vllm:request_prefill_time_seconds", "Reading the prompt.", _ANSWER_S, by_model)
        self._decode = histogram("vllm:request_decode_time_seconds", "Writing the answer.", _ANSWER_S, by_model)

        self._retrieval = histogram("hrm_retrieval_seconds", "From query to passages.", _SEARCH_S)
        self._embed = histogram("hrm_query_embed_seconds", "Of that, embedding the query.", _SEARCH_S)
        self._search = histogram("hrm_search_seconds", "Of that, searching, waiting for a turn included.", _SEARCH_S)
        self._found = histogram("hrm_retrieval_passages_found", "Passages that a search returned.", _PASSAGES)
        self._used = histogram("hrm_retrieval_passages_used", "Passages that fitted into the prompt.", _PASSAGES)
        self._pack = histogram("hrm_pack_seconds", "From passages to a prompt.", _SEARCH_S)
        self._ground = histogram("hrm_ground_seconds", "Checking one answer against its passages, in all.", _SEARCH_S)
        self._parse = histogram("hrm_ingest_parse_seconds", "Reading one file, refused or not.", _FILE_S)
        self._embed_batch = histogram("hrm_ingest_embed_seconds", "Embedding one batch of chunks.", _FILE_S)
        self._ended = counter(
            "hrm_ingest_files",
            "Files that this process has read: completed, or what kept them out.",
            "outcome",
        )
        self._failures = counter("hrm_retrieval_failures", "Searches that failed through no fault of the request.")
        self._grounding = counter("hrm_grounding", "Answers checked against sources, by outcome.", "status")
        self._records = counter("hrm_audit_records", "Records for the audit log: written, or failed.", "outcome")
        self._refused = counter("hrm_refused_requests", "Requests and connections beyond a limit, by which.", "reason")
        self._requests = counter("hrm_http_requests", "Responses sent, by route and status.", "route", "status")
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Make the series whose labels are known: the first value that Prometheus sees of one is no growth to it."""
        for reason in (*get_args(FinishReason), "abort", "error"):
            self._success.labels(self._model, reason)
        for status in get_args(Status):
            self._grounding.labels(status)
        for outcome in ("written", "failed"):
            self._records.labels(outcome)
        for outcome in ("completed", *get_args(Fault)):
            self._ended.labels(outcome)
        for limit in get_args(Refusal):
            self._refused.labels(limit)

    def watched(self, ready: Callable[[], str | None], warnings: Callable[[], list[str]]) -> None:
        """Tell what /readyz tells."""
        gauge = Gauge("hrm_ready", "Whether the server can answer, as /readyz says.", registry=self.registry)
        gauge.set_function(lambda: float(ready() is None))
        seen_to = Gauge("hrm_warnings", "Things that somebody has to see to, as /readyz lists.", registry=self.registry)
        seen_to.set_function(lambda: float(len(warnings())))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it. Asks the store, which blocks for a moment."""
        return generate_latest(self.registry)

    def searched(self, seconds: float, hits: Hits) -> None:
        """A search returned."""
        self._retrieval.observe(seconds)
        self._embed.observe(hits.embed_s)
        self._search.observe(hits.search_s)
        self._found.observe(len(hits.passages))

    def search_failed(self) -> None:
        """A search raised."""
        self._failures.inc()

    def packed(self, seconds: float, used: int) -> None:
        """A prompt was composed from passages."""
        self._pack.observe(seconds)
        self._used.observe(used)

    def grounded(self, status: Status, seconds: float | None = None) -> None:
        """An answer, one of n, was checked; without seconds, it had nothing to be checked against."""
        self._grounding.labels(status).inc()
        if seconds is not None:
            self._ground.observe(seconds)

    def ingested(self, fact: Worked | Ended) -> None:
        """A step of this process's ingestion is done. May be called from any thread."""
        match fact:
            case Worked("parse"):
                self._parse.observe(fact.seconds)
            case Worked("embed"):
                self._embed_batch.observe(fact.seconds)
            case Ended():
                self._ended.labels(fact.fault or "completed").inc()

    def responded(self, route: str, status: int) -> None:
        """A response ended."""
        self._requests.labels(route, str(status)).inc()

    def recorded(self, is_written: bool) -> None:
        """The audit log took a record, or could not. May be called from any thread."""
        self._records.labels("written" if is_written else "failed").inc()

    def refused(self, reason: Refusal) -> None:
        """A limit held. `reason` is a word of the code's, never a client's."""
        self._refused.labels(reason).inc()

    async def observed(self, events: AsyncGenerator[Event, None], n: int) -> AsyncGenerator[Event, None]:
        """Pass an engine's events through unchanged, and record what they say."""
        began = perf_counter()
        spoke: dict[int, float] = {}
        spent = Spent()
        open_choices, outcome = 0, "abort"
        try:
            async with closing(events):
                async for event in events:
                    told = spent.completion
                    spent.hear(event)
                    self._generated.labels(self._model).inc(spent.completion - told)
                    self._record(event, began, spoke)
                    open_choices += n if isinstance(event, Started) else -isinstance(event, Finished | Failed)
                    yield event
            self._end_to_end.labels(self._model).observe(perf_counter() - began)
        except Exception:
            outcome = "error"
            raise
        finally:
            if open_choices:  # a request that was refused had none
                self._success.labels(self._model, outcome).inc(open_choices)

    def _record(self, event: Event, began: float, spoke: dict[int, float]) -> None:
        model, now = self._model, perf_counter()
        match event:
            case Started():
                self._prompt_tokens.labels(model).inc(event.prompt_tokens)
            case Text():
                last = spoke.get(event.choice)
                if last is not None and event.tokens:
                    self._between.labels(model).observe((now - last) / event.tokens)
                if not spoke:
                    self._first.labels(model).observe(now - began)
                spoke[event.choice] = now
            case Finished():
                self._success.labels(model, event.reason).inc()
                self._queued.labels(model).observe(event.seconds.queued)
                self._prefill.labels(model).observe(event.seconds.prefill)
                self._decode.labels(model).observe(event.seconds.decode)
            case Failed():
                self._success.labels(model, "error").inc()


class _EngineState(Collector):
    """Asks the engine when Prometheus asks, so that no figure can be stale."""

    def __init__(self, model: str, load: Callable[[], Load]) -> None:
        self._model = model
        self._load = load

    def collect(self) -> Iterator[Metric]:
        load = self._load()
        share = load.kv_tokens_used / load.kv_tokens if load.kv_tokens else 0.0
        gauges = {
            "vllm:num_requests_running": ("Sequences being decoded.", load.running),
            "vllm:num_requests_waiting": ("Requests waiting for pages.", load.waiting),
            "vllm:kv_cache_usage_perc": ("Share of the K/V cache that is reserved; 1 is full.", share),
            "hrm_kv_cache_bytes": ("Memory of the K/V cache.", load.kv_bytes),
            "hrm_kv_cache_tokens": ("Tokens that the K/V cache holds.", load.kv_tokens),
            "hrm_prompt_cache_tokens": ("Of those, tokens kept for prompts that may be asked again.", load.kept_tokens),
            "hrm_engine_step_age_seconds": ("Since the running step began; 0 while idle.", load.step_age_s or 0.0),
        }
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(name, text, labels=["model_name"])
            gauge.add_metric([self._model], value)
            yield gauge
        counters = {
            "vllm:spec_decode_num_draft_tokens": ("Tokens that were guessed ahead.", load.drafted_tokens),
            "vllm:spec_decode_num_accepted_tokens": ("Tokens guessed ahead that were right.", load.accepted_tokens),
            "vllm:prefix_cache_queries": ("Prompt tokens that were looked for in the prompt cache.", load.asked_tokens),
            "vllm:prefix_cache_hits": ("Of those, tokens that were found there.", load.reused_tokens),
        }
        for name, (text, total) in counters.items():
            counter = CounterMetricFamily(name, text, labels=["model_name"])
            counter.add_metric([self._model], total)
            yield counter
