"""The composition root: with its parts in server/building, the only place that names concrete engines, the store
and the libraries behind them.

What is heavy is imported inside the functions, so that the command line and the tests of HTTP stay light.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from server import storage, upkeep
from server.audit.facts import Origin
from server.audit.held import held
from server.audit.log import AuditLog
from server.auth import Authentication, check_exposure
from server.building.listeners import Listeners, open_listeners
from server.building.model import load_engine, load_speller, model_card, origin
from server.building.policy import bounds, metrics_bounds, policy, tls_files
from server.building.records import adopt_first_key, open_audit, open_ledger, opened_ledger, settle
from server.building.spans import open_tracer
from server.building.store import warm_library
from server.deferred import Deferred, DeferredEngine, DeferredLibrary, DeferredSpeller
from server.deps import ModelCard, Services
from server.door import Door
from server.headers import SafeHeaders
from server.ledger import Ledger
from server.local_only import LocalOnly
from server.memory import keep_in_few_places
from server.ports import Embedder
from server.process import Readiness, beside, configured, leave_within, run
from server.settings import Settings
from server.settings_transport import is_loopback
from server.signing import Signer
from server.store_ports import Archive
from server.tls import Tls

if TYPE_CHECKING:
    from retrieval.library import Library
    from server.otel import OtelTracer
    from server.tokens import BearerTokens

log = logging.getLogger(__name__)

# Libraries that tell their own loading at a level that is for this server's events.
_TALKATIVE = ("faiss", "sentence_transformers", "transformers", "uvicorn")


def serve(settings: Settings) -> None:
    """Serve until a signal says stop.

    Raises:
        CheckpointError, RetrievalError, ExposedWithoutKey, LedgerError, AuditUnavailable, TlsError, OSError: the server
            cannot be what it was asked to be; said as early as it is known.
    """
    from server import logs
    from server.provider import bearer_tokens

    keep_in_few_places()
    logs.configure(settings.log_level.upper(), settings.log_format)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    tracer = open_tracer(settings)
    card = model_card(settings)
    files = tls_files(settings)
    tls = None if files is None else Tls(files)
    ledger = open_ledger(settings)
    audit = None if settings.audit == "off" else open_audit(settings, ledger)
    try:
        if audit is not None:
            settle(audit, ledger)
        adopt_first_key(ledger, settings.first_key_file, audit)
        tokens = bearer_tokens(settings)
        authentication = Authentication(ledger, is_loopback=settings.is_loopback, tokens=tokens)
        check_exposure(authentication, host=settings.host, is_loopback=settings.is_loopback)
        with open_listeners(settings, card.id) as listeners:
            asyncio.run(_serve(settings, card, ledger, authentication, audit, listeners, tls, tokens, tracer))
    finally:
        if tracer is not None:
            tracer.close()
        ledger.close()
        if audit is not None:
            audit.close()


async def _serve(
    settings: Settings,
    card: ModelCard,
    ledger: Ledger,
    authentication: Authentication,
    audit: AuditLog | None,
    listeners: Listeners,
    tls: Tls | None,
    tokens: "BearerTokens | None",
    tracer: "OtelTracer | None",
) -> None:
    from server.app import create_app, metrics_app
    from server.metrics import Metrics

    engine, speller, library = DeferredEngine(), DeferredSpeller(), DeferredLibrary()
    archive, embedder, made_by = Deferred[Archive](), Deferred[Embedder](), Deferred[Origin]()
    door = Door()
    ready = Readiness(engine.load, stall_s=settings.stall_seconds, door=door)

    def warnings() -> list[str]:
        return [warning for part in (tls, tokens) if part is not None for warning in part.warnings()]

    services = Services(
        engine=engine,
        speller=speller,
        retriever=library,
        library=library,
        archive=archive,
        embedder=embedder,
        erasures=ledger.erasures,
        authenticate=authentication,
        model=card,
        policy=policy(settings),
        ready=ready,
        door=door,
        warnings=warnings,
        audit=audit,
        origin=made_by,
        tracer=tracer,
    )
    served = create_app(services)
    measured: Metrics = served.state.metrics
    async with AsyncExitStack() as opened:

        async def load() -> "Library":
            # The first two take seconds, most of them outside the interpreter's lock.
            (store, vectors), model, words, digests = await asyncio.gather(
                asyncio.to_thread(warm_library, settings, measured.ingested),
                asyncio.to_thread(load_engine, settings),
                asyncio.to_thread(load_speller, settings),
                asyncio.to_thread(origin, settings),
            )
            opened.push_async_callback(store.aclose)
            # Beside the loop, where answers that were cut off are still recorded should the engine be stuck.
            opened.push_async_callback(asyncio.to_thread, model.close)
            model.start()
            library.supply(store, store)
            archive.supply(store.archive)
            embedder.supply(vectors)
            speller.supply(words)
            made_by.supply(digests)
            engine.supply(model)
            ready.store = lambda: (
                store.trouble()
                or ledger.trouble()
                or storage.trouble(settings.data_dir, settings.min_free_bytes)
                or (audit.trouble() if audit is not None else None)
            )
            return store

        app = SafeHeaders(LocalOnly(served, is_open=authentication.is_open))

        async def drain(timeout_s: float) -> None:
            # Whoever is being answered may still be searching, and is to reach the engine.
            if not await door.emptied(timeout_s):
                log.warning("%d answers are cut off after %g s", door.inside, timeout_s)
            await engine.drain(0)

        context = tls.context if tls else None
        async with AsyncExitStack() as watched:
            if listeners.metrics is not None:
                is_local = is_loopback(listeners.metrics.getsockname()[0])
                own = metrics_app(services.policy, measured, is_loopback=is_local)
                config = configured(own, metrics_bounds(settings), measured.refused, context)
                await watched.enter_async_context(beside(config, listeners.metrics))
            await run(
                configured(app, bounds(settings), measured.refused, context),
                listeners.answers,
                ready,
                load=load,
                work=lambda store: _work(store, ledger, settings, engine.purge),
                drain=drain,
                drain_s=settings.drain_seconds,
                leave=leave_within,
            )


async def _work(store: "Library", ledger: Ledger, settings: Settings, forget: Callable[[], Awaitable[None]]) -> None:
    from server.eraser import Eraser

    recorded = partial(held, settings.data_dir / upkeep.AUDIT)
    eraser = Eraser(store, ledger, Signer.of(settings.data_dir), recorded=recorded, forget=forget)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.work)
        tasks.start_soon(eraser.work)


@asynccontextmanager
async def loaded(settings: Settings) -> AsyncIterator[Services]:
    """What answers are made with, in a command's own process; without a log, as nobody has asked.

    Raises:
        CheckpointError, RetrievalError: the model or the store cannot be used.
    """
    async with AsyncExitStack() as opened:
        store, vectors = await asyncio.to_thread(warm_library, settings)
        opened.push_async_callback(store.aclose)
        engine = await asyncio.to_thread(load_engine, settings)
        opened.callback(engine.close)
        engine.start()
        ledger = opened.enter_context(opened_ledger(settings))
        made_by = origin(settings)
        yield Services(
            engine=engine,
            speller=load_speller(settings),
            retriever=store,
            library=store,
            archive=lambda: store.archive,
            embedder=lambda: vectors,
            erasures=ledger.erasures,
            authenticate=Authentication(ledger, is_loopback=True),
            model=model_card(settings),
            policy=policy(settings),
            ready=lambda: None,
            origin=lambda: made_by,
        )
