"""A server's parts with real keys and a real store, as tests of access need them; only the model is a script."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.types import Access, Document, Reader
from server.app import create_app
from server.auth import Authentication
from server.deps import Services
from server.ledger import Ledger
from server.tokens import BearerTokens
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import services
from tests.retrieval.desk import WordsEmbedder, write

LIBRARIAN = Reader(frozenset({"user:librarian"}))


@dataclass
class Site:
    """What is behind the application."""

    folder: Path
    library: Library
    ledger: Ledger
    engine: ScriptedEngine
    services: Services

    async def stock(self, store: str, text: str, *read: str) -> Document:
        """Make a store with one document, for the principals and groups named."""
        await self.library.create_store(store, LIBRARIAN, Access(read=read))
        path = write(self.folder / "papers", f"{store}.txt", text)
        return await self.library.ingest(path, store=store, reader=LIBRARIAN)

    def client(self, secret: str, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """A client with a credential."""
        transport = httpx.ASGITransport(create_app(self.services), raise_app_exceptions=False)
        given = {"Authorization": f"Bearer {secret}", **(headers or {})}
        return httpx.AsyncClient(transport=transport, base_url="http://test", headers=given)


@asynccontextmanager
async def site(
    folder: Path, default_store: str | None = None, tokens: BearerTokens | None = None
) -> AsyncIterator[Site]:
    """Open one in a folder."""
    ledger = Ledger(folder / "ledger.db")
    engine = ScriptedEngine("The answer.")
    try:
        async with open_library(folder / "data", WordsEmbedder()) as library:
            given = replace(
                services(engine, store=library, default_store=default_store),
                erasures=ledger.erasures,
                authenticate=Authentication(ledger, is_loopback=True, tokens=tokens),
            )
            yield Site(folder, library, ledger, engine, given)
    finally:
        ledger.close()
