"""What a server records: one record for each answer and act, before its response ends, and no text of anybody's."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import apsw
import httpx
import pytest
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter
from starlette.types import Message, Receive

from hrm_model.errors import EngineError, EngineOverloaded
from retrieval.opening import open_library
from retrieval.types import Hits
from server.app import create_app
from server.audit.facts import Origin
from server.audit.log import AuditLog
from server.audit.seal import salted
from server.deps import Services
from server.events import Closed, following, settled
from server.json_body import JsonRequest
from server.metrics import Metrics
from server.pipeline import Answer, Pipeline
from server.ports import Audit
from server.routes.auditing import recorded
from server.routes.guard import AskRoute
from server.schemas.chat import ChatRequest
from server.signing import Signer
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import (
    CALLERS,
    HANDBOOK,
    LEAVE,
    client_of,
    client_to,
    frames,
    listening,
    question,
    services,
    stocked,
)
from tests.retrieval.desk import WordsEmbedder

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
SIGNER = Signer(Ed25519PrivateKey.generate())


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    log = AuditLog(tmp_path / "audit.db", SIGNER, busy_timeout_ms=10)
    yield log
    log.close()


def records(log: AuditLog) -> list[dict[str, Any]]:
    """All of them, the chain checked on the way."""
    log.verify([SIGNER.public_key])
    return [json.loads(entry.record) for entry in log.entries()]


def files_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("audit.db*"))


async def recording(log: AuditLog, path: Path, engine: ScriptedEngine | None = None) -> Services:
    shelf = await stocked(path, HANDBOOK)
    given = services(engine or ScriptedEngine("Full-time staff ", "receive 28 days."), shelf, default_store="handbook")
    return replace(given, audit=log, origin=lambda: Origin("1.2", "mini", "digest", "template"))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_recorded_with_who_what_and_how_it_ended(
    log: AuditLog, tmp_path: Path, stream: bool
) -> None:
    asked = question(stream=stream, temperature=0.5, max_tokens=20)
    async with client_of(await recording(log, tmp_path)) as client:
        response = await client.post(CHAT, json=asked, headers={"x-request-id": "req_7"})

    (record,) = records(log)
    assert response.status_code == 200
    assert (record["kind"], record["request"], record["outcome"]) == ("answer", "req_7", "answered")
    assert (record["caller"], record["groups"], record["key"]) == ("user:ann", ["group:staff"], "key_1")
    assert (record["software"], record["model_digest"], record["template_digest"]) == ("1.2", "digest", "template")
    assert record["parameters"]["temperature"] == 0.5
    assert isinstance(record["parameters"]["seed"], int), "the server decides one where the request has none"
    first, second = record["passages"]
    assert (first["rank"], LEAVE[first["start"] : first["end"]]) == (1, LEAVE)
    assert (second["rank"], second["file"] != first["file"]) == (2, True)
    assert record["generation"] is not None
    assert record["choices"][0] | {"choice": 0, "ended": "stop", "verdict": "supported"} == record["choices"][0]
    assert record["tokens"]["prompt"] > 0
    salt = log.salt(1)
    assert salt is not None
    assert set(record["hashes"]) == {"question", "answer_0"}
    assert record["hashes"]["answer_0"] == salted(salt, "Full-time staff receive 28 days. [1]")


async def test_no_record_holds_an_id_that_tells_of_somebody(log: AuditLog, tmp_path: Path) -> None:
    iban = "DE89370400440532013000"
    async with client_of(await recording(log, tmp_path)) as client:
        response = await client.post(CHAT, json=question(), headers={"x-request-id": iban})

    (record,) = records(log)
    assert record["request"] == response.headers["x-request-id"]
    assert iban.encode() not in files_of(tmp_path)


async def test_no_record_holds_what_was_asked_or_answered(log: AuditLog, tmp_path: Path) -> None:
    async with client_of(await recording(log, tmp_path)) as client:
        await client.post(CHAT, json=question())
        await client.post("/v1/completions", json={"model": "hrm-text-mini", "prompt": "canary in the mine"})
        await client.post(CHAT, json={**question(), "unknown canary": 1})
        canary = {"type": "eq", "key": "a canary", "value": "canary"}
        await client.post(CHAT, json=question(stop=["canary"], retrieval={"filters": canary}, metadata={"a": "canary"}))

    spelled = json.dumps(records(log))
    assert len(records(log)) == 4
    assert records(log)[3]["content"] == ["messages", "metadata", "retrieval", "stop"]
    for text in ("canary", "28 days", question()["messages"][0]["content"]):
        assert text not in spelled


async def test_an_answer_is_on_record_before_its_last_word_is_sent(log: AuditLog, tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer sk-ann"}
    async with (
        listening(await recording(log, tmp_path)) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as client,
        client.stream("POST", CHAT, json=question(stream=True)) as response,
    ):
        lines = [(line, log.head().number) async for line in response.aiter_lines() if line]

    assert lines[-1] == ("data: [DONE]", 1)


async def test_a_streamed_answer_is_noted_down_before_its_first_word_and_a_whole_one_is_not(
    log: AuditLog, tmp_path: Path
) -> None:
    given = await recording(log, tmp_path)
    answer = await begun(given)
    assert log.under_way() == 0

    await anext(answer.events)
    assert log.under_way() == 1
    async for _ in answer.events:
        pass
    await answer.aclose()
    assert log.under_way() == 0
    async with client_of(replace(given, audit=NoNotes(log))) as client:
        assert (await client.post(CHAT, json=question())).status_code == 200
    assert len(records(log)) == 2


async def test_a_function_call_is_hashed_as_what_was_answered(log: AuditLog, tmp_path: Path) -> None:
    clock = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
    engine = ScriptedEngine("get_", "time\n{", "}")
    async with client_of(await recording(log, tmp_path, engine)) as client:
        response = await client.post(CHAT, json=question(tools=[clock], tool_choice="required"))
    (call,) = response.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "get_time", "arguments": "{}"}

    (record,) = records(log)
    salt = log.salt(1)
    assert salt is not None
    assert record["hashes"]["answer_0"] == salted(salt, "get_time{}")


class NoNotes:
    """A log that must not be asked to note anything down."""

    def __init__(self, log: AuditLog) -> None:
        self.append = log.append

    def begin(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> int:
        raise AssertionError(record, texts)


@pytest.mark.parametrize("reads", [0, 1, 3])
async def test_an_answer_that_nobody_reads_to_its_end_is_recorded_as_far_as_it_came(
    log: AuditLog, tmp_path: Path, reads: int
) -> None:
    given = await recording(log, tmp_path, ScriptedEngine(*["word "] * 400))
    answer = await begun(given)

    for _ in range(reads):
        await anext(answer.events)
    await answer.aclose()
    await answer.aclose()

    (record,) = records(log)
    assert (record["outcome"], record["request"]) == ("left", "req_1")
    assert given.engine.load().running == 0


class Pondering:
    """A search that has begun, and does not end before whoever asked has left."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def search(self, query: str, **how: Any) -> Hits:
        self.begun.set()
        return await asyncio.Future[Hits]()


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_before_the_answer_has_begun_has_left_and_was_not_refused(
    log: AuditLog, tmp_path: Path, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pondering = Pondering()
    given = replace(await recording(log, tmp_path), retriever=pondering)
    with caplog.at_level("INFO"):
        async with listening(given) as url, httpx.AsyncClient(headers={"Authorization": "Bearer sk-ann"}) as client:
            asking = asyncio.create_task(client.post(url + CHAT, json=question(stream=stream)))
            await asyncio.wait_for(pondering.begun.wait(), 20)
            asking.cancel()
            await asyncio.wait({asking})

    (record,) = records(log)
    assert (record["status"], record["outcome"]) == (499, "left")
    assert "status=499" in caplog.text
    assert "outcome=left" in caplog.text


async def test_an_answer_that_is_left_at_its_last_event_is_on_record_as_it_was(log: AuditLog, tmp_path: Path) -> None:
    slow = SlowLog(log)
    answer = await begun(replace(await recording(log, tmp_path), audit=slow))
    while not isinstance(await anext(answer.events), Closed):
        pass
    last = asyncio.ensure_future(following(answer.events))
    await run_sync(slow.asked.wait)

    await settled(last)
    slow.may_write.set()
    await answer.aclose()

    (record,) = records(log)
    assert record["outcome"] == "answered"


class SlowLog:
    """A log that writes a record when it is told to."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self.begin = log.begin
        self.asked, self.may_write = Event(), Event()

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str], *, note: int | None = None) -> object:
        self.asked.set()
        assert self.may_write.wait(30)
        return self._log.append(record, texts, note=note)


async def begun(given: Services) -> Answer:
    """An answer that is to be recorded."""
    scope = {"type": "http", "headers": [], "route": SimpleNamespace(path=CHAT)}
    request = JsonRequest(
        scope,
        body_of(question(stream=True)),
        max_depth=64,
        form=lambda given: (given, []),
        readers=CapacityLimiter(1),
    )
    await request.json()
    request.state.request_id = "req_1"
    answer = await Pipeline(given, Metrics("m", given.engine.load)).answer(
        ChatRequest.model_validate(question(stream=True)), CALLERS["sk-ann"]
    )
    return await recorded(answer, request, CALLERS["sk-ann"], given, seed=None)


def body_of(asked: dict[str, Any]) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False}

    return receive


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_fails_is_recorded_too(log: AuditLog, tmp_path: Path, stream: bool) -> None:
    engine = ScriptedEngine("Full-time ", "staff", failure=EngineError("x"), fail_after=1)
    async with client_of(await recording(log, tmp_path, engine)) as client:
        await client.post(CHAT, json=question(stream=stream))

    (record,) = records(log)
    assert (record["outcome"], record["error"]) == ("failed", "EngineError")


@pytest.mark.parametrize(
    ("refusal", "status", "outcome"), [(EngineOverloaded(1, 1), 503, "failed"), (None, 404, "refused")]
)
async def test_what_is_refused_is_recorded_with_its_status(
    log: AuditLog, tmp_path: Path, refusal: Exception | None, status: int, outcome: str
) -> None:
    engine = ScriptedEngine("x", refusal=refusal)
    async with client_of(await recording(log, tmp_path, engine)) as client:
        response = await client.post(CHAT, json=question() if refusal else question(model="other"))

    (record,) = records(log)
    assert response.status_code == record["status"] == status
    assert (record["kind"], record["outcome"]) == ("answer", outcome)


async def test_an_act_that_is_cut_off_is_on_record_as_one_that_may_have_been_done(
    log: AuditLog, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"name":'
        begun.set()
        await asyncio.Event().wait()

    async with client_of(await recording(log, tmp_path), "sk-ines") as client:
        making = asyncio.ensure_future(client.post("/v1/vector_stores", content=endless()))
        await begun.wait()
        await settled(making)

    (record,) = records(log)
    assert (record["caller"], record["route"]) == ("user:ines", "POST /v1/vector_stores")
    assert (record["status"], record["outcome"]) == (None, "cut off")


async def test_what_is_refused_for_want_of_a_role_is_recorded(log: AuditLog, tmp_path: Path) -> None:
    async with client_of(await recording(log, tmp_path)) as client:
        response = await client.delete("/v1/files/file_1")

    (record,) = records(log)
    assert response.status_code == record["status"] == 403
    assert (record["caller"], record["route"], record["outcome"]) == (
        "user:ann",
        "DELETE /v1/files/{file_id}",
        "refused",
    )


async def test_reading_a_document_is_recorded_and_looking_around_is_not(log: AuditLog, tmp_path: Path) -> None:
    given = await recording(log, tmp_path)
    async with client_of(given) as client:
        answer = (await client.post(CHAT, json=question())).json()
        file_id = answer["choices"][0]["message"]["annotations"][0]["url_citation"]["file_id"]
        await client.get("/v1/models")
        await client.get(f"/v1/files/{file_id}/content")
        await client.get("/v1/files/file_unknown/content")

    _, read, missed = records(log)
    assert (read["kind"], read["route"], read["path"]) == (
        "file",
        "GET /v1/files/{file_id}/content",
        {"file_id": file_id},
    )
    assert (read["status"], missed["status"], missed["outcome"]) == (200, 404, "refused")


async def test_a_search_is_recorded_with_what_it_found_and_a_hash_of_its_words(log: AuditLog, tmp_path: Path) -> None:
    async with client_of(await recording(log, tmp_path)) as client:
        asked = {"query": "days of leave for full-time staff", "max_num_results": 2}
        hits = (await client.post("/v1/vector_stores/handbook/search", json=asked)).json()["data"]

    (record,) = records(log)
    assert [passage["file"] for passage in record["passages"]] == [hit["file_id"] for hit in hits]
    assert [passage["rank"] for passage in record["passages"]] == [1, 2]
    assert (record["searched"], record["generation"] is None) == (["handbook"], False)
    assert record["searched_ids"] == [record["passages"][0]["store"]]
    salt = log.salt(1)
    assert salt is not None
    assert record["hashes"] == {"query": salted(salt, '["days of leave for full-time staff"]')}
    assert "weights" not in record


async def test_a_search_with_weights_of_its_own_records_them(log: AuditLog, tmp_path: Path) -> None:
    hybrid = {"embedding_weight": 1, "text_weight": 4}
    asked = {"query": "leave", "ranking_options": {"ranker": "default-2024-11-15", "hybrid_search": hybrid}}
    async with client_of(await recording(log, tmp_path)) as client:
        assert (await client.post("/v1/vector_stores/handbook/search", json=asked)).status_code == 200

    (record,) = records(log)
    assert record["weights"] == {"embedding_weight": 0.2, "text_weight": 0.8}


async def test_a_name_in_a_path_that_the_server_did_not_give_is_hashed_as_texts_are(
    log: AuditLog, tmp_path: Path
) -> None:
    async with keeping(tmp_path, log) as client:
        missed = await client.delete("/v1/files/Velin-dismissal.pdf")
        await client.post("/v1/vector_stores/Anna%20Velin%20was%20dismissed/search", json={"query": "x"})
        await client.delete("/v1/vector_stores/velin-was-dismissed")

    deleted, searched, unfound = records(log)
    assert missed.status_code == 404
    assert (deleted["route"], deleted["path"]) == ("DELETE /v1/files/{file_id}", {"file_id": None})
    assert searched["path"] == unfound["path"] == {"store": None}
    salt = log.salt(1)
    assert salt is not None
    assert deleted["hashes"] == {"file_id": salted(salt, "Velin-dismissal.pdf")}
    # The note of the act among it, which would have become the record of a server that was killed.
    assert b"velin" not in files_of(tmp_path).lower()


async def test_the_name_of_a_store_is_on_record_only_for_whom_there_is_one(log: AuditLog, tmp_path: Path) -> None:
    named = "/v1/vector_stores/4111111111111111"
    async with keeping(tmp_path, log) as client:
        mine = (await client.post("/v1/vector_stores", json={"name": "Mine"})).json()["slug"]
        for path in (named, f"/v1/vector_stores/{mine}"):
            for who in ("sk-ines", "sk-ben", "sk-ann"):  # the owner, a stranger, and one without the role to change it
                client.headers["Authorization"] = f"Bearer {who}"
                await client.post(path, json={"index": "none"})
                await client.post(f"{path}/search", json={"query": "x"})
                await client.post(f"{path}/search", json={})

    tried = [record["path"]["store"] for record in records(log)[1:]]
    assert tried == [None] * 9 + [mine] * 3 + [None] * 6
    assert log.under_way() == 0
    assert b"41111111" not in files_of(tmp_path), "eight digits, as four stand in a file of random ones by chance"


async def test_ids_and_names_of_stores_in_a_path_are_on_record(log: AuditLog, tmp_path: Path) -> None:
    batch = "vsfb_" + "0" * 24
    async with keeping(tmp_path, log) as client:
        client.headers["Authorization"] = "Bearer sk-admin"  # whose slug is the plain name
        await client.post("/v1/vector_stores", json={"name": "handbook"})
        await client.delete("/v1/vector_stores/handbook")
        await client.post(f"/v1/vector_stores/handbook/file_batches/{batch}/cancel")
        await client.delete(f"/v1/vector_stores/{'vs_' + 'a' * 24}/files/{'file-' + 'b' * 24}")
        await client.delete(f"/v1/vector_stores/{'s' * 65}")

    assert [record["path"] for record in records(log)[1:]] == [
        {"store": "handbook"},
        {"store": None, "batch_id": batch},
        {"store": "vs_" + "a" * 24, "file_id": "file-" + "b" * 24},
        {"store": None},
    ]


async def test_the_record_of_what_was_made_has_its_id(log: AuditLog, tmp_path: Path) -> None:
    async with keeping(tmp_path, log) as client:
        store = (await client.post("/v1/vector_stores", json={"name": "new"})).json()["id"]
        file = await client.post("/v1/files", data={"purpose": "assistants"}, files={"file": ("a.txt", b"28 days.")})

    assert [(one["kind"], one["id"]) for one in records(log)] == [("store", store), ("file", file.json()["id"])]
    assert log.under_way() == 0


async def test_the_record_of_a_file_that_was_put_into_a_store_has_the_ids_of_both(
    log: AuditLog, tmp_path: Path
) -> None:
    async with keeping(tmp_path, log) as client:
        client.headers["Authorization"] = "Bearer sk-admin"
        store = (await client.post("/v1/vector_stores", json={"name": "desk"})).json()["id"]
        file = await client.post("/v1/files", data={"purpose": "assistants"}, files={"file": ("a.txt", b"28 days.")})
        body = {"file_id": file.json()["id"]}
        assert (await client.post("/v1/vector_stores/desk/files", json=body)).status_code == 200

    *_, put = records(log)
    assert (put["path"], put["id"], put["store_id"]) == ({"store": "desk"}, file.json()["id"], store)


async def test_only_where_something_is_made_is_the_response_read_for_its_id(log: AuditLog) -> None:
    app = create_app(replace(services(), audit=log))
    router = APIRouter(route_class=AskRoute)
    router.add_api_route("/v1/told", lambda: {"id": "file-1"}, methods=["POST"])
    app.include_router(router)

    async with client_to(app) as client:
        assert (await client.post("/v1/told")).status_code == 200

    (record,) = records(log)
    assert record["outcome"] == "done"
    assert "id" not in record


async def test_nothing_is_done_that_could_not_be_noted_first(log: AuditLog, tmp_path: Path) -> None:
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    blocker.execute("BEGIN IMMEDIATE")
    async with keeping(tmp_path, log) as client:
        refused = await client.post("/v1/vector_stores", json={"name": "new"})
        blocker.execute("ROLLBACK")
        stores = (await client.get("/v1/vector_stores")).json()["data"]

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "audit_unavailable")
    assert stores == []
    assert records(log) == []


async def test_who_does_something_whose_record_has_to_wait_is_told_so(log: AuditLog, tmp_path: Path) -> None:
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    async with keeping(tmp_path, Locking(log, blocker)) as client:
        told = await client.post("/v1/vector_stores", json={"name": "new"})
        stores = (await client.get("/v1/vector_stores")).json()["data"]
        blocker.execute("ROLLBACK")
        assert records(log) == []
        log.append({"request": "later"}, {})

    assert (told.status_code, told.json()["error"]["code"]) == (503, "audit_pending")
    done, _ = records(log)
    assert (done["status"], done["outcome"], done["id"]) == (200, "done", stores[-1]["id"])


@pytest.mark.parametrize("route", [CHAT, "/v1/completions"])
async def test_who_has_read_an_answer_whose_record_has_to_wait_is_told_so(
    log: AuditLog, tmp_path: Path, route: str
) -> None:
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    given = replace(await recording(log, tmp_path), audit=Locking(log, blocker))
    asked = question() if route == CHAT else {"model": "hrm-text-mini", "prompt": "x"}
    async with client_of(given) as client:
        *_, told = frames((await client.post(route, json={**asked, "stream": True})).text)
        blocker.execute("ROLLBACK")
        assert records(log) == []
        log.append({"request": "later"}, {})

    assert json.loads(told)["error"]["code"] == "audit_pending"
    answered, _ = records(log)
    assert (answered["outcome"], answered["choices"][0]["ended"]) == ("answered", "stop")


async def test_a_search_and_a_whole_answer_that_cannot_be_recorded_are_not_sent_and_leave_no_record_later(
    log: AuditLog, tmp_path: Path
) -> None:
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    blocker.execute("BEGIN IMMEDIATE")
    async with client_of(await recording(log, tmp_path)) as client:
        search = await client.post("/v1/vector_stores/handbook/search", json={"query": "days of leave"})
        whole = await client.post(CHAT, json=question())
        blocker.execute("ROLLBACK")
        log.append({"request": "later"}, {})

    for refused in (search, whole):
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "audit_unavailable")
    assert [record["request"] for record in records(log)] == ["later"]


@pytest.mark.filterwarnings("always::ResourceWarning")
async def test_a_file_whose_reading_cannot_be_recorded_is_closed(
    log: AuditLog, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    async with keeping(tmp_path, log) as client:
        file = await client.post("/v1/files", data={"purpose": "assistants"}, files={"file": ("a.txt", b"28 days.")})
        blocker.execute("BEGIN IMMEDIATE")
        refused = await client.get(f"/v1/files/{file.json()['id']}/content?form=original")
    gc.collect()

    assert refused.status_code == 503
    assert [str(warning.message) for warning in recwarn] == []


@asynccontextmanager
async def keeping(folder: Path, audit: Audit) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with a real store."""
    async with open_library(folder / "data", WordsEmbedder()) as library:
        given = replace(services(ScriptedEngine("ok"), store=library), audit=audit)
        async with client_of(given, "sk-ines") as client:
            yield client


class Locking:
    """A log that another process writes to as soon as something is noted down."""

    def __init__(self, log: AuditLog, blocker: apsw.Connection) -> None:
        self._log, self._blocker = log, blocker
        self.append = log.append

    def begin(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> int:
        note = self._log.begin(record, texts)
        self._blocker.execute("BEGIN IMMEDIATE")
        return note


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_recorded_does_not_end_well(log: AuditLog, tmp_path: Path, stream: bool) -> None:
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    blocker.execute("BEGIN IMMEDIATE")
    async with client_of(await recording(log, tmp_path)) as client:
        response = await client.post(CHAT, json=question(stream=stream))
        metrics = await client.get("/metrics", headers={"Authorization": "Bearer sk-probe"})

    given_up = 2 if stream else 1  # a stream's note and its record
    assert f'hrm_audit_records_total{{outcome="failed"}} {given_up}.0' in metrics.text
    assert 'hrm_audit_records_total{outcome="written"} 0.0' in metrics.text
    if stream:
        assert frames(response.text)[-1] != "[DONE]"
        assert "audit_unavailable" in response.text
    else:
        assert (response.status_code, response.json()["error"]["code"]) == (503, "audit_unavailable")
        assert response.headers["retry-after"]


async def test_a_server_without_a_log_answers_as_well(tmp_path: Path) -> None:
    given = replace(await recording(AuditLog(tmp_path / "a.db", SIGNER), tmp_path), audit=None)
    async with client_of(given) as client:
        assert (await client.post(CHAT, json=question())).status_code == 200
