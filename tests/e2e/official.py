"""The unmodified official client, against the real application on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from hrm_model.spelling import Speller
from server.deps import Services
from tests.engines import Tiny, running
from tests.fakes.serving import listening, services, stocked


@asynccontextmanager
async def client_of(given: Services, key: str = "sk-ann") -> AsyncIterator[AsyncOpenAI]:
    async with (
        listening(given) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=10) as client,
    ):
        yield client


@asynccontextmanager
async def client_of_tiny(tiny: Tiny, path: Path | None = None, **policy: Any) -> AsyncIterator[AsyncOpenAI]:
    """Over the real engine, with a random network; with a path, also over a store that knows of leave."""
    shelf = await stocked(path, {"leave.txt": "Full-time staff receive 28 days of paid leave."}) if path else None
    given = services(shelf=shelf, default_store="handbook" if path else None, **policy)
    async with running(tiny.engine(draft_tokens=8)) as engine:
        given = replace(given, engine=engine, speller=Speller(tiny.tokenizer))
        async with (
            listening(given) as url,
            AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-ann", max_retries=0, timeout=60) as client,
        ):
            yield client
