"""Tokens of answers, however they end: record, log, metrics and span say what the limits count."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hrm_model.errors import EngineClosed, EngineError
from hrm_model.types import Counts, Event, Failed, Finished, Prompt, Sampling, Seconds, Started, Text
from server.audit.log import AuditLog
from server.identity import Limits
from server.otel import OtelTracer
from server.signing import Signer
from server.spent import Spent
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import MODEL, listening, question, services
from tests.waiting import until

pytestmark = pytest.mark.anyio

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
KEY, PROBE = {"Authorization": "Bearer sk-ann"}, {"Authorization": "Bearer sk-probe"}
LIMIT, PIECES = 10_000, 3
PROMPT, CACHED = 7, 4  # tokens
REFUSED_MIDWAY = [EngineError("x"), EngineClosed("stopped")]


class Unending(ScriptedEngine):
    """Says pieces of all choices in turn; then the first of several ends well, and the last as it is told to."""

    def __init__(self, failure: Exception | None) -> None:
        """Without a failure, the last says nothing more until it is left."""
        super().__init__()
        self._ending = failure

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, n: int = 1, partition: str | None = None
    ) -> AsyncGenerator[Event, None]:
        yield Started(PROMPT, CACHED)
        for _ in range(PIECES):
            for choice in range(n):
                yield Text(choice, "word ", 1)
        if n > 1:
            yield Finished(0, "stop", Counts(PROMPT, PIECES + 1), Seconds(0.0, 0.0, 0.0))
        if self._ending is not None:
            yield Failed(n - 1, self._ending)
        await asyncio.Event().wait()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    log = AuditLog(tmp_path / "audit.db", Signer(Ed25519PrivateKey.generate()))
    yield log
    log.close()


async def leave(url: str, route: str, body: dict[str, Any], pieces: int = -1) -> None:
    """Read that many pieces of an answer, or all of it, and hang up."""
    async with (
        httpx.AsyncClient(base_url=url, headers=KEY) as client,
        client.stream("POST", route, json=body) as response,
    ):
        async for line in response.aiter_lines():
            pieces -= "word" in line
            if not pieces:
                return


@pytest.mark.parametrize(("failure", "outcome"), [(None, "left"), *((error, "failed") for error in REFUSED_MIDWAY)])
@pytest.mark.parametrize(
    ("route", "body", "n"),
    [
        (CHAT, question(stream=True, max_tokens=50), 1),
        (CHAT, question(stream=True, max_tokens=50, n=2), 2),
        (COMPLETIONS, {"model": MODEL, "prompt": "x", "stream": True}, 1),
        (COMPLETIONS, {"model": MODEL, "prompt": "x", "stream": True, "n": 3}, 3),
    ],
)
async def test_an_answer_that_does_not_end_well_has_cost_what_was_written_of_it(
    log: AuditLog,
    caplog: pytest.LogCaptureFixture,
    route: str,
    body: dict[str, Any],
    n: int,
    failure: Exception | None,
    outcome: str,
) -> None:
    memory = InMemorySpanExporter()
    given = replace(
        services(Unending(failure), key_limits=Limits(tokens_per_minute=LIMIT)),
        audit=log,
        tracer=OtelTracer(SimpleSpanProcessor(memory)),
    )
    caplog.set_level(logging.INFO, "server.logs")
    async with listening(given) as url:
        await leave(url, route, body, n * PIECES if failure is None else -1)
        await until(lambda: f"route={route}" in caplog.text)
        async with httpx.AsyncClient(base_url=url) as client:
            remaining = (await client.get("/v1/models", headers=KEY)).headers["x-ratelimit-remaining-tokens"]
            metrics = (await client.get("/metrics", headers=PROBE)).text.splitlines()

    (record,) = [json.loads(entry.record) for entry in log.entries()]
    (span,) = [span for span in memory.get_finished_spans() if span.name.endswith(MODEL)]
    said = n * PIECES + (n > 1)
    assert (record["outcome"], record["tokens"]) == (
        outcome,
        {"prompt": PROMPT, "completion": said, "cached": CACHED},
    )
    assert f"prompt_tokens={PROMPT} completion_tokens={said} " in caplog.text
    assert f'vllm:prompt_tokens_total{{model_name="{MODEL}"}} {PROMPT}.0' in metrics
    assert f'vllm:generation_tokens_total{{model_name="{MODEL}"}} {said}.0' in metrics
    assert dict(span.attributes or {}) | {
        "gen_ai.usage.input_tokens": PROMPT,
        "gen_ai.usage.output_tokens": said,
        "gen_ai.usage.cache_read.input_tokens": CACHED,
    } == dict(span.attributes or {})
    assert int(remaining) == LIMIT - PROMPT - said


async def test_a_whole_answer_that_fails_has_cost_something_too(
    log: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    given = replace(services(Unending(EngineError("x"))), audit=log)
    caplog.set_level(logging.INFO, "server.logs")
    async with listening(given) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        failed = await client.post(COMPLETIONS, json={"model": MODEL, "prompt": ["x", "y"]})

    (record,) = [json.loads(entry.record) for entry in log.entries()]
    assert failed.status_code == 500
    assert record["tokens"]["prompt"] == 2 * PROMPT
    assert PIECES <= record["tokens"]["completion"] <= 2 * PIECES
    assert f"prompt_tokens={2 * PROMPT} completion_tokens={record['tokens']['completion']} " in caplog.text


async def test_what_a_killed_server_was_writing_has_no_count_of_tokens_on_record(log: AuditLog) -> None:
    async with listening(replace(services(Unending(None)), audit=log)) as url:
        leaving = asyncio.ensure_future(leave(url, CHAT, question(stream=True)))
        await until(lambda: log.under_way() == 1)
        (note,) = notes(log)
        leaving.cancel()

    assert (note["outcome"], note["tokens"]) == ("cut off", {})


def notes(log: AuditLog) -> list[dict[str, Any]]:
    with log._file.reading() as db:
        return [json.loads(spelled) for (spelled,) in db.execute("SELECT record FROM begun")]


def test_each_token_counts_once_whether_its_text_or_its_end_tells_of_it() -> None:
    spent = Spent()
    spent.hear(Started(7, 4), 0)
    spent.hear(Started(5, 0), 1)
    for event in (Text(0, "a", 2), Text(1, "b", 1), Text(0, "", 1)):
        spent.hear(event, 0)
    spent.hear(Text(0, "c", 1), 1)
    assert (spent.prompt, spent.cached, spent.completion) == (12, 4, 5)

    spent.hear(Finished(0, "stop", Counts(7, 5), Seconds(0.0, 0.0, 0.0)), 0)
    spent.hear(Failed(1, EngineError("x")), 0)
    spent.hear(Finished(0, "length", Counts(5, 1), Seconds(0.0, 0.0, 0.0)), 1)
    assert (spent.completion, spent.total) == (7, 19)
