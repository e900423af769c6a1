"""The application: routes, handlers and middleware around the services that it is given."""

from dataclasses import replace
from functools import partial
from importlib.metadata import version
from math import nan

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from retrieval.errors import RetrievalError
from server import errors, openapi
from server.completions import Completions
from server.counted_audit import CountedAudit
from server.database import FAILED
from server.deps import Policy, Services
from server.door import Doorway
from server.errors import NotReady
from server.headers import Origins, SafeHeaders
from server.intake import Body, Intake
from server.json_body import READERS
from server.limiter import Limiter
from server.local_only import LocalOnly
from server.logs import RequestLog
from server.metrics import Metrics
from server.pipeline import Pipeline
from server.quota import Quota
from server.routes import (
    chat,
    completions,
    description,
    embeddings,
    erasures,
    files,
    health,
    metrics,
    models,
    store_files,
    vector_stores,
)
from server.store_ports import Erasures, Library
from server.traced import TracedRequests, TracedRetriever
from server.unforeseen import Unforeseen

_METRICS_STAY_HERE = "Here the metrics are told to callers on this machine and under its own name only."


def create_app(services: Services) -> FastAPI:
    """Build the application. Starts nothing: whoever built the services also ends them."""
    app = bare_app()
    if services.tracer is not None:
        services = replace(services, retriever=TracedRetriever(services.retriever))
    pending = partial(_pending, services.erasures, services.library)
    measured = Metrics(services.model.id, services.engine.load, pending, services.library.facts)
    measured.watched(services.ready, services.warnings)
    if services.audit is not None:
        services = replace(services, audit=CountedAudit(services.audit, measured.recorded))
    app.state.services = services
    app.state.metrics = measured
    app.state.limiter = Limiter(services.clock, measured.refused)
    app.state.pipeline = Pipeline(services, measured)
    app.state.completions = Completions(services, measured)
    app.state.embedding_turn = CapacityLimiter(1)
    app.state.looking_turn = CapacityLimiter(1)
    app.state.readers = CapacityLimiter(READERS)
    errors.install(app, retry_after_s=services.policy.retry_after_s)
    policy = services.policy
    # The last one added is the outermost.
    _bound(app, policy, measured)
    app.add_middleware(Quota)
    app.add_middleware(Doorway, door=services.door)
    if policy.origins:
        app.add_middleware(Origins, origins=policy.origins)
    app.add_middleware(SafeHeaders)
    if services.tracer is not None:
        app.add_middleware(TracedRequests, tracer=services.tracer)
    app.add_middleware(RequestLog, metrics=measured)
    return app


def metrics_app(policy: Policy, measured: Metrics, *, is_loopback: bool) -> FastAPI:
    """Build what the metrics' own listener serves: /metrics, without a key, and nothing else.

    No door is in front of it: how a server stops is what somebody wants to watch.

    Args:
        is_loopback: only this machine can connect, so a request that names another host comes from a web page.
    """
    app = _empty_app()
    app.state.metrics = measured
    app.add_api_route("/metrics", metrics.read_metrics, response_class=PlainTextResponse)
    errors.install(app, retry_after_s=policy.retry_after_s)
    _bound(app, policy, measured)
    if is_loopback:
        app.add_middleware(LocalOnly, is_open=lambda: True, refusal=_METRICS_STAY_HERE)
    app.add_middleware(SafeHeaders)
    app.add_middleware(RequestLog, metrics=measured)
    return app


def bare_app() -> FastAPI:
    """The routes alone: enough to describe them, with nothing behind them."""
    app = _empty_app()
    for router in (
        chat.router,
        completions.router,
        embeddings.router,
        *files.routers,
        *vector_stores.routers,
        *store_files.routers,
        erasures.router,
        models.router,
        health.router,
        metrics.router,
        description.router,
    ):
        app.include_router(router)
    openapi.install(app)
    return app


def _pending(erasures: Erasures, library: Library) -> float:
    """How many erasures wait; NaN where the ledger cannot be read, which is no reason to tell nothing else."""
    try:
        waiting = erasures.waiting()
    except FAILED:
        return nan
    try:
        return waiting + library.facts().held_by_removed
    except (NotReady, RetrievalError):  # `hrm_store_up` says so
        return waiting


def _bound(app: FastAPI, policy: Policy, measured: Metrics) -> None:
    """Put the innermost middleware around the routes: what a request may bring, and what becomes of a failure."""
    app.add_middleware(
        Intake,
        body=Body(policy.max_body_bytes, policy.body_s),
        refused=measured.refused,
        others={files.UPLOADS: Body(policy.max_upload_bytes + files.FORM_BYTES, policy.upload_s)},
    )
    app.add_middleware(Unforeseen)


def _empty_app() -> FastAPI:
    # No /docs: FastAPI's page loads its scripts from another host, and this server works without a network.
    # No redirect either: clients do not repeat a POST behind an empty 307, and a 404 says what is wrong.
    return FastAPI(
        title="hrm-serve",
        version=version("hrm-serve"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its own telemetry has paths in it, and the words of errors; server/tracing.py has neither.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
