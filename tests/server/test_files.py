"""GET /v1/files/{file_id}/content: where citations lead, for whoever may read it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.schemas.objects import ErrorBody
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, LEAVE, OWNER, client_of, question, services, stock, stocked
from tests.fakes.shelf import Shelf

pytestmark = pytest.mark.anyio

WIDE = "Käse 🧀 kostet 3 €."


@pytest.fixture
async def shelf(tmp_path: Path) -> Shelf:
    shelf = await stocked(tmp_path, {**HANDBOOK, "wide.txt": WIDE})
    await stock(shelf, tmp_path, {"secret.txt": "The safe is green."}, store="board", read="group:board")
    return shelf


@pytest.fixture
async def client(shelf: Shelf) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services(ScriptedEngine("28 days."), shelf, default_store="handbook")) as client:
        yield client


async def path_of(shelf: Shelf, filename: str, store: str = "handbook") -> str:
    documents = await shelf.documents(store, OWNER)
    (file_id,) = [document.file_id for document in documents if document.filename == filename]
    return f"/v1/files/{file_id}/content"


async def test_the_stored_text_is_plain_text_in_utf_8(client: httpx.AsyncClient, shelf: Shelf) -> None:
    response = await client.get(await path_of(shelf, "wide.txt"))

    assert response.status_code == 200
    assert response.content.decode() == WIDE
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("start=5&end=6", "🧀"),
        ("start=7", "kostet 3 €."),
        ("end=4", "Käse"),
        ("start=3&end=3", ""),
        (f"start={len(WIDE)}", ""),
    ],
)
async def test_a_part_is_counted_in_code_points(client: httpx.AsyncClient, shelf: Shelf, query: str, part: str) -> None:
    assert (await client.get(f"{await path_of(shelf, 'wide.txt')}?{query}")).text == part


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ("start=-1", "start", "greater than or equal to 0"),
        ("start=two", "start", "valid integer"),
        ("end=1.5", "end", "valid integer"),
        ("start=1.0", "start", "valid integer"),
        ("start=1&start=2", "start", "Invalid 'start': it is given more than once."),
        ("end=99", "end", f"'end' is 99, and the text has {len(WIDE)} characters."),
        ("start=99", "start", f"'start' is 99, and the text has {len(WIDE)} characters."),
        ("start=5&end=4", "start", "'start' is 5, behind 'end', which is 4."),
        ("from=1", "from", "Unknown parameter: 'from'."),
    ],
)
async def test_a_part_that_is_not_there_is_a_400_that_says_why(
    client: httpx.AsyncClient, shelf: Shelf, query: str, param: str, words: str
) -> None:
    response = await client.get(f"{await path_of(shelf, 'wide.txt')}?{query}")

    ErrorBody.model_validate(response.json())
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert words in response.json()["error"]["message"]


async def test_what_may_not_be_read_answers_like_what_does_not_exist(client: httpx.AsyncClient, shelf: Shelf) -> None:
    hidden_path = await path_of(shelf, "secret.txt", store="board")

    hidden = await client.get(f"{hidden_path}?end=9999")
    absent = await client.get("/v1/files/file-none/content?end=9999")

    file_id = hidden_path.split("/")[3]
    assert (hidden.status_code, hidden.json()["error"]["code"]) == (404, "file_not_found")
    assert hidden.text.replace(file_id, "file-none") == absent.text
    assert hidden.headers.keys() == absent.headers.keys()


async def test_a_key_that_may_not_ask_may_not_read(shelf: Shelf) -> None:
    async with client_of(services(shelf=shelf), "sk-probe") as client:
        assert (await client.get(await path_of(shelf, "wide.txt"))).status_code == 403


async def test_the_address_of_a_citation_leads_to_the_cited_words(client: httpx.AsyncClient) -> None:
    message = (await client.post("/v1/chat/completions", json=question())).json()["choices"][0]["message"]
    cited = message["annotations"][0]["url_citation"]

    text = (await client.get(cited["url"])).text
    address, _, characters = cited["url"].partition("#char=")
    start, end = characters.split(",")

    assert text == LEAVE
    assert text[int(start) : int(end)] == cited["content"]
    assert (await client.get(address, params={"start": start, "end": end})).text == cited["content"]
