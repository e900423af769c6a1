"""Who may see and do what with files and stores, on every path; what may not be seen answers as if it did not exist."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.e2e.stores import client_of, shop
from tests.fakes.serving import MODEL

pytestmark = pytest.mark.anyio

LEAVE = b"Full-time staff receive 28 days of paid leave each year."
FAST: Any = {"poll_interval_ms": 20}
Call = Callable[[AsyncOpenAI, str, str], Awaitable[object]]

READING: dict[str, Call] = {
    "retrieve the store": lambda c, store, file: c.vector_stores.retrieve(store),
    "search it": lambda c, store, file: c.vector_stores.search(store, query="leave"),
    "list its files": lambda c, store, file: c.vector_stores.files.list(store),
    "retrieve one of them": lambda c, store, file: c.vector_stores.files.retrieve(file, vector_store_id=store),
    "read one of them": lambda c, store, file: c.vector_stores.files.content(file, vector_store_id=store),
    "retrieve the file": lambda c, store, file: c.files.retrieve(file),
    "read the file": lambda c, store, file: c.files.content(file),
    "ask": lambda c, store, file: c.chat.completions.create(
        model=f"{MODEL}@{store}", messages=[{"role": "user", "content": "leave?"}]
    ),
}
WRITING: dict[str, Call] = {
    "describe the store": lambda c, store, file: c.vector_stores.update(store, name="mine"),
    "share it": lambda c, store, file: c.vector_stores.update(store, extra_body={"access": {"read": ["*"]}}),
    "put a file in": lambda c, store, file: c.vector_stores.files.create(store, file_id=file),
    "put several in": lambda c, store, file: c.vector_stores.file_batches.create(store, file_ids=[file]),
    "change attributes": lambda c, store, file: c.vector_stores.files.update(
        file, vector_store_id=store, attributes={"a": 1}
    ),
    "take a file out": lambda c, store, file: c.vector_stores.files.delete(file, vector_store_id=store),
    "delete the file": lambda c, store, file: c.files.delete(file),
    "delete the store": lambda c, store, file: c.vector_stores.delete(store),
}


async def put(client: AsyncOpenAI, **access: Any) -> tuple[str, str]:
    """A store with one file."""
    store = await client.vector_stores.create(name="board", extra_body=access)
    file = await client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("leave.txt", LEAVE), **FAST)
    return store.id, file.id


@pytest.mark.parametrize("name", ["user:ad\u202emin", "user:a\x00b", "group:a\u200bb", "user:a b", "user:", "root"])
async def test_a_name_that_does_not_look_like_what_it_is_is_no_grantee(name: str, tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner:
        with pytest.raises(openai.BadRequestError, match="user:x, group:y"):
            await owner.vector_stores.create(name="board", extra_body={"access": {"read": [name]}})


async def test_a_name_of_as_many_characters_as_a_token_may_bring_is_one(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner:
        store = await owner.vector_stores.create(name="board", extra_body={"access": {"read": ["group:" + "x" * 256]}})

    assert store.to_dict()["access"] == {"read": ["group:" + "x" * 256], "write": []}


async def test_a_stranger_is_answered_as_if_there_were_nothing(tmp_path: Path) -> None:
    said: dict[str, tuple[str, str]] = {}
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as stranger:
        store, file = await put(owner)
        for name, call in (READING | WRITING).items():
            with pytest.raises(openai.NotFoundError) as hidden:
                await call(stranger, store, file)
            with pytest.raises(openai.NotFoundError) as absent:
                await call(stranger, "vs_none", "file-none")
            text = hidden.value.response.text.replace(store, "vs_none").replace(file, "file-none")
            said[name] = (text, absent.value.response.text)

        assert {name: hidden for name, (hidden, _) in said.items()} == {
            name: absent for name, (_, absent) in said.items()
        }
        assert (await owner.vector_stores.retrieve(store)).file_counts.completed == 1


async def test_lists_and_counts_show_what_may_be_seen_alone(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as stranger:
        await put(owner)
        shared, common = await put(owner, access={"read": ["group:claims"]})
        held = await owner.vector_stores.files.upload_and_poll(
            vector_store_id=shared, file=("own.txt", b"Own leave."), **FAST
        )
        await owner.post(f"/files/{held.id}", body={"access": {"read": ["user:root"]}}, cast_to=object)

        stores = [store.id async for store in stranger.vector_stores.list()]
        files = [file.id async for file in stranger.files.list()]
        inside = [file.id async for file in stranger.vector_stores.files.list(shared)]
        theirs, ours = [(await client.vector_stores.retrieve(shared)) for client in (stranger, owner)]
        found = await stranger.vector_stores.search(shared, query="own leave")
        models = [model.id async for model in stranger.models.list()]
        with pytest.raises(openai.NotFoundError):
            await stranger.files.content(held.id)

    assert stores == [shared]
    assert files == inside == [hit.file_id for hit in found.data] == [common]
    assert (theirs.file_counts.total, ours.file_counts.total) == (1, 2)
    assert theirs.usage_bytes < ours.usage_bytes
    assert sum("@" in model for model in models) == 2  # none, and the shared one


async def test_reading_is_not_writing(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as reader:
        store, file = await put(owner, access={"read": ["user:ben"]})
        for call in READING.values():
            await call(reader, store, file)
        for call in WRITING.values():
            with pytest.raises(openai.NotFoundError):
                await call(reader, store, file)


async def test_a_writer_may_do_what_the_owner_may_but_say_who_else_may(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        store, file = await put(owner, access={"read": ["user:ann"], "write": ["group:claims"]})
        await owner.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        before = await owner.vector_stores.retrieve(store)
        for call in READING.values():
            await call(writer, store, file)
        for path in (f"/vector_stores/{store}", f"/files/{file}"):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                await writer.post(path, body={"access": {"read": ["*"], "write": ["*"]}}, cast_to=object)
            assert (refused.value.code, refused.value.param) == ("not_the_owner", "access")
        with pytest.raises(openai.PermissionDeniedError):
            await writer.vector_stores.update(store, name="mine", extra_body={"access": {"read": ["*"]}})
        assert await owner.vector_stores.retrieve(store) == before

        added = await writer.vector_stores.files.upload_and_poll(
            vector_store_id=store, file=("b.txt", b"Ben's."), **FAST
        )
        assert (await writer.vector_stores.update(store, name="ours")).name == "ours"
        await owner.vector_stores.update(store, extra_body={"access": {"read": [], "write": []}})
        with pytest.raises(openai.NotFoundError):
            await writer.vector_stores.retrieve(store)

        assert (await writer.files.retrieve(added.id)).id == added.id
        assert (await owner.vector_stores.retrieve(store)).file_counts.completed == 2
        await writer.files.delete(file)


async def test_who_may_only_read_a_file_cannot_open_it_to_others(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as reader:
        _, file = await put(owner, access={"read": ["user:ben"]})
        mine = await reader.vector_stores.create(name="mine", extra_body={"access": {"read": ["*"]}})
        with pytest.raises(openai.NotFoundError):
            await reader.vector_stores.files.create(mine.id, file_id=file)

        await owner.post(f"/files/{file}", body={"access": {"read": ["user:ben"]}}, cast_to=object)
        with pytest.raises(openai.NotFoundError):
            await reader.vector_stores.files.create(mine.id, file_id=file)


async def test_a_file_with_lists_of_its_own_keeps_to_them_wherever_it_is(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        _, file = await put(owner)
        await owner.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        theirs = await writer.vector_stores.create(name="theirs", extra_body={"access": {"read": ["*"]}})
        await writer.vector_stores.files.create_and_poll(file, vector_store_id=theirs.id, **FAST)
        async with client_of(url, "sk-ann") as other:
            assert (await other.vector_stores.search(theirs.id, query="leave")).data == []
            assert (await other.vector_stores.retrieve(theirs.id)).file_counts.total == 0
        assert len((await writer.vector_stores.search(theirs.id, query="leave")).data) == 1


async def test_dropping_a_file_s_lists_opens_it_to_the_readers_of_stores_that_its_owner_knows(tmp_path: Path) -> None:
    async with (
        shop(tmp_path) as (url, _),
        client_of(url) as owner,
        client_of(url, "sk-ben") as writer,
        client_of(url, "sk-ann") as other,
    ):
        shared, file = await put(owner, access={"read": ["user:ann"]})
        await owner.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        hidden = await writer.vector_stores.create(name="theirs", extra_body={"access": {"read": ["user:ann"]}})
        await writer.vector_stores.files.create_and_poll(file, vector_store_id=hidden.id, **FAST)
        await owner.post(f"/files/{file}", body={"access": None}, cast_to=object)

        assert len((await other.vector_stores.search(shared, query="leave")).data) == 1
        assert (await other.vector_stores.search(hidden.id, query="leave")).data == []
        assert (await writer.vector_stores.retrieve(hidden.id)).file_counts.total == 0


async def test_a_file_without_lists_stays_where_it_is_when_it_is_given_none(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        _, file = await put(owner, access={"write": ["user:ben"]})
        hidden = await writer.vector_stores.create(name="theirs")
        await writer.vector_stores.files.create_and_poll(file, vector_store_id=hidden.id, **FAST)
        await owner.post(f"/files/{file}", body={"access": None}, cast_to=object)

        assert (await writer.vector_stores.retrieve(hidden.id)).file_counts.total == 1


async def test_putting_documents_in_takes_the_role_ingest(tmp_path: Path) -> None:
    calls: dict[str, Call] = {
        **WRITING,
        "make a store": lambda c, store, file: c.vector_stores.create(name="x"),
        "upload": lambda c, store, file: c.files.create(file=("a.txt", b"x"), purpose="assistants"),
    }
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ann") as asker:
        store, file = await put(owner, access={"read": ["*"], "write": ["*"]})
        for call in calls.values():
            with pytest.raises(openai.PermissionDeniedError, match="ingest") as refused:
                await call(asker, store, file)
            assert refused.value.code == "insufficient_permissions"


async def test_asking_takes_the_role_ask(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url, "sk-only-ingest") as feeder:
        store, file = await put(feeder)
        for act in ("search it", "read one of them", "read the file", "ask"):
            with pytest.raises(openai.PermissionDeniedError, match="ask"):
                await READING[act](feeder, store, file)
        await feeder.vector_stores.files.retrieve(file, vector_store_id=store)


async def test_a_file_can_be_uploaded_with_lists_and_expiry_of_its_own(tmp_path: Path) -> None:
    access = {"read": ["user:ben", "group:claims"], "write": ["user:ines"]}
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as reader:
        file = await owner.files.create(file=("leave.txt", LEAVE), purpose="user_data", extra_body={"access": access})
        seen = await reader.files.retrieve(file.id)
        with pytest.raises(openai.NotFoundError):
            await reader.files.delete(file.id)

    assert seen == file
    assert (file.model_extra or {})["access"] == {name: sorted(granted) for name, granted in access.items()}
    assert (file.model_extra or {})["owner"] == "user:ines"


async def test_nobody_comes_in_without_a_key(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), httpx.AsyncClient(base_url=url) as client:
        answers = [
            await client.post("/v1/files", files={"file": ("a.txt", b"x")}, data={"purpose": "assistants"}),
            await client.get("/v1/files"),
            await client.get("/v1/vector_stores"),
            await client.post("/v1/vector_stores/x/search", json={"query": "x"}),
            await client.post("/v1/embeddings", json={"model": "x", "input": "x"}),
        ]

    assert {answer.status_code for answer in answers} == {401}
