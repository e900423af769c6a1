"""Keys for certain models and stores: what is outside answers exactly like what does not exist."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.serving import MODEL, question
from tests.server.site import site

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
Call = Callable[[httpx.AsyncClient, str, str], Awaitable[httpx.Response]]

CALLS: dict[str, Call] = {
    "retrieve the store": lambda c, store, file: c.get(f"/v1/vector_stores/{store}"),
    "search it": lambda c, store, file: c.post(f"/v1/vector_stores/{store}/search", json={"query": "salary"}),
    "list its files": lambda c, store, file: c.get(f"/v1/vector_stores/{store}/files"),
    "retrieve one of them": lambda c, store, file: c.get(f"/v1/vector_stores/{store}/files/{file}"),
    "read one of them": lambda c, store, file: c.get(f"/v1/vector_stores/{store}/files/{file}/content"),
    "retrieve the file": lambda c, store, file: c.get(f"/v1/files/{file}"),
    "read the file": lambda c, store, file: c.get(f"/v1/files/{file}/content"),
    "read the original": lambda c, store, file: c.get(f"/v1/files/{file}/content?form=original"),
    "retrieve the alias": lambda c, store, file: c.get(f"/v1/models/{MODEL}@{store}"),
    "ask the alias": lambda c, store, file: c.post(CHAT, json=question(model=f"{MODEL}@{store}")),
    "ask with retrieval": lambda c, store, file: c.post(CHAT, json=question(retrieval={"vector_store_ids": [store]})),
    "ask with a tool": lambda c, store, file: c.post(
        CHAT, json=question(tools=[{"type": "file_search", "vector_store_ids": [store]}])
    ),
    "describe it": lambda c, store, file: c.post(f"/v1/vector_stores/{store}", json={"name": "mine"}),
    "put a file in": lambda c, store, file: c.post(f"/v1/vector_stores/{store}/files", json={"file_id": file}),
    "delete the file": lambda c, store, file: c.delete(f"/v1/files/{file}"),
    "delete the store": lambda c, store, file: c.delete(f"/v1/vector_stores/{store}"),
}


async def test_a_store_outside_a_key_is_one_that_does_not_exist(tmp_path: Path) -> None:
    async with site(tmp_path, default_store="board") as here:
        await here.stock("handbook", "Staff receive 28 days of leave.", "*")
        secret_file = await here.stock("board", "The salary of the board is 9 million.", "*")
        board = secret_file.store_id
        for role in ("ask", "admin"):
            _, key = here.ledger.keys.create(
                principal="user:librarian", roles=[role, "ingest"], allowed_stores=["handbook"]
            )
            async with here.client(key) as client:
                said: dict[str, tuple[int, str]] = {}
                absent: dict[str, tuple[int, str]] = {}
                for name, call in CALLS.items():
                    hidden = await call(client, board, secret_file.file_id)
                    missing = await call(client, "vs_none", "file-none")
                    text = hidden.text.replace(board, "vs_none").replace(secret_file.file_id, "file-none")
                    said[name], absent[name] = (hidden.status_code, text), (missing.status_code, missing.text)
                by_default = await client.post(CHAT, json=question())
                models = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
                stores = [store["name"] for store in (await client.get("/v1/vector_stores")).json()["data"]]
                files = [file["filename"] for file in (await client.get("/v1/files")).json()["data"]]
                found = await client.post(CHAT, json=question("How many days of leave?", model=f"{MODEL}@handbook"))

            assert said == absent
            assert {status for status, _ in said.values()} == {404}
            assert by_default.status_code == 404
            assert by_default.json()["error"]["code"] == "vector_store_not_found"
            assert models == [MODEL, f"{MODEL}@none", f"{MODEL}@handbook"]
            assert (stores, files) == (["handbook"], ["handbook.txt"])
            assert found.json()["choices"][0]["message"]["context"]["citations"]
        assert not any("million" in str(prompt) for prompt in here.engine.prompts)


async def test_the_slug_of_a_new_store_does_not_tell_whether_a_hidden_one_has_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.stock("board", "The salary of the board is 9 million.")
        slugs: dict[str, list[str]] = {}
        for role in ("ingest", "admin"):
            _, key = here.ledger.keys.create(principal=f"user:{role}", roles=[role])
            async with here.client(key) as client:
                answers = [await client.post("/v1/vector_stores", json={"name": name}) for name in ("Board", "Staff")]
            slugs[role] = [answer.json()["slug"] for answer in answers]

    taken, free = slugs["ingest"]
    assert re.fullmatch("board-[0-9a-f]{8}", taken)
    assert re.fullmatch("staff-[0-9a-f]{8}", free)
    # From an admin nothing is hidden.
    assert slugs["admin"][0].startswith("board-")
    assert slugs["admin"][1] == "staff"


async def test_a_key_for_certain_stores_makes_no_store_and_sees_no_erasures(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        _, key = here.ledger.keys.create(principal="user:ann", roles=["ingest"], allowed_stores=["handbook"])
        async with here.client(key) as client:
            answers = [
                await client.post("/v1/vector_stores", json={"name": "handbook"}),
                await client.get("/v1/erasures"),
                await client.get("/v1/erasures/erasure_1"),
            ]

        assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {
            (403, "insufficient_permissions")
        }


@pytest.mark.parametrize(
    ("allowed", "open_ids"),
    [
        ([MODEL], [MODEL, f"{MODEL}@none", f"{MODEL}@handbook"]),
        ([f"{MODEL}@handbook"], [f"{MODEL}@handbook"]),
        (["another"], []),
    ],
)
async def test_a_model_outside_a_key_is_one_that_does_not_exist(
    tmp_path: Path, allowed: list[str], open_ids: list[str]
) -> None:
    async with site(tmp_path) as here:
        await here.stock("handbook", "Staff receive 28 days of leave.", "*")
        _, key = here.ledger.keys.create(principal="user:ann", roles=["ask"], allowed_models=allowed)
        async with here.client(key) as client:
            listed = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
            status: dict[str, set[int]] = {}
            for name in (MODEL, f"{MODEL}@none", f"{MODEL}@handbook", "nonsense"):
                body: dict[str, Any] = question("How many days of leave?", model=name)
                answers = [await client.post(CHAT, json=body), await client.get(f"/v1/models/{name}")]
                status[name] = {answer.status_code for answer in answers}
                assert all(
                    answer.json()["error"]["message"] == f"The model '{name}' does not exist."
                    for answer in answers
                    if answer.status_code == 404
                )
            completed = await client.post("/v1/completions", json={"model": MODEL, "prompt": "x"})
            embedded = await client.post("/v1/embeddings", json={"model": "words", "input": "x"})

    assert listed == open_ids
    assert status == {name: {200} if name in open_ids else {404} for name in status}
    assert completed.status_code == (200 if MODEL in open_ids else 404)
    assert embedded.json()["error"]["code"] == "model_not_found"
