"""Nothing of what clients send, ask or get, nor their keys, reaches the log or the metrics, whatever the route.

Real store, real parser process, real sockets; all that this process and its children write to their outputs is read.
"""

import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import anyio
import httpx
import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from server.app import bare_app
from server.logs import configure
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import listening, question, services
from tests.retrieval.desk import WordsEmbedder

pytestmark = pytest.mark.anyio

CANARY = "canary"
CHAT = "/v1/chat/completions"
FAULT = "-".join((CANARY, "fault"))  # a traceback shows lines of code, and this one must not look like a value
INGEST = {"Authorization": "Bearer sk-ines"}
ADMIN = {"Authorization": "Bearer sk-admin"}
TELLING = {
    "X-Canary": "canary-header",
    "User-Agent": "canary-agent",
    "Cookie": "canary=cookie",
    "X-Request-ID": "canary id with blanks",
    "Referer": "http://canary.example/",
}
# Each says something that its parser stumbles over.
FILES = {
    "canary-note.txt": b"The canary-text is 28 days.",
    "canary-broken.pdf": b"%PDF-1.7\ncanary-pdf 1 0 obj << /Canary (canary) >> trailer startxref 9 %%EOF",
    "canary-broken.docx": b"PK\x03\x04canary-docx",
    "canary-broken.json": b'{"canary": canary',
    "canary-page.html": b"<html><title>canary</title><p>canary <b <<>> &canary; \xff\xfe canary",
    "canary-latin.txt": b"canary \xff\xfe\x00 canary",
    "canary.exe": b"MZ canary",
}


@contextmanager
def logging_all(form: Literal["text", "json"], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log of a server that logs all it can; of the client, which runs here too, nothing."""
    for owner, hook in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(owner, hook, getattr(owner, hook))
    root, clients = logging.getLogger(), [logging.getLogger(name) for name in ("httpx", "httpcore")]
    before, level, root.handlers = root.handlers, root.level, []
    configure("DEBUG", form)
    for client in clients:
        client.setLevel(logging.ERROR)
    yield
    for client in clients:
        client.setLevel(logging.NOTSET)
    root.handlers = before
    root.setLevel(level)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data", WordsEmbedder()) as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(opened.work, 0.02)
        yield opened
        tasks.cancel_scope.cancel()


async def strange(client: httpx.AsyncClient, key: dict[str, str]) -> None:
    """Every route with a stranger's paths, queries, headers and bodies."""
    for path, methods in bare_app().openapi()["paths"].items():
        place = path.replace("{", "canary-").replace("}", "") + "?canary-name=canary-value&limit=canary"
        for method in methods:
            for content in (b'{"model": "canary-model", "canary": "canary"}', b'{"canary": canary', b"\xffcanary"):
                headers = {**TELLING, "Content-Type": "application/json", **key}
                answered = await client.request(method, place, content=content, headers=headers)
                assert answered.status_code < 500, (method, path, answered.text)
    await client.get("/canary-path/canary?canary", headers=key)
    await client.request("CANARY", CHAT, headers=key)


async def familiar(client: httpx.AsyncClient) -> None:
    """Uploads, stores, searches and answers that go well, and some that do not."""
    made = await client.post("/v1/vector_stores", json={"name": "canary-store", "metadata": {"canary": "canary"}})
    store = made.json()["id"]
    for name, data in FILES.items():
        sent = await client.post("/v1/files", files={"file": (name, data)}, data={"purpose": "assistants"})
        assert sent.status_code == 200
        held = f"/v1/vector_stores/{store}/files"
        await client.post(held, json={"file_id": sent.json()["id"], "attributes": {"canary": "canary"}})
        with anyio.fail_after(60):
            while (await client.get(f"{held}/{sent.json()['id']}")).json()["status"] == "in_progress":  # noqa: ASYNC110
                await anyio.sleep(0.05)
        await client.get(f"/v1/files/{sent.json()['id']}/content?start=canary")
    found = await client.post(f"/v1/vector_stores/{store}/search", json={"query": "canary-text days"})
    assert CANARY in found.text
    for stream in (False, True):
        body = question("canary-question", stream=stream, retrieval={"vector_store_ids": [store]}, user="canary-user")
        assert CANARY in (await client.post(CHAT, json=body)).text
    plain = {"model": "hrm-text-mini", "prompt": "canary-prompt"}
    assert CANARY in (await client.post("/v1/completions", json=plain)).text
    await client.delete(f"/v1/files/{sent.json()['id']}")


@pytest.mark.parametrize("form", ["text", "json"])
async def test_nothing_of_a_request_reaches_the_log_or_the_metrics(
    form: Literal["text", "json"],
    library: Library,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with logging_all(form, monkeypatch):
        measured = await everything(library)

    said = "".join(capfd.readouterr())
    assert [line for line in (said + measured).splitlines() if CANARY in line.lower()] == []
    for path in bare_app().openapi()["paths"]:
        assert path.split("{")[0] in said, "the log that was read is not the one that is written"
    assert said.count("request failed: KeyError") == 4
    assert "hrm_http_requests_total" in measured


async def everything(library: Library) -> str:
    """All of the above, and faults; what /metrics said of it."""
    sound = services(ScriptedEngine("canary-answer", " 28 days."), store=library)
    async with listening(sound) as url, httpx.AsyncClient(base_url=url, headers=INGEST, timeout=30) as client:
        await familiar(client)
        await strange(client, {})
        await strange(client, {"Authorization": "Bearer canary-key"})
        measured = (await client.get("/metrics", headers=ADMIN)).text
    for engine in (
        ScriptedEngine(refusal=KeyError(FAULT)),
        ScriptedEngine("a", "b", failure=KeyError(FAULT), fail_after=1),
    ):
        async with (
            listening(services(engine, store=library)) as url,
            httpx.AsyncClient(base_url=url, headers=INGEST, timeout=30) as client,
        ):
            for stream in (False, True):
                failed = await client.post(CHAT, json=question("canary-question", stream=stream))
                assert "internal_error" in failed.text
            measured += (await client.get("/metrics", headers=ADMIN)).text
    return measured
