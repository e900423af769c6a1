"""The real application around the fakes: as an ASGI app under httpx, or on a real socket."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from retrieval.erasure import Erasure
from retrieval.library import Library
from retrieval.types import Access, Reader
from server.app import create_app
from server.connection import Bounds
from server.deps import ModelCard, Policy, Services
from server.erasure_records import ErasureRecord
from server.identity import Caller, MayNotAct, Unauthenticated
from server.metrics import Metrics
from server.ports import Embedder
from server.process import configured, listen
from server.store_ports import Erasures
from tests.fakes.engine import ScriptedEngine
from tests.fakes.meaning import WordsApart
from tests.fakes.shelf import Shelf

MODEL = "hrm-text-mini"
LEAVE = "Full-time staff receive 28 days of paid leave each year. Part-time staff receive leave pro rata."
CLAIMS = "Marta Velin leads the claims desk. Reports of damage reach the claims desk within 14 days."
HANDBOOK = {"leave.txt": LEAVE, "claims.txt": CLAIMS}
OWNER = Reader(frozenset({"user:owner"}), is_admin=True)

CALLERS = {
    "sk-ann": Caller("user:ann", frozenset({"group:staff"}), frozenset({"ask"}), key_id="key_1"),
    "sk-admin": Caller("user:root", frozenset(), frozenset({"admin"}), key_id="key_2"),
    "sk-probe": Caller("user:probe", frozenset(), frozenset({"metrics"}), key_id="key_3"),
    "sk-ines": Caller("user:ines", frozenset(), frozenset({"ingest", "ask"}), key_id="key_5"),
    "sk-only-ingest": Caller("user:feeder", frozenset(), frozenset({"ingest"}), key_id="key_6"),
    "sk-ben": Caller("user:ben", frozenset({"group:claims"}), frozenset({"ingest", "ask"}), key_id="key_7"),
    "sk-bound": Caller("user:bound", frozenset(), frozenset({"ask"}), key_id="key_4", grounded_only=True),
}


async def authenticate(authorization_header: str | None, on_behalf_of: str | None = None) -> Caller:
    """Know the callers above by their keys; none of them acts for anybody."""
    scheme, _, key = (authorization_header or "").partition(" ")
    if scheme.lower() != "bearer" or key not in CALLERS:
        raise Unauthenticated
    if on_behalf_of is not None:
        raise MayNotAct(CALLERS[key])
    return CALLERS[key]


async def stocked(folder: Path, documents: dict[str, str], *, store: str = "handbook", read: str = "*") -> Shelf:
    """A shelf with one store, readable to `read`."""
    shelf = Shelf()
    await stock(shelf, folder, documents, store=store, read=read)
    return shelf


async def stock(shelf: Shelf, folder: Path, documents: dict[str, str], *, store: str, read: str) -> None:
    """Put one more store on a shelf."""
    await shelf.create_store(store, OWNER)
    await shelf.set_access(store, Access(read=(read,)), OWNER)
    for name, text in documents.items():
        path = folder / name
        path.write_text(text)
        await shelf.ingest(path, store=store, reader=OWNER)


def absent() -> Any:
    """Stands for a part that a test does not reach."""
    raise AssertionError("this test has no such part")


def services(
    engine: ScriptedEngine | None = None,
    shelf: Shelf | None = None,
    *,
    erasures: Erasures | None = None,
    not_ready: str | None = None,
    store: Library | None = None,
    embedder: Embedder | None = None,
    warnings: Callable[[], list[str]] = list,
    **policy: Any,
) -> Services:
    """Services of fakes; what is not given is empty. With `store`, a real one instead of the shelf."""
    shelf, engine = shelf or Shelf(), engine or ScriptedEngine("ok")
    return Services(
        engine=engine,
        speller=engine,
        retriever=store or shelf,
        library=store or shelf,
        archive=(lambda: store.archive) if store else absent,
        embedder=lambda: embedder or WordsApart(),
        erasures=erasures or NothingErased(),
        authenticate=authenticate,
        model=ModelCard(MODEL, created=1_700_000_000, context=4096),
        policy=Policy(**policy),
        ready=lambda: not_ready,
        warnings=warnings,
    )


@asynccontextmanager
async def client_of(given: Services, key: str | None = "sk-ann") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application. httpx buffers whole responses here, so timing needs `listening`."""
    async with client_to(create_app(given), key) as client:
        yield client


@asynccontextmanager
async def client_to(app: ASGIApp, key: str | None = "sk-ann") -> AsyncIterator[httpx.AsyncClient]:
    """The same of one that a test has made."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


class NothingErased:
    """A record of erasures without any."""

    def expect(self, *removed: Erasure) -> None:
        """Forget it."""

    def waiting(self) -> int:
        return 0

    def one(self, erasure_id: str, principals: Sequence[str | None]) -> ErasureRecord | None:
        return None

    def of_file(self, file_id: str) -> ErasureRecord | None:
        return None

    def page(
        self, principals: Sequence[str | None], *, limit: int, after: str | None = None, newest_first: bool = False
    ) -> list[ErasureRecord]:
        return []

    def public_keys(self) -> dict[str, str]:
        return {}


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def listening(
    given: Services, tls: ssl.SSLContext | None = None, *, bounds: Bounds | None = None
) -> AsyncIterator[str]:
    """The application under uvicorn on a loopback port, as it is really served; gives its base URL."""
    app = create_app(given)
    async with behind_socket(app, app.state.metrics, tls, bounds=bounds) as url:
        yield url


@asynccontextmanager
async def behind_socket(
    app: ASGIApp, measured: Metrics, tls: ssl.SSLContext | None = None, *, bounds: Bounds | None = None
) -> AsyncIterator[str]:
    """Any application, likewise."""
    server = _Server(configured(app, bounds or Bounds(), measured.refused, tls))
    task = asyncio.create_task(server.serve([listen("127.0.0.1", 0)]))
    try:
        await server.up.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def question(text: str = "How many days of paid leave do full-time staff receive?", **extra: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **extra}


def frames(body: str) -> list[str]:
    """The data of each SSE event, comments left out; strict about the blank line that dispatches an event."""
    assert body.endswith("\n\n"), "an unfinished event is one that clients never see"
    blocks = [block for block in body.removesuffix("\n\n").split("\n\n") if not block.startswith(":")]
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks), body
    return [block.removeprefix("data: ") for block in blocks]


def chunks(body: str) -> list[dict[str, Any]]:
    """The chunks of a stream that ended well."""
    *found, done = frames(body)
    assert done == "[DONE]"
    return [json.loads(data) for data in found]
