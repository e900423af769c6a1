"""The application: routes, handlers and middleware around the services that it is given."""

from importlib.metadata import version

from fastapi import FastAPI

from server import errors, openapi
from server.body_limit import BodyLimit
from server.completions import Completions
from server.deps import Services
from server.logs import RequestLog
from server.metrics import Metrics
from server.pipeline import Pipeline
from server.routes import chat, completions, description, files, health, metrics, models


def create_app(services: Services) -> FastAPI:
    """Build the application. Starts nothing: whoever built the services also ends them."""
    app = bare_app()
    measured = Metrics(services.model.id, services.engine.load)
    app.state.services = services
    app.state.metrics = measured
    app.state.pipeline = Pipeline(services, measured)
    app.state.completions = Completions(services, measured)
    errors.install(app, retry_after_s=services.policy.retry_after_s)
    app.add_middleware(BodyLimit, max_bytes=services.policy.max_body_bytes)
    app.add_middleware(RequestLog, metrics=measured)
    return app


def bare_app() -> FastAPI:
    """The routes alone: enough to describe them, with nothing behind them."""
    # No /docs: FastAPI's page loads its scripts from another host, and this server works without a network.
    # No redirect either: clients do not repeat a POST behind an empty 307, and a 404 says what is wrong.
    app = FastAPI(
        title="hrm-serve",
        version=version("hrm-serve"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in (chat, completions, files, models, health, metrics, description):
        app.include_router(module.router)
    openapi.install(app)
    return app
