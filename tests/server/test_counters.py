"""What one person is told is the same, byte for byte, whatever another one has done: no number runs on over both."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from retrieval.types import Access, Reader
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import MODEL, question
from tests.retrieval.desk import write
from tests.server.site import LIBRARIAN, Site, site

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ANNA, BEN = (Reader(frozenset({f"user:{name}", "*"})) for name in ("anna", "ben"))
BENS = ["Ben parks for 40 crowns a day.", "Ben rents a desk for 60 crowns a day."]
LONG = "\n\n".join(f"Anna's note {at} says that she pays {at} crowns a day for a desk." for at in range(400))
Act = Callable[[Site], Awaitable[object]]


async def hidden_in_shared(here: Site) -> None:
    """Put a file into the store that both read, and keep it to oneself."""
    document = await here.library.ingest(write(here.folder, "anna.txt", LONG), store="shared", reader=LIBRARIAN)
    await here.library.archive.share_file(document.file_id, Access(read=("user:anna",)), LIBRARIAN)


async def put_away(here: Site) -> None:
    """Put a file into a store of one's own, and delete it."""
    document = await here.library.ingest(write(here.folder, "anna.txt", LONG), store="annas", reader=ANNA)
    await here.library.delete(document.file_id, ANNA)


ACTS: dict[str, Act] = {
    "puts a file into her own store": lambda here: here.library.ingest(
        write(here.folder, "anna.txt", LONG), store="annas", reader=ANNA
    ),
    "puts a file that is hers alone into the shared store": hidden_in_shared,
    "deletes a file of her own": put_away,
    "makes a store": lambda here: here.library.create_store("annas", ANNA),
}


def comparable(answers: list[httpx.Response]) -> str:
    """Bodies and headers without what is random in each: ids, by the order in which they come, and moments."""
    told = "\n".join(f"{answer.status_code} {sorted(answer.headers.items())} {answer.text}" for answer in answers)
    told = re.sub(r"\b1[0-9]{9}\b", "MOMENT", told)
    ids = list(dict.fromkeys(re.findall(r"(?:file-|vs_|req_|chatcmpl-)[0-9a-f]{12,32}", told)))
    for at, one in enumerate(ids):
        told = told.replace(one, f"ID{at}")
    return re.sub(r"'content-length', '\d+'", "", told)


async def told_to_ben(folder: Path, act: Act | None) -> str:
    """Everything that Ben is told in his own store and in the shared one, with an act of Anna's in between or none."""
    async with site(folder) as here:
        engine = ScriptedEngine("Ben parks for ", "40 crowns a day.")
        here.services = replace(here.services, engine=engine, speller=engine)
        await here.stock("shared", "Everybody may park in the yard for 30 crowns a day.", "user:ben", "user:anna")
        secret = here.ledger.keys.create(principal="user:ben", roles=("ask", "ingest"))[1]
        answers = []
        async with here.client(secret) as client:
            for at, text in enumerate(BENS):
                if at and act is not None:
                    await act(here)
                await here.library.ingest(write(here.folder, f"{at}.txt", text), store="bens", reader=BEN)
                for store in ("bens", "shared"):
                    asked = question("How many crowns a day?", model=f"{MODEL}@{store}", seed=1)
                    answers += [await client.post(CHAT, json={**asked, "stream": stream}) for stream in (False, True)]
                    page = await client.post(f"/v1/vector_stores/{store}/search", json={"query": "crowns a day"})
                    answers.append(page)
                    answers.append(await client.get(f"/v1/vector_stores/{store}/files"))
                answers += [await client.get(path) for path in ("/v1/files", "/v1/vector_stores", "/v1/models")]
        assert all(answer.status_code == 200 for answer in answers)
        return comparable(answers)


@pytest.mark.parametrize("act", ACTS)
async def test_what_ben_is_told_is_the_same_whether_or_not_anna(tmp_path: Path, act: str) -> None:
    alone = await told_to_ben(tmp_path / "alone", None)
    beside = await told_to_ben(tmp_path / "beside", ACTS[act])

    assert "40 crowns" in alone
    assert alone == beside


async def test_a_chunk_is_named_by_what_is_told_of_it_anyway(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        document = await here.stock("shared", BENS[0], "user:ben")
        secret = here.ledger.keys.create(principal="user:ben", roles=("ask",))[1]
        async with here.client(secret) as client:
            answer = await client.post(CHAT, json=question("How many crowns?", model=f"{MODEL}@shared"))
            page = await client.post("/v1/vector_stores/shared/search", json={"query": "crowns"})
            documents = [{"title": "A", "text": BENS[0]}, {"title": "B", "text": BENS[1]}]
            brought = await client.post(CHAT, json=question("How many crowns?", documents=documents))

    def named(response: httpx.Response) -> list[str]:
        context = response.json()["choices"][0]["message"]["context"]
        return [citation["chunk_id"] for citation in context["citations"]]

    assert named(answer) == [page.json()["data"][0]["chunk_id"]] == [f"{document.file_id}:0-{len(BENS[0])}"]
    assert named(brought) == [f"document:1:0-{len(BENS[0])}", f"document:2:0-{len(BENS[1])}"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_generation_of_the_index_is_told_to_admins_alone(tmp_path: Path, stream: bool) -> None:
    async with site(tmp_path, default_store="shared") as here:
        await here.stock("shared", BENS[0], "*")
        generation = await here.library.generation()
        for roles, told in ((("ask", "ingest", "metrics"), "null"), (("admin",), str(generation))):
            secret = here.ledger.keys.create(principal="user:ben", roles=roles)[1]
            async with here.client(secret) as client:
                answer = await client.post(CHAT, json=question("How many crowns?", stream=stream))

            assert re.findall(r'"index_generation":(\w+)', answer.text) == [told]
