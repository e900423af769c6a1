"""What certificates, cursors and statuses tell of stores that somebody may not see: the same as if there were none."""

from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from openai import AsyncOpenAI

from server.certificates import verify
from server.eraser import Eraser
from server.signing import Signer
from tests.e2e.stores import client_of, keeping, shop

pytestmark = pytest.mark.anyio

LEAVE = b"Full-time staff receive 28 days of paid leave each year."
FAST: Any = {"poll_interval_ms": 20}


async def store_of(client: AsyncOpenAI, **access: list[str]) -> str:
    return (await client.vector_stores.create(name="room", extra_body={"access": access} if access else None)).id


async def uploaded(client: AsyncOpenAI, store: str) -> str:
    return (
        await client.vector_stores.files.upload_and_poll(vector_store_id=store, file=("leave.txt", LEAVE), **FAST)
    ).id


async def put(client: AsyncOpenAI, store: str, file: str) -> None:
    await client.vector_stores.files.create_and_poll(file, vector_store_id=store, **FAST)


async def newest_erasure(client: AsyncOpenAI) -> dict[str, Any]:
    """The newest erasure, as the client sees it."""
    page: Any = await client.get("/erasures", cast_to=object)
    newest: dict[str, Any] = page["data"][0]
    return newest


async def test_a_certificate_names_to_each_the_stores_that_they_could_read(tmp_path: Path) -> None:
    async with (
        keeping(tmp_path) as (url, library, ledger),
        client_of(url) as ines,
        client_of(url, "sk-ben") as ben,
        client_of(url, "sk-admin") as admin,
    ):
        everyone = ["user:ines", "user:ben"]
        shared, private = await store_of(ines, read=everyone, write=everyone), await store_of(ines)
        file = await uploaded(ines, shared)
        await put(ines, private, file)
        await ben.files.delete(file)
        await Eraser(library, ledger, Signer.of(tmp_path)).run_once()
        await ines.vector_stores.delete(shared)

        of_ines, of_ben, of_admin = [await newest_erasure(client) for client in (ines, ben, admin)]
        keys = ledger.erasures.public_keys()

    assert private not in str(of_ben)
    assert of_ben["vector_store_ids"] == [shared]
    assert set(of_ines["vector_store_ids"]) == set(of_admin["vector_store_ids"]) == {shared, private}
    assert verify(of_ben, keys) == verify(of_ines, keys) == verify(of_admin, keys)
    assert (of_ben["held"], of_ben["held_signature"]) == (of_ines["held"], of_ines["held_signature"]) == (None, None)
    assert set(of_admin["held"]["vector_store_ids"]) == {shared, private}


async def test_a_certificate_tells_the_owner_of_a_file_nothing_of_a_store_that_somebody_else_put_it_into(
    tmp_path: Path,
) -> None:
    async with (
        keeping(tmp_path) as (url, library, ledger),
        client_of(url) as ines,
        client_of(url, "sk-ben") as ben,
    ):
        everyone = ["user:ines", "user:ben"]
        shared = await store_of(ines, read=everyone, write=everyone)
        file = await uploaded(ines, shared)
        await ines.vector_stores.files.delete(file, vector_store_id=shared)
        await Eraser(library, ledger, Signer.of(tmp_path)).run_once()
        alone = await newest_erasure(ines)
        await put(ines, shared, file)
        await ines.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        await put(ben, hidden := await store_of(ben), file)

        await ines.files.delete(file)
        await Eraser(library, ledger, Signer.of(tmp_path)).run_once()
        together = await newest_erasure(ines)

    assert hidden not in str(together)
    assert together["vector_store_ids"] == alone["vector_store_ids"] == [shared]
    assert together["certificate"].keys() == alone["certificate"].keys()


async def refusal(client: AsyncOpenAI, path: str, place: str) -> str:
    """What is said of a place in a list that is none there, without the id."""
    with pytest.raises(openai.BadRequestError) as refused:
        await client.get(f"{path}?after={place}", cast_to=object)
    return refused.value.response.text.replace(place, "ID")


async def test_what_somebody_else_has_deleted_is_no_place_in_a_list_but_for_who_could_see_it(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as ines, client_of(url, "sk-ben") as ben:
        shared, private = await store_of(ines, read=["user:ben"]), await store_of(ines)
        mine, seen = await uploaded(ines, private), await uploaded(ines, shared)
        listed = await uploaded(ines, shared)
        await ines.post(f"/files/{listed}", body={"access": {"read": ["user:ines"]}}, cast_to=object)
        for file in (mine, seen, listed):
            await ines.files.delete(file)
        said = [await refusal(ben, "/files", place) for place in (mine, listed, "file-0123456789abcdef01234567")]
        said.append(await refusal(ben, f"/vector_stores/{shared}/files", listed))
        for path, place in (("/files", seen), (f"/vector_stores/{shared}/files", seen)):
            await ben.get(f"{path}?after={place}", cast_to=object)
        for place in (mine, seen, listed):
            await ines.get(f"/files?after={place}", cast_to=object)
        for store in (shared, private):
            await ines.vector_stores.delete(store)
        hidden = [await refusal(ben, "/vector_stores", place) for place in (private, "vs_0123456789abcdef01234567")]
        for client, store in ((ben, shared), (ines, shared), (ines, private)):
            await client.get(f"/vector_stores?after={store}", cast_to=object)

    assert len(set(said)) == 1
    assert len(set(hidden)) == 1


async def test_what_becomes_of_a_file_in_a_store_is_told_to_who_may_see_the_store(tmp_path: Path) -> None:
    """Not even its owner learns what somebody else does with it in a store of theirs."""
    async with (
        shop(tmp_path, is_reading=False) as (url, library),
        client_of(url) as ines,
        client_of(url, "sk-ben") as ben,
        client_of(url, "sk-admin") as admin,
    ):
        shared, private = await store_of(ines, read=["user:ben"]), await store_of(ben)
        file = (await ines.files.create(file=("a.pdf", b"%PDF-1.7 broken"), purpose="assistants")).id
        await ines.post(f"/files/{file}", body={"access": {"write": ["user:ben"]}}, cast_to=object)
        told = []
        for client, store in ((ben, private), (ines, shared)):
            await client.vector_stores.files.create(store, file_id=file)
            told.append([(await one.files.retrieve(file)).status for one in (ines, ben, admin)])
            listed = [(await one.files.list()).data[0].status for one in (ines, ben, admin)]
            assert listed == told[-1]
        await ines.vector_stores.files.delete(file, vector_store_id=shared)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(library.work, 0.02)
            await ben.vector_stores.files.poll(file, vector_store_id=private, **FAST)
            tasks.cancel_scope.cancel()
        said = [await one.files.retrieve(file) for one in (ines, ben, admin)]

    assert told == [["processed", "uploaded", "uploaded"], ["uploaded"] * 3]
    assert [one.status for one in said] == ["processed", "error", "error"]
    assert said[0].status_details is None
    assert said[1].status_details is not None
