"""GET /metrics: vLLM's names, this project's own, and labels from closed sets."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hrm_model.errors import EngineError, EngineOverloaded
from hrm_model.types import Event, Load, Started, Text
from retrieval.errors import StoreFailed
from retrieval.facts import StoreFacts
from server.deferred import DeferredLibrary
from server.metrics import Metrics
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, MODEL, client_of, question, services, stocked
from tests.fakes.shelf import Shelf
from tests.samples import samples

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def of_model(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted({"model_name": MODEL, **labels}.items()))


def test_outcomes_are_there_before_they_come_since_prometheus_counts_no_first_one() -> None:
    found = samples(Metrics(MODEL, Load).text().decode())

    for reason in ("stop", "length", "abort", "error"):
        assert found[of_model("vllm:request_success_total", finished_reason=reason)] == 0
    for status in ("supported", "partial", "unsupported", "abstained", "no_sources"):
        assert found["hrm_grounding_total", (("status", status),)] == 0
    for outcome in ("completed", "unsupported_file", "invalid_file", "server_error"):
        assert found["hrm_ingest_files_total", (("outcome", outcome),)] == 0
    assert found["hrm_refused_requests_total", (("reason", "requests_per_minute"),)] == 0


async def test_an_answer_is_counted_under_vllms_names_and_ours(tmp_path: Path) -> None:
    engine = ScriptedEngine("28 ", "days.")
    given = services(engine, await stocked(tmp_path, HANDBOOK), default_store="handbook")
    async with client_of(given, "sk-admin") as client:
        usage = (await client.post(CHAT, json=question("leave days"))).json()["usage"]
        await client.post(CHAT, json=question("leave days", max_tokens=1))
        await client.post(CHAT, json=question("zebras"))
        found = samples((await client.get("/metrics")).text)

    assert found[of_model("vllm:prompt_tokens_total")] == 2 * usage["prompt_tokens"]
    assert found[of_model("vllm:generation_tokens_total")] == usage["completion_tokens"] + 1
    assert found[of_model("vllm:request_success_total", finished_reason="stop")] == 1
    assert found[of_model("vllm:request_success_total", finished_reason="length")] == 1
    assert found[of_model("vllm:time_to_first_token_seconds_count")] == 2
    assert found[of_model("vllm:inter_token_latency_seconds_count")] == 1
    assert found[of_model("vllm:e2e_request_latency_seconds_count")] == 2
    assert found[of_model("vllm:num_requests_running")] == 0
    assert found[("hrm_retrieval_seconds_count", ())] == 3
    assert found[("hrm_query_embed_seconds_count", ())] == found[("hrm_search_seconds_count", ())] == 3
    assert found[("hrm_pack_seconds_count", ())] == found[("hrm_ground_seconds_count", ())] == 2
    assert found[("hrm_retrieval_passages_found_sum", ())] == found[("hrm_retrieval_passages_used_sum", ())] > 0
    assert found[("hrm_grounding_total", (("status", "supported"),))] == 2
    assert found[("hrm_grounding_total", (("status", "no_sources"),))] == 1
    assert found[("hrm_http_requests_total", (("route", CHAT), ("status", "200")))] == 3


async def test_failures_are_counted(tmp_path: Path) -> None:
    engine = ScriptedEngine("a", failure=EngineError("x"))
    async with client_of(services(engine, Shelf(StoreFailed(Path("x"), "y"))), "sk-admin") as client:
        await client.post(CHAT, json=question())
        await client.post(CHAT, json=question(model=f"{MODEL}@handbook"))
        await client.get("/no/such/path")
        found = samples((await client.get("/metrics")).text)

    assert found[of_model("vllm:request_success_total", finished_reason="error")] == 1
    assert found[("hrm_retrieval_failures_total", ())] == 1
    assert found[("hrm_http_requests_total", (("route", "unmatched"), ("status", "404")))] == 1


async def test_gauges_read_the_engine_at_the_moment_of_the_scrape() -> None:
    load = Load(
        3,
        2,
        kv_tokens_used=25,
        kv_tokens=100,
        step_age_s=0.5,
        drafted_tokens=9,
        accepted_tokens=7,
        asked_tokens=60,
        reused_tokens=20,
        kv_bytes=4096,
        kept_tokens=12,
    )
    metrics = Metrics(MODEL, lambda: load)

    before = samples(metrics.text().decode())
    load = Load()
    after = samples(metrics.text().decode())

    assert before[of_model("vllm:num_requests_running")] == 3
    assert before[of_model("vllm:num_requests_waiting")] == 2
    assert before[of_model("vllm:kv_cache_usage_perc")] == 0.25
    assert before[of_model("hrm_engine_step_age_seconds")] == 0.5
    assert before[of_model("vllm:spec_decode_num_draft_tokens_total")] == 9
    assert before[of_model("vllm:spec_decode_num_accepted_tokens_total")] == 7
    assert before[of_model("vllm:prefix_cache_queries_total")] == 60
    assert before[of_model("vllm:prefix_cache_hits_total")] == 20
    assert before[of_model("hrm_kv_cache_bytes")] == 4096
    assert before[of_model("hrm_kv_cache_tokens")] == 100
    assert before[of_model("hrm_prompt_cache_tokens")] == 12
    assert after[of_model("vllm:kv_cache_usage_perc")] == 0


@pytest.mark.parametrize("refusal", [EngineOverloaded(1, 1), EngineError("x")])
async def test_a_request_that_never_started_is_no_generation(refusal: Exception) -> None:
    async with client_of(services(ScriptedEngine(refusal=refusal)), "sk-admin") as client:
        await client.post(CHAT, json=question())
        found = samples((await client.get("/metrics")).text)

    assert {value for (name, _), value in found.items() if name == "vllm:request_success_total"} == {0}


async def test_a_client_that_leaves_is_an_abort() -> None:
    async def events() -> AsyncGenerator[Event, None]:
        yield Started(3)
        yield Text(0, "x", 1)
        yield Text(1, "x", 1)

    metrics = Metrics(MODEL, Load)
    stream = metrics.observed(events(), 2)
    await anext(stream)
    await stream.aclose()

    assert samples(metrics.text().decode())[of_model("vllm:request_success_total", finished_reason="abort")] == 2


async def test_a_store_that_cannot_be_read_is_down_and_one_that_loads_says_nothing() -> None:
    def broken() -> StoreFacts:
        raise StoreFailed(Path("x"), "y")

    down = samples(Metrics(MODEL, Load, stored=broken).text().decode())
    loading = samples(Metrics(MODEL, Load, stored=DeferredLibrary().facts).text().decode())

    assert down[("hrm_store_up", ())] == 0
    assert not [name for name, _ in loading if name.startswith(("hrm_store", "hrm_index", "hrm_ingest_queue"))]


@pytest.mark.parametrize(("key", "status"), [("sk-probe", 200), ("sk-admin", 200), ("sk-ann", 403), (None, 401)])
async def test_metrics_are_for_those_with_the_role(key: str | None, status: int) -> None:
    async with client_of(services(), key) as client:
        assert (await client.get("/metrics")).status_code == status
