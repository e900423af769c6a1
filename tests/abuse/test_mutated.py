"""Requests gone wrong: each is refused in the one error body, and none is the server's fault."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest

from server.app import bare_app
from server.schemas.objects import ErrorBody
from tests.abuse.mutations import ODD_TEXT, mutated, spelled, within
from tests.abuse.serving import kept, reached, served
from tests.abuse.valid import BATCH, FILE, MODEL, REQUESTS, STORE, Request

pytestmark = pytest.mark.anyio

# What is deleted by one request is there again for the next ones.
_FRESH_EVERY = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back before the connection was closed."""

    status: int
    headers: dict[str, str]
    body: bytes


async def objects(url: str) -> dict[str, str]:
    """A file, a store that holds it, and a batch, by the placeholders that stand for them."""
    # The server closes resting connections sooner than a client may expect.
    headers = {"authorization": "Bearer sk-admin", "connection": "close"}
    async with httpx.AsyncClient(base_url=f"{url}/v1", headers=headers) as client:
        uploaded = await client.post("/files", data={"purpose": "assistants"}, files={"file": ("a.txt", b"28 days.")})
        file_id = uploaded.json()["id"]
        store = (await client.post("/vector_stores", json={"name": "s"})).json()["id"]
        batches = f"/vector_stores/{store}/file_batches"
        batch = (await client.post(batches, json={"file_ids": [file_id]})).json()["id"]
        async with asyncio.timeout(20):
            while (await client.get(f"{batches}/{batch}")).json()["status"] == "in_progress":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    return {FILE: file_id, STORE: store, BATCH: batch, "{model}": "hrm-text-mini"}


async def sent(url: str, data: bytes) -> Answer | None:
    """What a server says to some bytes; None: nothing, it has hung up."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        async with asyncio.timeout(20):
            writer.write(data)
            try:
                said = await reader.read()
            except ConnectionResetError:
                return None
    finally:
        writer.close()
    return parsed(said) if said else None


def parsed(said: bytes) -> Answer:
    """The last response; one that only says that a body may come stands before it."""
    head, _, body = said.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return parsed(body)
    first, *lines = head.decode("latin-1").split("\r\n")
    return Answer(int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body)


def fault(answer: Answer | None, data: bytes) -> str | None:
    """What is wrong with an answer, None if nothing is."""
    if answer is None:
        return None
    if answer.status >= 500:
        return f"status {answer.status}"
    if answer.status < 400 or data.startswith(b"HEAD "):
        return None
    try:
        ErrorBody.model_validate(json.loads(answer.body))
    except ValueError as error:
        return f"status {answer.status} without the error body: {error}"
    return None


async def faults(folder: Path, count: int, seed: int) -> list[str]:
    """Send mutated requests; what went wrong, with what it takes to send the same again."""
    found: list[str] = []
    ids: dict[str, str] = {}
    async with kept(folder) as given, reached(given, patience_s=20) as url, reached(given, patience_s=0.1) as hurried:
        for number in range(count):
            if number % _FRESH_EVERY == 0:
                ids = await objects(url)
            data, how = mutated(REQUESTS[number % len(REQUESTS)].filled(ids), Random(f"{seed}/{number}"))
            if problem := fault(await sent(hurried, data), data):
                found.append(f"seed {seed} number {number} ({how}): {problem}\n  {data[:1500]!r}")
    return found


def test_every_route_is_mutated() -> None:
    described = {
        (method.upper(), path) for path, operations in bare_app().openapi()["paths"].items() for method in operations
    }

    assert described - {(request.method, request.path) for request in REQUESTS} == set()


async def test_what_is_mutated_was_valid(tmp_path: Path) -> None:
    refused = []
    async with served(tmp_path) as url:
        ids = await objects(url)
        for request in REQUESTS:
            answer = await sent(url, spelled(request.filled(ids), []))
            if request.method == "DELETE":
                ids = await objects(url)
            if answer is None or answer.status != (404 if "erasure_id" in request.path else 200):
                refused.append((request.method, request.path, answer))

    assert refused == []


async def test_no_mutated_request_is_the_servers_fault(tmp_path: Path) -> None:
    assert await faults(tmp_path, 400, seed=1) == []


async def test_no_character_of_a_question_is_a_failure_of_the_store(tmp_path: Path) -> None:
    """Each control character and each odd text, alone and within a word, looked up in a store that has an answer."""
    odd = dict.fromkeys([*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *'"*()^:{}+-', *ODD_TEXT])
    failed = []
    async with served(tmp_path) as url:
        ids = await objects(url)
        for text in [*odd, *(within("How many days?", text) for text in odd)]:
            chat = {"model": f"{MODEL}@{ids[STORE]}", "messages": [{"role": "user", "content": text}]}
            search = Request("POST", f"/v1/vector_stores/{ids[STORE]}/search", {"query": text})
            for request in (search, Request("POST", "/v1/chat/completions", chat)):
                data = spelled(request, [])
                answer = await sent(url, data)
                if answer is None or answer.status not in (200, 400) or fault(answer, data):
                    failed.append((request.path, text[:40], answer))

    assert failed == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 22))
async def test_nor_are_twenty_thousand(seed: int, tmp_path: Path) -> None:
    assert await faults(tmp_path, 1000, seed) == []
