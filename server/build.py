"""The composition root: the only file that names concrete engines, the store and the libraries behind them.

What is heavy is imported inside the functions, so that the command line and the tests of HTTP stay light.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import anyio

from hrm_model.config import CONFIG_FILE, read_config
from retrieval.erasure import Purge
from retrieval.types import Fusion
from server import storage, upkeep
from server.audit.facts import Origin
from server.audit.log import AuditLog, Durability, content_key, digest_of
from server.auth import Authentication, check_exposure
from server.connection import Bounds
from server.deferred import Deferred, DeferredEngine, DeferredLibrary, DeferredSpeller
from server.deps import ModelCard, Policy, Services
from server.door import Door
from server.examples import EXAMPLES
from server.headers import SafeHeaders
from server.identity import Limits
from server.keyring import LedgerError
from server.ledger import Ledger
from server.local_only import LocalOnly
from server.ports import Archive, Embedder
from server.process import Readiness, configured, listen, run
from server.settings import Settings, SettingsError
from server.signing import Signer
from server.tls import Tls, TlsFiles

if TYPE_CHECKING:
    from hrm_model.check import Needs
    from hrm_model.engine import NativeEngine
    from hrm_model.spelling import Speller
    from retrieval.backup import Manifest
    from retrieval.checkup import Checkup
    from retrieval.embedder import MiniLM
    from retrieval.facts import Observe
    from retrieval.library import Library
    from retrieval.limits import Limits as ParseLimits
    from retrieval.restore import Restored
    from server.otel import OtelTracer

log = logging.getLogger(__name__)

# Libraries that tell their own loading at a level that is for this server's events.
_TALKATIVE = ("faiss", "sentence_transformers", "transformers", "uvicorn")


def serve(settings: Settings) -> None:
    """Serve until a signal says stop.

    Raises:
        CheckpointError, RetrievalError, ExposedWithoutKey, LedgerError, TlsError, OSError: the server cannot be what it
            was asked to be; said as early as it is known.
    """
    from server import logs
    from server.provider import bearer_tokens

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
        _adopt_first_key(ledger, settings.first_key_file)
        authentication = Authentication(ledger, is_loopback=settings.is_loopback, tokens=bearer_tokens(settings))
        check_exposure(authentication, host=settings.host, is_loopback=settings.is_loopback)
        with listen(settings.host, settings.port) as listener:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            log.info("listening on http%s://%s:%s, loading %s", "s" if tls else "", shown, port, card.id)
            asyncio.run(_serve(settings, card, ledger, authentication, audit, listener, tls, tracer))
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
    listener: socket.socket,
    tls: Tls | None,
    tracer: "OtelTracer | None",
) -> None:
    from server.app import create_app
    from server.metrics import Metrics

    engine, speller, library = DeferredEngine(), DeferredSpeller(), DeferredLibrary()
    archive, embedder, made_by = Deferred[Archive](), Deferred[Embedder](), Deferred[Origin]()
    door = Door()
    ready = Readiness(engine.load, stall_s=settings.stall_seconds, door=door)
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
        warnings=tls.warnings if tls else list,
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
                asyncio.to_thread(_warm_library, settings, measured.ingested),
                asyncio.to_thread(_load_engine, settings),
                asyncio.to_thread(_load_speller, settings),
                asyncio.to_thread(origin, settings),
            )
            opened.push_async_callback(store.aclose)
            opened.callback(model.close)
            model.start()
            library.supply(store, store)
            archive.supply(store.archive)
            embedder.supply(vectors)
            speller.supply(words)
            made_by.supply(digests)
            engine.supply(model)
            ready.store = lambda: store.trouble() or storage.trouble(settings.data_dir, settings.min_free_bytes)
            return store

        app = SafeHeaders(LocalOnly(served, is_open=authentication.is_open))

        async def drain(timeout_s: float) -> None:
            # Whoever is being answered may still be searching, and is to reach the engine.
            if not await door.emptied(timeout_s):
                log.warning("%d answers are cut off after %g s", door.inside, timeout_s)
            await engine.drain(0)

        await run(
            configured(app, bounds(settings), measured.refused, tls.context if tls else None),
            listener,
            ready,
            load=load,
            work=lambda store: _work(store, ledger, settings, engine.purge),
            drain=drain,
            drain_s=settings.drain_seconds,
        )


def open_tracer(settings: Settings) -> "OtelTracer | None":
    """What sends spans; None where nobody is named to send them to.

    Raises:
        SettingsError: somebody is, and the extra that it takes is not installed.
    """
    if settings.otel_endpoint is None:
        return None
    try:
        from server.otel import exporting
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "opentelemetry":
            raise
        raise SettingsError(
            "HRM_OTEL_ENDPOINT is set, and OpenTelemetry is not installed: "
            "`pip install 'hrm-serve[otel]'`, or leave HRM_OTEL_ENDPOINT out."
        ) from error
    return exporting(settings.otel_endpoint)


def tls_files(settings: Settings) -> TlsFiles | None:
    """Where the TLS files are; None: the server speaks plain HTTP."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, settings.tls_minimum)


def open_library(settings: Settings) -> "Library":
    """Open the knowledge store for a command; close it with `async with`. The embedder loads at its first use."""
    from retrieval.opening import open_library as open_it

    return open_it(settings.data_dir, limits=_limits(settings), fusion=_fusion(settings))


async def purge(settings: Settings) -> Purge:
    """Purge and certify what was removed; wait while another process does.

    Raises:
        SigningKeyError: the signing key cannot be used.
    """
    from server.eraser import Eraser

    with opened_ledger(settings) as ledger:
        async with open_library(settings) as library:
            return await Eraser(library, ledger, Signer.of(settings.data_dir)).run_once()


async def backup(settings: Settings, folder: Path) -> "Manifest":
    """Copy a data directory into a folder.

    Raises:
        BackupRefused: the folder cannot be used.
    """
    with opened_ledger(settings) as ledger:
        async with open_library(settings) as library:
            audit = open_audit(settings, ledger) if (settings.data_dir / upkeep.AUDIT).exists() else None
            try:
                return await library.back_up(folder, upkeep.copies(ledger, audit))
            finally:
                if audit is not None:
                    audit.close()


def restore(settings: Settings, folder: Path, *, replace: bool) -> "tuple[Restored, int]":
    """Put a backup in the place of a data directory; say what was done, and when the backup was made.

    Raises:
        BackupRefused, RestoreRefused, DataInUse, LedgerError: nothing was changed.
    """
    from retrieval import restore as restoring
    from retrieval.backup import checked

    manifest = checked(folder)
    restoring.refuse_occupied(settings.data_dir, replace=replace)
    ledger = upkeep.merged_ledger(settings.data_dir, folder, restoring.pending_erasures(settings.data_dir))
    try:
        upkeep.bring_audit(settings.data_dir, folder)
        restored = restoring.restore(folder, settings.data_dir, ledger.erasures.files_gone(), replace=replace)
    finally:
        ledger.close()
    return restored, manifest.created_at


def reindex(settings: Settings, report: Callable[[int, int], None]) -> int:
    """Compute again what is computed from the stored texts; say how many chunks were embedded.

    Raises:
        RetrievalError: the store cannot be used.
    """
    from retrieval.embedder import MiniLM
    from retrieval.reindex import reindex as run

    return run(settings.data_dir, MiniLM(), report)


async def _work(store: "Library", ledger: Ledger, settings: Settings, forget: Callable[[], Awaitable[None]]) -> None:
    from server.eraser import Eraser

    eraser = Eraser(store, ledger, Signer.of(settings.data_dir), forget=forget)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.work)
        tasks.start_soon(eraser.work)


@contextmanager
def opened_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger for a block."""
    ledger = open_ledger(settings)
    try:
        yield ledger
    finally:
        ledger.close()


def open_ledger(settings: Settings) -> Ledger:
    """Open the keys."""
    return Ledger(settings.data_dir / upkeep.LEDGER)


def open_audit(settings: Settings, ledger: Ledger) -> AuditLog:
    """Open the audit log and the key that signs it; the ledger remembers who has signed.

    Raises:
        AuditError, SigningKeyError: one of them cannot be used.
    """
    key = None if settings.audit_content_key_file is None else content_key(settings.audit_content_key_file)
    signer = Signer.of(settings.data_dir)
    ledger.erasures.remember_key(signer.key_id, signer.public_key, int(time()))
    durability: Durability = "async" if settings.audit == "async" else "durable"
    return AuditLog(settings.data_dir / upkeep.AUDIT, signer, durability=durability, content_key=key)


def origin(settings: Settings) -> Origin:
    """What answers are made with, by digests; reads the whole checkpoint once."""
    import hrm_model.template
    import server.prompt

    code = [Path(module.__file__ or "") for module in (hrm_model.template, server.prompt)]
    files = sorted(path for path in settings.model.iterdir() if path.suffix in (".json", ".safetensors"))
    return Origin(version("hrm-serve"), settings.model_id, digest_of(files), digest_of(code))


@asynccontextmanager
async def loaded(settings: Settings) -> AsyncIterator[Services]:
    """What answers are made with, in a command's own process; without a log, as nobody has asked.

    Raises:
        CheckpointError, RetrievalError: the model or the store cannot be used.
    """
    async with AsyncExitStack() as opened:
        store, vectors = await asyncio.to_thread(_warm_library, settings)
        opened.push_async_callback(store.aclose)
        engine = await asyncio.to_thread(_load_engine, settings)
        opened.callback(engine.close)
        engine.start()
        ledger = opened.enter_context(opened_ledger(settings))
        made_by = origin(settings)
        yield Services(
            engine=engine,
            speller=_load_speller(settings),
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


def check_model(folder: Path, *, decode: bool, weights: str, kv_dtype: str) -> Iterator[str]:
    """Say, line by line, whether a folder can be served, what it needs, and how fast it is about.

    Raises:
        SettingsError: this machine cannot have such weights or such a cache.
    """
    from hrm_model.check import check_model as check

    try:
        yield from check(folder, decode=decode, weights=weights, kv_dtype=kv_dtype)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def check_up(settings: Settings) -> "Checkup":
    """Look at the store from outside.

    Raises:
        StoreFailed: it cannot be read.
    """
    from retrieval.checkup import check_up as look

    return look(settings.data_dir)


def sqlite_build() -> tuple[str, bool]:
    """SQLite's version, and whether it can search texts."""
    from retrieval.store.database import sqlite_build as build

    return build()


def needs(settings: Settings) -> "Needs":
    """What serving the model takes, and what there is.

    Raises:
        CheckpointError, SettingsError: it cannot be served, or not like this.
    """
    from hrm_model.check import needs as work_out

    try:
        return work_out(
            settings.model,
            dtype=settings.dtype,
            device=settings.device,
            kv_bytes=settings.kv_cache_bytes,
            max_running=settings.max_running,
            weights=settings.weights,
            kv_dtype=settings.kv_dtype,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def train(arguments: Sequence[str]) -> int:
    """Hand a command line to the trainer; return its exit status."""
    from hrm_model.training.cli import main
    from retrieval.embedder import MiniLM

    return main(arguments, MiniLM().embed)


def model_card(settings: Settings) -> ModelCard:
    """What clients see of the checkpoint.

    Raises:
        CheckpointError: the folder is not one.
    """
    config = read_config(settings.model)
    created = (settings.model / CONFIG_FILE).stat().st_mtime
    return ModelCard(id=settings.model_id, created=int(created), context=config.max_position_embeddings)


def policy(settings: Settings) -> Policy:
    """The operator's decisions, as the routes read them."""
    return Policy(
        default_store=settings.default_store,
        retrieval_k=settings.retrieval_k,
        score_threshold=settings.score_threshold,
        grounding=settings.grounding,
        abstention=settings.abstention,
        shots=EXAMPLES[: settings.prompt_examples],
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        max_header_bytes=settings.max_header_bytes,
        max_json_depth=settings.max_json_depth,
        body_s=settings.body_seconds,
        upload_s=settings.upload_seconds,
        max_choices=settings.max_choices,
        heartbeat_s=settings.heartbeat_seconds,
        retry_after_s=settings.retry_after_seconds,
        origins=tuple(filter(None, settings.cors_origins.split(","))),
        key_limits=Limits(
            settings.key_requests_per_minute,
            settings.key_tokens_per_minute,
            settings.key_concurrent_requests,
            settings.key_max_tokens,
        ),
        person_limits=Limits(
            settings.person_requests_per_minute,
            settings.person_tokens_per_minute,
            settings.person_concurrent_requests,
            settings.person_max_tokens,
        ),
        public_url=settings.public_url.rstrip("/"),
    )


def bounds(settings: Settings) -> Bounds:
    """What connections may take."""
    return Bounds(
        connections=settings.max_connections,
        header_bytes=settings.max_header_bytes,
        header_s=settings.header_seconds,
        keep_alive_s=settings.keep_alive_seconds,
        unread_s=settings.unread_seconds,
        retry_after_s=settings.retry_after_seconds,
    )


def _adopt_first_key(ledger: Ledger, file: Path | None) -> None:
    if file is None or not ledger.keys.is_empty():
        return
    # Missing is not the same as not configured: whoever named a key does not want a server without one.
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise LedgerError(
            f"HRM_FIRST_KEY_FILE names {file}, which does not exist, and there is no API key yet.\n"
            "Put a secret of 32 or more characters there (in a container: mount it), "
            "or make a key with `hrm-serve keys create --principal user:you --role admin`."
        ) from error
    except UnicodeDecodeError as error:
        raise LedgerError(f"{file} does not hold a secret in plain text.") from error
    if key := ledger.keys.adopt_first(secret):
        log.info("the first key is %s, an admin's, from %s", key.key_id, file)


def _warm_library(settings: Settings, observe: "Observe | None" = None) -> "tuple[Library, MiniLM]":
    from retrieval.embedder import MiniLM
    from retrieval.opening import open_library as open_it

    embedder = MiniLM()
    library = open_it(settings.data_dir, embedder, limits=_limits(settings), fusion=_fusion(settings), observe=observe)
    embedder.load()
    return library, embedder


def _limits(settings: Settings) -> "ParseLimits":
    from retrieval.limits import Limits as ParseLimits

    return ParseLimits(
        file_bytes=settings.parse_bytes,
        pages=settings.parse_pages,
        characters=settings.parse_characters,
        seconds=settings.parse_seconds,
        memory_bytes=settings.parse_memory,
    )


def _fusion(settings: Settings) -> Fusion:
    return Fusion(1 - settings.text_weight, settings.text_weight, settings.late_interaction)


def _load_speller(settings: Settings) -> "Speller":
    from hrm_model.spelling import Speller
    from hrm_model.tokenizer import load_tokenizer

    return Speller(load_tokenizer(settings.model))


def _load_engine(settings: Settings) -> "NativeEngine":
    from hrm_model.loading import load_engine

    try:
        return load_engine(
            settings.model,
            dtype=settings.dtype,
            weights=settings.weights,
            kv_dtype=settings.kv_dtype,
            device=settings.device,
            kv_bytes=settings.kv_cache_bytes,
            max_running=settings.max_running,
            max_waiting=settings.max_waiting,
            draft_tokens=settings.draft_tokens,
            slice_tokens=settings.prefill_slice_tokens,
            kept_bytes=settings.prompt_cache_bytes,
        )
    except ValueError as error:  # a device that is not there, a cache that holds nothing
        raise SettingsError(str(error)) from error
