"""Stores that count or replace personal data, through the official client, and that nothing of it is left elsewhere.

The canaries are looked for in every file of the data directory, the write-ahead log and the originals included.
"""

import gzip
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.e2e.stores import client_of, shop
from tests.fakes.serving import MODEL

pytestmark = pytest.mark.anyio

FAST: Any = {"poll_interval_ms": 20}
IBAN, MAIL, PHONE = "DE89 3704 0044 0532 0130 00", "jane.canary@mail.example", "+49 30 23125 123"
LETTER = (
    f"# Refund of {MAIL}\n\nThe refund of 120 euros goes to {IBAN} within three days.\n\n"
    f"# Questions\n\nWhoever has questions about the refund calls {PHONE} or writes to {MAIL}.\n"
).encode()


async def put(client: AsyncOpenAI, policy: str, content: bytes = LETTER) -> tuple[str, str]:
    """A store with this policy and one file."""
    store = await client.vector_stores.create(name="letters", extra_body={"personal_data": policy})
    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("letter.md", content), **FAST
    )
    assert file.status == "completed", file.last_error
    return store.id, file.id


def holding(folder: Path, *canaries: str) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if content.startswith(b"\x1f\x8b"):
            content += gzip.decompress(content)
        found += [path.name for canary in canaries if canary.encode() in content]
    return found


async def test_a_redacting_store_keeps_shows_and_finds_nothing_of_it(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        store, file = await put(client, "redact")

        held = await client.get(f"/vector_stores/{store}/files/{file}", cast_to=dict[str, Any])
        text = (await client.vector_stores.files.content(file, vector_store_id=store)).data[0].text
        hits = await client.vector_stores.search(store, query=f"refund {IBAN} {MAIL} {PHONE}")
        answer = await client.chat.completions.create(
            model=f"{MODEL}@{store}", messages=[{"role": "user", "content": "Where does the refund go?"}]
        )
        read = await client.files.content(file)
        with pytest.raises(openai.BadRequestError) as refused:
            await client.get(f"/files/{file}/content?form=original", cast_to=str)

        assert held["personal_data"] == {"policy": "redact", "found": {"iban": 1, "email": 2, "phone": 1}}
        assert text is not None
        assert "The refund of 120 euros goes to [IBAN] within" in text
        assert read.text == text
        assert hits.data
        shown = [text, *(hit.to_json() for hit in hits.data), answer.to_json(), refused.value.response.text]
        assert not [canary for canary in (IBAN, MAIL, PHONE) if canary in "".join(shown)]
        assert refused.value.code == "file_form_refused"
        for citation in answer.to_dict()["choices"][0]["message"]["context"]["citations"]:  # type: ignore[index]
            assert citation["content"] == text[citation["start_char"] : citation["end_char"]]
            assert citation["personal_data"] == ["email", "iban", "phone"]
        assert holding(tmp_path / "data", IBAN, MAIL, PHONE) == []
    assert holding(tmp_path / "data", IBAN, MAIL, PHONE) == []


async def test_an_original_is_closed_from_the_moment_that_a_redacting_store_takes_it(tmp_path: Path) -> None:
    async with shop(tmp_path, is_reading=False) as (url, _), client_of(url) as client:
        store = await client.vector_stores.create(name="letters", extra_body={"personal_data": "redact"})
        file = await client.files.create(file=("letter.md", LETTER), purpose="assistants")
        assert MAIL in (await client.files.content(file.id)).text

        await client.vector_stores.files.create(store.id, file_id=file.id)

        with pytest.raises(openai.BadRequestError):
            await client.files.content(file.id)


async def test_the_original_of_a_file_that_could_not_be_read_goes_too(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        store = await client.vector_stores.create(name="letters", extra_body={"personal_data": "redact"})
        broken = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("letter.json", b"{" + LETTER), **FAST
        )

        assert broken.status == "failed"
        assert holding(tmp_path / "data", IBAN, MAIL, PHONE) == []
        with pytest.raises(openai.BadRequestError):
            await client.vector_stores.files.create(store.id, file_id=broken.id)


async def test_a_store_that_flags_counts_and_changes_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        store, file = await put(client, "flag")

        held = await client.get(f"/vector_stores/{store}/files/{file}", cast_to=dict[str, Any])
        hits = (await client.vector_stores.search(store, query="refund")).to_dict()

        assert held["personal_data"] == {"policy": "flag", "found": {"iban": 1, "email": 2, "phone": 1}}
        assert (await client.files.content(file)).text.count(MAIL) == 2
        assert all(hit["personal_data"] == ["email", "iban", "phone"] for hit in hits["data"])  # type: ignore[attr-defined]


async def test_without_a_policy_nothing_is_looked_for(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        store, file = await put(client, "off")

        held = await client.get(f"/vector_stores/{store}/files/{file}", cast_to=dict[str, Any])

        assert held["personal_data"] == {"policy": "off", "found": {}}


async def test_a_file_is_whole_or_redacted_but_never_both(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        redacting, redacted = await put(client, "redact")
        keeping, whole = await put(client, "off")

        for store, file in ((redacting, whole), (keeping, redacted)):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.vector_stores.files.create(store, file_id=file)
            assert refused.value.code == "file_form_refused"
        assert (await client.vector_stores.retrieve(redacting)).file_counts.total == 1


@pytest.mark.parametrize(("theirs", "mine"), [("redact", "off"), ("off", "redact")])
async def test_who_may_only_read_a_file_does_not_decide_whether_it_is_kept_whole(
    theirs: str, mine: str, tmp_path: Path
) -> None:
    lists = {"access": {"read": ["user:ben"]}}
    async with shop(tmp_path) as (url, _), client_of(url) as owner, client_of(url, "sk-ben") as reader:
        file = await owner.files.create(file=("letter.md", LETTER), purpose="assistants", extra_body=lists)
        store = await reader.vector_stores.create(name="theirs", extra_body={"personal_data": theirs})
        with pytest.raises(openai.NotFoundError):
            await reader.vector_stores.files.create(store.id, file_id=file.id)

        assert await owner.get(f"/files/{file.id}/content?form=original", cast_to=str) == LETTER.decode()
        store = await owner.vector_stores.create(name="mine", extra_body={"personal_data": mine})
        held = await owner.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, **FAST)
        assert held.status == "completed"


async def test_a_policy_counts_for_files_put_in_from_then_on(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        store, before = await put(client, "off")

        changed = await client.post(f"/vector_stores/{store}", body={"personal_data": "flag"}, cast_to=dict[str, Any])
        after = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store, file=("other.md", LETTER), **FAST
        )

        assert changed["personal_data"] == "flag"
        policies = [
            (await client.get(f"/vector_stores/{store}/files/{file}", cast_to=dict[str, Any]))["personal_data"][
                "policy"
            ]
            for file in (before, after.id)
        ]
        assert policies == ["off", "flag"]


@pytest.mark.parametrize(("policy", "other"), [("off", "redact"), ("flag", "redact"), ("redact", "off")])
async def test_a_store_begins_and_ceases_to_redact_only_while_it_is_empty_for_an_admin(
    tmp_path: Path, policy: str, other: str
) -> None:
    async with shop(tmp_path) as (url, _), client_of(url, "sk-admin") as client:
        store, file = await put(client, policy)

        with pytest.raises(openai.BadRequestError) as refused:
            await client.post(f"/vector_stores/{store}", body={"personal_data": other}, cast_to=object)
        assert refused.value.code == "vector_store_not_empty"

        await client.vector_stores.files.delete(file, vector_store_id=store)
        changed = await client.post(f"/vector_stores/{store}", body={"personal_data": other}, cast_to=dict[str, Any])
        assert changed["personal_data"] == other


@pytest.mark.parametrize("is_bens", [False, True])
@pytest.mark.parametrize(("policy", "other"), [("off", "redact"), ("redact", "off")])
async def test_whether_a_store_may_redact_tells_nobody_of_files_that_they_may_not_see(
    tmp_path: Path, policy: str, other: str, is_bens: bool
) -> None:
    shared = {"access": {"write": ["user:ben", "user:ines"]}, "personal_data": policy}
    async with shop(tmp_path) as (url, _), client_of(url, "sk-ben") as ben, client_of(url, "sk-ines") as ines:
        store = await (ben if is_bens else ines).vector_stores.create(name="letters", extra_body=shared)
        path = f"/vector_stores/{store.id}"

        async def told() -> str:
            with pytest.raises(openai.PermissionDeniedError) as refused:
                await ben.post(path, body={"name": "Post", "personal_data": other}, cast_to=object)
            assert (refused.value.code, refused.value.param) == ("not_an_admin", "personal_data")
            return refused.value.response.text

        empty = await told()
        hidden = await ines.files.create(
            file=("letter.md", LETTER), purpose="assistants", extra_body={"access": {"read": ["user:ines"]}}
        )
        await ines.vector_stores.files.create_and_poll(hidden.id, vector_store_id=store.id, **FAST)

        assert await told() == empty
        same = await ben.post(path, body={"name": "Post", "personal_data": policy}, cast_to=dict[str, Any])
        assert (same["name"], same["file_counts"]["total"]) == ("Post", 0)
