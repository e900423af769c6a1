"""A real knowledge store behind the real application on a loopback port, with documents being read beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from openai import AsyncOpenAI

from retrieval.embedder import MiniLM
from retrieval.library import Library
from retrieval.opening import open_library
from server.ledger import Ledger
from server.store_ports import Erasures
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import listening, services
from tests.retrieval.desk import WordsEmbedder


@asynccontextmanager
async def shop(
    folder: Path,
    *,
    is_reading: bool = True,
    embedder: MiniLM | None = None,
    erasures: Erasures | None = None,
) -> AsyncIterator[tuple[str, Library]]:
    """The server's URL, and the store behind it. Unless `is_reading`, what is put into stores waits.

    Without an `embedder`, texts with common words are near each other, and /v1/embeddings is not there.
    """
    async with (
        open_library(folder / "data", embedder or WordsEmbedder()) as library,
        anyio.create_task_group() as tasks,
    ):
        if is_reading:
            tasks.start_soon(library.work, 0.02)
        async with listening(
            services(
                ScriptedEngine("ok"), store=library, embedder=embedder, erasures=erasures, max_upload_bytes=100_000
            )
        ) as url:
            yield url, library
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def keeping(folder: Path) -> AsyncIterator[tuple[str, Library, Ledger]]:
    """A shop with a ledger that records its erasures."""
    ledger = Ledger(folder / "ledger.db")
    try:
        async with shop(folder, erasures=ledger.erasures) as (url, library):
            yield url, library, ledger
    finally:
        ledger.close()


def client_of(url: str, key: str = "sk-ines") -> AsyncOpenAI:
    """The official client, for one of the callers of tests.fakes.serving."""
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20)
