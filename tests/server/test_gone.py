"""server.gone: what the ledger is asked for while many removals wait for their certificates.

Another process writes to the ledger meanwhile, so that whoever wants to write there too is refused.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import httpx
import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store import waiting
from server.ledger import Ledger
from tests.fakes.serving import OWNER, client_of, services
from tests.retrieval.desk import WordsEmbedder, write

pytestmark = pytest.mark.anyio

ABSENT = "file-0123456789abcdef01234567"


@dataclass(frozen=True)
class Emptied:
    """A real store and a real ledger behind the application."""

    folder: Path
    library: Library
    client: httpx.AsyncClient

    async def remove(self) -> str:
        """Remove a file that was just added; return its id."""
        path = write(self.folder, "tea.txt", "Tea is at four.")
        document = await self.library.ingest(path, store="shop", reader=OWNER)
        await self.library.delete(document.file_id, OWNER)
        return document.file_id

    async def status(self, path: str) -> int:
        return (await self.client.get(path)).status_code

    async def listed(self) -> list[str]:
        """The files of all listed erasures, the oldest first."""
        listing = (await self.client.get("/v1/erasures?order=asc")).json()
        return [item["file_id"] for item in listing["data"]]

    @contextmanager
    def somebody_writes(self) -> Iterator[None]:
        other = apsw.Connection(str(self.folder / "ledger.db"))
        other.execute("BEGIN IMMEDIATE")
        yield
        other.close()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Emptied]:
    ledger = Ledger(tmp_path / "ledger.db", busy_timeout_ms=10)
    async with (
        open_library(tmp_path / "data", WordsEmbedder()) as library,
        client_of(services(store=library, erasures=ledger.erasures), "sk-admin") as client,
    ):
        yield Emptied(tmp_path, library, client)
    ledger.close()


async def test_who_asks_for_a_file_that_never_was_writes_nothing_of_what_others_removed(shop: Emptied) -> None:
    others = [await shop.remove() for _ in range(3)]

    with shop.somebody_writes():
        assert await shop.status(f"/v1/files/{ABSENT}/content") == 404
        assert await shop.status(f"/v1/files/{others[0]}/content") == 503, "its own removal is to be recorded"


async def test_the_removal_of_a_file_is_recorded_once(shop: Emptied) -> None:
    file_id = await shop.remove()
    assert await shop.status(f"/v1/files/{file_id}/content") == 410

    with shop.somebody_writes():
        assert await shop.status(f"/v1/files/{file_id}/content") == 410


async def test_a_list_records_what_was_removed_since_the_last_one_alone(shop: Emptied) -> None:
    removed = [await shop.remove(), await shop.remove()]
    assert await shop.listed() == removed

    with shop.somebody_writes():
        assert await shop.listed() == removed
        removed.append(await shop.remove())
        assert await shop.status("/v1/erasures") == 503

    assert await shop.listed() == removed


async def test_however_much_waits_a_list_shows_all_of_it(shop: Emptied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PIECE", 2)
    removed = [await shop.remove() for _ in range(5)]

    assert await shop.listed() == removed
