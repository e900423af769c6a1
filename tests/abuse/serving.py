"""A server over a real store and a real audit log, for requests that nobody should send."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio

from retrieval.opening import open_library
from server.audit.log import AuditLog
from server.connection import Bounds
from server.deps import Services
from server.signing import Signer
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import listening, services
from tests.retrieval.desk import WordsEmbedder


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """A server that waits for what is valid, however busy this machine is."""
    async with kept(folder) as given, reached(given, patience_s=20) as url:
        yield url


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[Services]:
    """A real store and a real audit log, with an engine that says little."""
    audit = AuditLog(folder / "data" / "audit.db", Signer.of(folder), durability="async")
    async with open_library(folder / "data", WordsEmbedder()) as library, anyio.create_task_group() as tasks:
        tasks.start_soon(library.work, 0.02)
        given = services(ScriptedEngine("ok", "."), store=library, max_upload_bytes=100_000)
        yield replace(given, audit=audit)
        tasks.cancel_scope.cancel()
    audit.close()


def reached(given: Services, *, patience_s: float) -> AbstractAsyncContextManager[str]:
    """A server of these; it waits so long for what may never come, as of a request that was made shorter."""
    policy = replace(given.policy, body_s=patience_s, upload_s=patience_s)
    return listening(replace(given, policy=policy), bounds=Bounds(header_s=patience_s, keep_alive_s=0.1))
