"""Who may see and do what with files and stores, on every path; what may not be seen answers as if it did not exist."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hrm_model.types import Load
from server.app import bare_app
from server.metrics import Metrics
from tests.e2e.reaching import NOTHING, READING, WRITING, Call, Held
from tests.e2e.stores import client_of, shop
from tests.fakes.serving import MODEL, behind_socket

pytestmark = pytest.mark.anyio

LEAVE = b"Full-time staff receive 28 days of paid leave each year."
FAST: Any = {"poll_interval_ms": 20}


async def put(client: AsyncOpenAI, **access: Any) -> Held:
    """A store with one file, and a batch with that."""
    store = await client.vector_stores.create(name="board", extra_body=access)
    file = await client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("leave.txt", LEAVE), **FAST)
    batch = await client.vector_stores.file_batches.create(store.id, file_ids=[file.id])
    return Held(store.id, file.id, batch.id)


async def test_every_route_to_a_store_a_file_or_a_batch_is_among_what_is_tried_here() -> None:
    asked = set[tuple[str, str]]()

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        asked.add((scope["method"], scope["path"]))
        await Response(status_code=404)(scope, receive, send)

    async with behind_socket(note, Metrics(MODEL, Load)) as url, client_of(url) as client:
        for call in (READING | WRITING).values():
            with pytest.raises(openai.NotFoundError):
                await call(client, Held("{store}", "{file_id}", "{batch_id}"))

    described = {
        (method.upper(), path)
        for path, operations in bare_app().openapi()["paths"].items()
        for method in operations
        if any(name in path for name in ("{store}", "{file_id}", "{batch_id}"))
    }
    assert described - asked == set()


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
        held = await put(owner)
        for name, call in (READING | WRITING).items():
            with pytest.raises(openai.NotFoundError) as hidden:
                await call(stranger, held)
            with pytest.raises(openai.NotFoundError) as absent:
                await call(stranger, NOTHING)
            said[name] = (held.unnamed(hidden.value.response.text), absent.value.response.text)

        assert {name: hidden for name, (hidden, _) in said.items()} == {
            name: absent for name, (_, absent) in said.items()
        }
        assert (await owner.vector_stores.retrieve(held.store)).file_counts.completed == 1


async def test_a_batch_is_there_in_its_own_store_alone(tmp_path: Path) -> None:
    async with (
        shop(tmp_path, is_reading=False) as (url, _),
        client_of(url) as owner,
        client_of(url, "sk-ben") as stranger,
    ):
        store, file = (await owner.vector_stores.create()).id, await owner.files.create(file=b"x", purpose="assistants")
        batch = (await owner.vector_stores.file_batches.create(store, file_ids=[file.id])).id
        for client in (stranger, owner):
            another = (await client.vector_stores.create()).id
            for name in ("retrieve the batch", "list its part", "cancel the batch"):
                said = []
                for at in (Held(another, file.id, batch), replace(NOTHING, store=another)):
                    with pytest.raises(openai.NotFoundError) as missing:
                        await (READING | WRITING)[name](client, at)
                    said.append(missing.value.response.text.replace(at.batch, "vsfb_none"))
                assert said[0] == said[1]

        assert (await owner.vector_stores.file_batches.retrieve(batch, vector_store_id=store)).status == "in_progress"


async def test_lists_and_counts_show_what_may_be_seen_alone(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as stranger:
        await put(owner)
        shared = await put(owner, access={"write": ["group:claims"]})
        own = await owner.vector_stores.files.upload_and_poll(
            vector_store_id=shared.store, file=("own.txt", b"Own leave."), **FAST
        )
        both = await owner.vector_stores.file_batches.create(shared.store, file_ids=[shared.file, own.id])
        await owner.post(f"/files/{own.id}", body={"access": {"read": ["user:root"]}}, cast_to=object)

        stores = [store.id async for store in stranger.vector_stores.list()]
        files = [file.id async for file in stranger.files.list()]
        inside = [file.id async for file in stranger.vector_stores.files.list(shared.store)]
        theirs, ours = [(await client.vector_stores.retrieve(shared.store)) for client in (stranger, owner)]
        batches = stranger.vector_stores.file_batches
        together = (await batches.retrieve(both.id, vector_store_id=shared.store)).file_counts
        of_batch = [file.id async for file in batches.list_files(both.id, vector_store_id=shared.store)]
        found = await stranger.vector_stores.search(shared.store, query="own leave")
        models = [model.id async for model in stranger.models.list()]

    assert stores == [shared.store]
    assert files == inside == of_batch == [hit.file_id for hit in found.data] == [shared.file]
    assert (theirs.file_counts.total, ours.file_counts.total, together.total) == (1, 2, 1)
    assert theirs.usage_bytes < ours.usage_bytes
    assert sum("@" in model for model in models) == 2  # none, and the shared one


async def test_a_file_with_lists_of_its_own_is_hidden_from_who_may_write_its_store(tmp_path: Path) -> None:
    of_a_file: dict[str, Call] = {
        name: call
        for name, call in (READING | WRITING).items()
        if re.search("file|one of them|attributes|several", name) and name != "list its files"
    }
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        held = await put(owner, access={"write": ["user:ben"]})
        await owner.post(f"/files/{held.file}", body={"access": {"read": ["user:root"]}}, cast_to=object)
        for call in of_a_file.values():
            with pytest.raises(openai.NotFoundError) as hidden:
                await call(writer, held)
            with pytest.raises(openai.NotFoundError) as absent:
                await call(writer, replace(NOTHING, store=held.store))
            assert held.unnamed(hidden.value.response.text) == held.unnamed(absent.value.response.text)

        kept = await owner.vector_stores.files.retrieve(held.file, vector_store_id=held.store)

    assert (kept.status, kept.attributes) == ("completed", {})


async def test_reading_is_not_writing(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as reader:
        held = await put(owner, access={"read": ["user:ben"]})
        for call in READING.values():
            await call(reader, held)
        for call in WRITING.values():
            with pytest.raises(openai.NotFoundError):
                await call(reader, held)


async def test_a_writer_may_do_what_the_owner_may_but_say_who_else_may(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        held = await put(owner, access={"read": ["user:ann"], "write": ["group:claims"]})
        store, file = held.store, held.file
        await owner.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        before = await owner.vector_stores.retrieve(store)
        for call in READING.values():
            await call(writer, held)
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
        file = (await put(owner, access={"read": ["user:ben"]})).file
        mine = await reader.vector_stores.create(name="mine", extra_body={"access": {"read": ["*"]}})
        with pytest.raises(openai.NotFoundError):
            await reader.vector_stores.files.create(mine.id, file_id=file)

        await owner.post(f"/files/{file}", body={"access": {"read": ["user:ben"]}}, cast_to=object)
        with pytest.raises(openai.NotFoundError):
            await reader.vector_stores.files.create(mine.id, file_id=file)


async def test_a_file_with_lists_of_its_own_keeps_to_them_wherever_it_is(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        file = (await put(owner)).file
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
        held = await put(owner, access={"read": ["user:ann"]})
        shared, file = held.store, held.file
        await owner.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        hidden = await writer.vector_stores.create(name="theirs", extra_body={"access": {"read": ["user:ann"]}})
        await writer.vector_stores.files.create_and_poll(file, vector_store_id=hidden.id, **FAST)
        await owner.post(f"/files/{file}", body={"access": None}, cast_to=object)

        assert len((await other.vector_stores.search(shared, query="leave")).data) == 1
        assert (await other.vector_stores.search(hidden.id, query="leave")).data == []
        assert (await writer.vector_stores.retrieve(hidden.id)).file_counts.total == 0


async def test_a_file_without_lists_stays_where_it_is_when_it_is_given_none(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        file = (await put(owner, access={"write": ["user:ben"]})).file
        hidden = await writer.vector_stores.create(name="theirs", extra_body={"access": {"write": ["*"]}})
        await owner.vector_stores.files.create_and_poll(file, vector_store_id=hidden.id, **FAST)
        await writer.vector_stores.update(hidden.id, extra_body={"access": {}})
        await owner.post(f"/files/{file}", body={"access": None}, cast_to=object)

        assert (await writer.vector_stores.retrieve(hidden.id)).file_counts.total == 1


async def test_putting_documents_in_takes_the_role_ingest(tmp_path: Path) -> None:
    calls: dict[str, Call] = {
        **WRITING,
        "make a store": lambda c, _: c.vector_stores.create(name="x"),
        "upload": lambda c, _: c.files.create(file=("a.txt", b"x"), purpose="assistants"),
    }
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ann") as asker:
        held = await put(owner, access={"read": ["*"], "write": ["*"]})
        for call in calls.values():
            with pytest.raises(openai.PermissionDeniedError, match="ingest") as refused:
                await call(asker, held)
            assert refused.value.code == "insufficient_permissions"


async def test_asking_takes_the_role_ask(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url, "sk-only-ingest") as feeder:
        held = await put(feeder)
        for act in ("search it", "read one of them", "read the file", "ask"):
            with pytest.raises(openai.PermissionDeniedError, match="ask"):
                await READING[act](feeder, held)
        await feeder.vector_stores.files.retrieve(held.file, vector_store_id=held.store)


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


async def test_who_may_write_a_shared_file_opens_it_to_nobody_by_another_store(tmp_path: Path) -> None:
    shared: Any = {"access": {"write": ["user:ben"]}}
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as writer:
        held = await put(owner, **shared)
        to_all: Any = {"access": {"read": ["*"]}}
        own = await writer.vector_stores.create(name="own", extra_body=to_all)
        for refused in (
            writer.vector_stores.files.create(own.id, file_id=held.file),
            writer.vector_stores.file_batches.create(own.id, file_ids=[held.file]),
            writer.vector_stores.create(name="another", file_ids=[held.file], extra_body=to_all),
        ):
            with pytest.raises(openai.PermissionDeniedError, match="another store") as told:
                await refused
            assert (told.value.code, told.value.param) == ("not_the_owner", "file_id")

        # In the store that it is shared by, it can be put in again; and by its owner into any.
        await writer.vector_stores.files.create(held.store, file_id=held.file, attributes={"a": True})
        await owner.vector_stores.create(name="mine", file_ids=[held.file])
        await owner.vector_stores.update(held.store, extra_body={"access": {}})
        with pytest.raises(openai.NotFoundError):
            await writer.files.content(held.file)


async def test_a_batch_is_cancelled_as_far_as_its_files_may_be_seen(tmp_path: Path) -> None:
    shared: Any = {"access": {"write": ["user:ben"]}}
    async with (
        shop(tmp_path, is_reading=False) as (url, _),
        client_of(url) as owner,
        client_of(url, "sk-ben") as writer,
    ):
        store = (await owner.vector_stores.create(name="board", extra_body=shared)).id
        hidden, seen = [
            (await owner.files.create(file=(name, LEAVE), purpose="assistants")).id for name in ("a.txt", "b.txt")
        ]
        await owner.post(f"/files/{hidden}", body={"access": {"read": ["user:ann"]}}, cast_to=object)
        one = await owner.vector_stores.file_batches.create(store, file_ids=[hidden])
        both = await owner.vector_stores.file_batches.create(store, file_ids=[hidden, seen])
        for batch in (one, both):
            told = await writer.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
            assert told.file_counts.total == (batch is both)

        states = [(await owner.vector_stores.files.retrieve(id, vector_store_id=store)).status for id in (hidden, seen)]
        assert states == ["in_progress", "cancelled"]
