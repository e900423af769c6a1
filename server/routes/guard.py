"""Who may use a route: asked before the body is read, so that a stranger learns nothing and costs nothing."""

from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from server import quota
from server.audit.facts import ActFacts
from server.auth import ON_BEHALF_OF
from server.completions import Completions
from server.deps import Services
from server.errors import InvalidRequest, status_of
from server.identity import Caller, MayNotAct, PersonUnknown, Role
from server.json_body import JsonRequest
from server.logs import Record
from server.metering import Meter
from server.metrics import Metrics
from server.pipeline import Pipeline
from server.routes.auditing import note_act, record_act
from server.routes.whole_file import WholeFile


# Asynchronous, although they wait for nothing: FastAPI calls any other dependency in a worker thread.
def _of_app(name: str) -> Callable[[Request], Coroutine[Any, Any, Any]]:
    """Read something that the application was built with."""

    async def read(request: Request) -> Any:
        return getattr(request.app.state, name)

    return read


def _of_request(name: str) -> Callable[[Request], Coroutine[Any, Any, Any]]:
    """Read something that came up on this request's way here."""

    async def read(request: Request) -> Any:
        return getattr(request.state, name)

    return read


async def _meter_of(request: Request) -> Meter:
    return Meter(request.state.turn)


ServicesDep = Annotated[Services, Depends(_of_app("services"))]
PipelineDep = Annotated[Pipeline, Depends(_of_app("pipeline"))]
CompletionsDep = Annotated[Completions, Depends(_of_app("completions"))]
MetricsDep = Annotated[Metrics, Depends(_of_app("metrics"))]
EmbeddingTurnDep = Annotated[CapacityLimiter, Depends(_of_app("embedding_turn"))]
CallerDep = Annotated[Caller, Depends(_of_request("caller"))]
ActDep = Annotated[ActFacts, Depends(_of_request("act"))]
RecordDep = Annotated[Record, Depends(_of_request("record"))]
MeterDep = Annotated[Meter, Depends(_meter_of)]


def _header(request: Request, name: str) -> str | None:
    """A header as HTTP has it: one that is sent twice is a list, which is no credential."""
    given = request.headers.getlist(name)
    return ", ".join(given) if given else None


def _is_recorded(request: Request) -> bool:
    """Answers leave a record of their own, also of how they failed, which knows more."""
    return getattr(request.state, "is_recorded", False)


def _query_names(dependant: Dependant) -> Iterator[str]:
    """Name the parameters that a route reads from its address, those of its dependencies included."""
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (part.alias or name for name, part in kind.model_fields.items())
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from _query_names(inner)


def _check_query(request: Request, known: frozenset[str]) -> None:
    """No parameter of an address is passed over: neither one that nobody reads, nor one of two values."""
    seen = set[str]()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise InvalidRequest(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if name in seen:
            raise InvalidRequest(f"Invalid '{name}': it is given more than once.", param=name)
        seen.add(name)


def _no_form(given: Any) -> tuple[Any, list[Any]]:
    raise AssertionError("FastAPI reads no body for a route that takes none")


class GuardedRoute(APIRoute):
    """A route for callers with a key."""

    roles: tuple[Role, ...] = ()  # any of them will do; none: every caller may come in
    is_limited = True
    changes = False  # something that lasts

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler, which would read and parse the body first."""
        inner = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))
        form = partial(self.body_field.validate, loc=("body",)) if self.body_field else _no_form

        async def guarded(request: Request) -> Response:
            services: Services = request.app.state.services
            record: Record = request.state.record
            refusal, note = None, None
            request.state.act = ActFacts()
            try:
                caller = await services.authenticate(_header(request, "authorization"), _header(request, ON_BEHALF_OF))
            except (PersonUnknown, MayNotAct) as error:
                caller, refusal = error.application, error
            record.caller, record.key_id = caller.principal, caller.key_id or "-"
            request.state.caller = caller
            # Before anything is refused: that is recorded as well, and nobody is to fill the log with it.
            if self.is_limited:
                quota.begin(request.scope["state"], caller, services.policy, request.app.state.limiter)
            try:
                if refusal is not None:
                    raise refusal
                if self.roles:
                    caller.require(*self.roles)
                if self.changes:
                    note = await note_act(request, caller, services)
                _check_query(request, known)
                depth = services.policy.max_json_depth
                readers = request.app.state.readers
                read = JsonRequest(request.scope, request.receive, max_depth=depth, form=form, readers=readers)
                response = await inner(read)
            except (Exception, CancelledError) as error:
                # Cancelled when the server ends; a thread may have done it all the same.
                status = None if isinstance(error, CancelledError) else status_of(error)
                if not _is_recorded(request):
                    is_for_nobody = refusal is not None and self.is_limited
                    await record_act(request, caller, services, status, None, also_a_look=is_for_nobody, note=note)
                raise
            if not _is_recorded(request):
                made = response if self.changes else None
                try:
                    await record_act(request, caller, services, response.status_code, made, note=note)
                except BaseException:  # the response is never called, which would close what it holds
                    if isinstance(response, WholeFile):
                        response.close()
                    raise
            return response

        return guarded


class AskRoute(GuardedRoute):
    """For callers who may ask."""

    roles = ("ask",)


class IngestRoute(GuardedRoute):
    """For callers who may put documents in and take them out."""

    roles = ("ingest",)
    changes = True


class StoreRoute(GuardedRoute):
    """For callers who may look at files and stores: those who ask, and those who put them there."""

    roles = ("ask", "ingest")


class MetricsRoute(GuardedRoute):
    """For callers who may read metrics; who watches a server that is asked too much must not be shut out."""

    roles = ("metrics",)
    is_limited = False
