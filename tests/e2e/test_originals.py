"""A file as it came: sent whole, whatever is asked of it, and whatever happens to it meanwhile."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.e2e.stores import shop

pytestmark = pytest.mark.anyio

TEXT = b"Full-time staff receive 28 days of paid leave each year."
INES = {"authorization": "Bearer sk-ines"}


async def uploaded(client: httpx.AsyncClient, content: bytes = TEXT) -> str:
    """The path of a new file."""
    answer = await client.post("/v1/files", data={"purpose": "assistants"}, files={"file": ("leave.txt", content)})
    return f"/v1/files/{answer.json()['id']}"


@pytest.mark.parametrize("asked", ["bytes=0-3", "bytes=-1", "bytes=5-1,3-2,9999999999999999999-", "bytes=0-0," * 300])
async def test_a_part_is_not_to_be_had_and_asking_for_one_is_no_mistake(asked: str, tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), httpx.AsyncClient(base_url=url, headers=INES) as client:
        path = await uploaded(client)

        answer = await client.get(f"{path}/content?form=original", headers={"range": asked})

    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["content-length"] == str(len(TEXT))
    assert "accept-ranges" not in answer.headers


async def test_a_file_that_is_erased_while_it_is_fetched_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    content = TEXT * 1500
    async with shop(tmp_path) as (url, _), httpx.AsyncClient(base_url=url, headers=INES, timeout=30) as client:
        for _ in range(20):
            path = await uploaded(client, content)
            fetched = [client.get(f"{path}/content?form=original") for _ in range(4)]
            *answers, deleted = await asyncio.gather(*fetched, client.delete(path))

            assert deleted.status_code == 200
            for answer in answers:
                assert answer.status_code in (200, 404), answer.text
                assert answer.status_code == 404 or answer.content == content
