"""One table from domain errors to OpenAI's error body, and the handlers. Routes never build an error response."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hrm_model.errors import (
    ContextLengthExceeded,
    EngineClosed,
    EngineError,
    EngineOverloaded,
    GrammarFault,
    InvalidPrompt,
    InvalidSampling,
    NeverFits,
    RequestRefused,
)
from retrieval.errors import (
    BatchNotFound,
    CursorUnknown,
    DocumentNotFound,
    FileFormRefused,
    NotTheOwner,
    RedactionDecided,
    RetrievalError,
    StoreExpired,
    StoreNotEmpty,
    StoreNotFound,
)
from server.audit.chain import AuditUnavailable, RecordOwed
from server.database import FAILED
from server.faults import CLIENT_LEFT, kind_and_place
from server.identity import Forbidden, GroundedOnly, IdentityUnavailable, PersonUnknown, StoresOnly, Unauthenticated
from server.invalid import described
from server.json_body import NotTheForm, ReadersBusy
from server.limiter import NeverWithin, OverLimit

log = logging.getLogger(__name__)


class InvalidRequest(Exception):
    """The request contradicts itself, or asks for something that this server does not do."""

    def __init__(self, message: str, *, param: str | None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class UnknownModel(Exception):
    """No such model, or an alias of a store that the caller may not see."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The model '{model}' does not exist.")
        self.model = model


class UnknownErasure(Exception):
    """No such erasure, or none that the caller may see."""

    def __init__(self, erasure_id: str) -> None:
        super().__init__(f"No erasure found with id '{erasure_id}'.")
        self.erasure_id = erasure_id


class FileErased(Exception):
    """A file that the caller could read, and that is gone for good."""

    def __init__(self, file_id: str, what: str, day: str) -> None:
        super().__init__(f"The file '{file_id}' {what} on {day}; nothing of it is kept.")
        self.file_id = file_id


class UnknownFile(DocumentNotFound):
    """One of several files that were named, and the place that named it."""

    def __init__(self, file_id: str, param: str) -> None:
        super().__init__(file_id)
        self.param = param


@contextmanager
def named_at(places: Mapping[str, str]) -> Iterator[None]:
    """Say of a file that is missing where the request names it.

    Args:
        places: by file id.

    Raises:
        UnknownFile: in the place of DocumentNotFound.
    """
    try:
        yield
    except DocumentNotFound as missing:
        raise UnknownFile(missing.file_id, places[missing.file_id]) from missing


class UnknownStore(StoreNotFound):
    """A store that cannot be seen, and the parameter that named it."""

    def __init__(self, store: str, param: str) -> None:
        super().__init__(store)
        self.param = param


class DefaultStoreUnavailable(UnknownStore):
    """The default store cannot be seen; whoever asked did not name it, and is not told its name."""

    def __init__(self, store: str, model: str) -> None:
        super().__init__(store, "model")
        self.args = (
            "The default store of this model is not available to you;"
            f" name a store, or ask '{model}@none' for an answer without one.",
        )


class NotReady(Exception):
    """The server is still starting, or is draining."""


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one kind of error looks to a client."""

    status: int
    type: str
    code: str
    param: str | None = None
    message: str | None = None  # None: the exception's own words are safe to show
    retry_after_s: int | None = None


_INVALID = "invalid_request_error"
INTERNAL = Wire(HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", "internal_error", message="Internal error.")


def _later(code: str, retry_after_s: int, message: str) -> Wire:
    return Wire(HTTPStatus.SERVICE_UNAVAILABLE, "server_error", code, message=message, retry_after_s=retry_after_s)


WIRE: dict[type[Exception], Wire] = {
    Unauthenticated: Wire(HTTPStatus.UNAUTHORIZED, _INVALID, "invalid_api_key", message="Incorrect API key or token."),
    PersonUnknown: Wire(
        HTTPStatus.UNAUTHORIZED, _INVALID, "invalid_token", message="The token in X-On-Behalf-Of is not acceptable."
    ),
    Forbidden: Wire(HTTPStatus.FORBIDDEN, _INVALID, "insufficient_permissions"),
    GroundedOnly: Wire(
        HTTPStatus.FORBIDDEN,
        _INVALID,
        "grounded_only",
        message="This key is limited to answers from documents.",
    ),
    StoresOnly: Wire(
        HTTPStatus.FORBIDDEN,
        _INVALID,
        "insufficient_permissions",
        message="This key is limited to certain stores; this needs one that is not.",
    ),
    NotTheOwner: Wire(HTTPStatus.FORBIDDEN, _INVALID, "not_the_owner", param="access"),
    InvalidRequest: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "invalid_value"),
    UnknownModel: Wire(HTTPStatus.NOT_FOUND, _INVALID, "model_not_found", param="model"),
    StoreNotFound: Wire(HTTPStatus.NOT_FOUND, _INVALID, "vector_store_not_found", param="vector_store_id"),
    UnknownErasure: Wire(HTTPStatus.NOT_FOUND, _INVALID, "erasure_not_found", param="erasure_id"),
    FileErased: Wire(HTTPStatus.GONE, _INVALID, "file_erased", param="file_id"),
    DocumentNotFound: Wire(HTTPStatus.NOT_FOUND, _INVALID, "file_not_found", param="file_id"),
    BatchNotFound: Wire(HTTPStatus.NOT_FOUND, _INVALID, "file_batch_not_found", param="batch_id"),
    StoreExpired: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "vector_store_expired"),
    FileFormRefused: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "file_form_refused", param="file_id"),
    RedactionDecided: Wire(HTTPStatus.FORBIDDEN, _INVALID, "not_an_admin", param="personal_data"),
    StoreNotEmpty: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "vector_store_not_empty", param="personal_data"),
    CursorUnknown: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "invalid_value"),
    RequestRefused: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "invalid_prompt", param="messages"),
    InvalidPrompt: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "invalid_prompt", param="messages"),
    InvalidSampling: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "invalid_value"),
    ContextLengthExceeded: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "context_length_exceeded", param="messages"),
    NeverFits: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "context_length_exceeded", param="messages"),
    OverLimit: Wire(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
    NeverWithin: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "exceeds_tokens_per_minute", param="max_tokens"),
    EngineOverloaded: _later("engine_overloaded", 1, "The engine is busy; retry shortly."),
    EngineClosed: _later("engine_unavailable", 5, "The engine has stopped, or is about to; retry shortly."),
    GrammarFault: Wire(HTTPStatus.BAD_REQUEST, _INVALID, "grammar_too_complex"),
    EngineError: INTERNAL,
    RetrievalError: _later("retrieval_unavailable", 5, "Retrieval is unavailable, so no answer was attempted."),
    RecordOwed: _later(
        "audit_pending",
        5,
        "It may have been done: look before you ask again. That it was cannot be recorded at the moment.",
    ),
    AuditUnavailable: _later(
        "audit_unavailable", 5, "What happens here cannot be recorded at the moment, so nothing happens."
    ),
    IdentityUnavailable: _later(
        "identity_unavailable", 5, "Keys and tokens cannot be checked at the moment; retry shortly."
    ),
    FAILED: _later("ledger_unavailable", 1, "Keys and erasures cannot be looked up at the moment; retry shortly."),
    ReadersBusy: _later("too_many_large_bodies", 1, "Too many large bodies wait to be read; retry shortly."),
    NotReady: Wire(HTTPStatus.SERVICE_UNAVAILABLE, "server_error", "not_ready", retry_after_s=1),
    ClientLeft: Wire(CLIENT_LEFT, _INVALID, "client_left", message="The client closed the connection."),
}

# Starlette's own refusals: unknown paths, wrong methods, oversized and unreadable bodies.
_CODES = {
    HTTPStatus.BAD_REQUEST: "invalid_body",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_encoding",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
}


def wire_form(error: Exception) -> Wire:
    """The nearest entry along the error's class hierarchy; `INTERNAL` for anything unforeseen."""
    return next((WIRE[kind] for kind in type(error).__mro__ if kind in WIRE), INTERNAL)


def status_of(error: Exception) -> int:
    """The status that an error will be answered with."""
    match error:
        case HTTPException():
            return error.status_code
        case RequestValidationError():
            return HTTPStatus.BAD_REQUEST
        case _:
            return wire_form(error).status


def error_body(error: Exception) -> dict[str, dict[str, str | None]]:
    """The JSON object that OpenAI's clients parse, the same before a stream and inside one.

    Side effects: logs errors that are the server's own, by kind and place; their words may quote a prompt.
    """
    wire = wire_form(error)
    if wire.status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, FAILED):
        log.error("request failed: %s", kind_and_place(error))
    message = str(error) if wire.message is None else wire.message
    param = getattr(error, "param", None) or wire.param
    return body_of(message, wire.type, param, getattr(error, "code", None) or wire.code)


def body_of(message: str, kind: str, param: str | None, code: str) -> dict[str, dict[str, str | None]]:
    """The one error body. What a client sent in broken Unicode comes back readable instead of breaking the answer."""
    return {"error": {"message": _sound(message), "type": kind, "param": param and _sound(param), "code": code}}


def refusal(status: int, message: str, code: str, *, kind: str = _INVALID) -> JSONResponse:
    """A response for those who refuse requests before any handler could."""
    return JSONResponse(body_of(message, kind, None, code), status_code=status)


def install(app: FastAPI, *, retry_after_s: int) -> None:
    """Give an app its handlers; what they do not know is for `server.unforeseen`.

    Args:
        retry_after_s: what a full engine tells its clients.
    """

    async def respond(request: Request, error: Exception) -> JSONResponse:
        wire = wire_form(error)
        headers = {}
        if isinstance(error, Unauthenticated):
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, EngineOverloaded):
            headers["Retry-After"] = str(retry_after_s)
        elif isinstance(error, OverLimit):
            headers["Retry-After"] = str(error.retry_after_s)
        elif wire.retry_after_s is not None:
            headers["Retry-After"] = str(wire.retry_after_s)
        return JSONResponse(error_body(error), status_code=wire.status, headers=headers)

    for kind in WIRE:
        app.add_exception_handler(kind, respond)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(NotTheForm, _refuse_form)
    app.add_exception_handler(HTTPException, _pass_on)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's 422 in OpenAI's words: a 400 that names the offending parameter."""
    assert isinstance(error, RequestValidationError)
    message, param, code = described(error, request.query_params)
    return JSONResponse(body_of(message, _INVALID, param, code), status_code=HTTPStatus.BAD_REQUEST)


async def _refuse_form(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NotTheForm)
    return await _refuse(request, error.found)


async def _pass_on(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    messages = {
        HTTPStatus.NOT_FOUND: f"Unknown path: {request.method} {request.url.path}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}.",
    }
    body = body_of(messages.get(status, error.detail), _INVALID, None, _CODES.get(status, "invalid_request"))
    return JSONResponse(body, status_code=status, headers=error.headers)


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
