"""Where a citation leads after its document went: to a word about it for who could read it, to nothing for others."""

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from retrieval.types import Access
from server.eraser import Eraser
from server.signing import Signer
from tests.e2e.stores import client_of, keeping
from tests.fakes.serving import OWNER
from tests.retrieval.desk import write

pytestmark = pytest.mark.anyio

LEAVE = b"Full-time staff receive 28 days of paid leave each year."
FAST: Any = {"poll_interval_ms": 20}
GOING: dict[str, Any] = {"read": ["user:ann"]}


async def put(client: AsyncOpenAI, access: dict[str, Any]) -> str:
    store = await client.vector_stores.create(name="board", extra_body={"access": access})
    file = await client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("leave.txt", LEAVE), **FAST)
    return file.id


async def said(client: AsyncOpenAI, file_id: str, query: str = "") -> tuple[int, str]:
    """Status and code of the answer to who opens a citation; for a part that never was there as well."""
    try:
        await client.get(f"/files/{file_id}/content{query}", cast_to=str)
    except openai.APIStatusError as error:
        return error.status_code, str(error.code)
    return 200, ""


@pytest.mark.parametrize("query", ["", "?start=0&end=5", "?form=original", "?form=text"])
async def test_who_could_read_a_file_learns_that_it_was_erased_and_others_do_not_learn_that_it_was_there(
    tmp_path: Path, query: str
) -> None:
    async with (
        keeping(tmp_path) as (url, library, ledger),
        client_of(url) as owner,
        client_of(url, "sk-ann") as reader,
        client_of(url, "sk-ben") as stranger,
        client_of(url, "sk-admin") as admin,
    ):
        file_id = await put(owner, GOING)
        assert await said(reader, file_id) == (200, "")
        absent = await said(stranger, "file-0123456789abcdef01234567", query)

        await owner.files.delete(file_id)
        at_once = [await said(client, file_id, query) for client in (owner, reader, admin, stranger)]
        await Eraser(library, ledger, Signer.of(tmp_path)).run_once()
        certified = [await said(client, file_id, query) for client in (owner, reader, admin, stranger)]

        assert at_once == certified == [(410, "file_erased")] * 3 + [absent]
        assert absent == (404, "file_not_found")


async def test_who_had_lost_the_right_to_read_it_is_a_stranger(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (url, _, _), client_of(url) as owner, client_of(url, "sk-ann") as reader:
        by_store, by_file = await put(owner, GOING), await put(owner, GOING)
        await owner.post(f"/files/{by_file}", body={"access": {"read": ["user:ben"]}}, cast_to=object)
        for store in [store async for store in owner.vector_stores.list()]:
            await owner.vector_stores.update(store.id, extra_body={"access": {"read": ["user:ben"]}})
        for file_id in (by_store, by_file):
            await owner.files.delete(file_id)

        assert [await said(reader, file_id) for file_id in (by_store, by_file)] == [(404, "file_not_found")] * 2


async def test_a_document_that_changed_says_that_it_was_replaced(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (url, library, _), client_of(url, "sk-ann") as reader:
        await library.create_store("rules", OWNER, Access(read=("*",)))
        old = await library.ingest(write(tmp_path, "leave.txt", LEAVE.decode()), store="rules", reader=OWNER)
        new = await library.ingest(write(tmp_path, "leave.txt", "Leave is 30 days."), store="rules", reader=OWNER)

        with pytest.raises(openai.APIStatusError, match="was replaced by a newer one and erased on 20") as gone:
            await reader.get(f"/files/{old.file_id}/content", cast_to=str)

        assert gone.value.status_code == 410
        assert await said(reader, new.file_id) == (200, "")


async def test_the_record_of_who_could_read_it_names_nobody(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (url, library, ledger), client_of(url) as owner:
        file_id = await put(owner, {"read": ["group:claims", "user:ann"]})
        await owner.files.delete(file_id)
        await Eraser(library, ledger, Signer.of(tmp_path)).run_once()
        kept = b"\n".join(ledger.stretches())

    assert b"claims" not in kept
    assert b"user:ann" not in kept
