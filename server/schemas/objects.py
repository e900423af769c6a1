"""The small objects: models, states, errors."""

from typing import Literal

from server.schemas.fields import Answered


class Model(Answered):
    """A model id that can be asked: the model itself, or its alias for a store."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int


class ModelList(Answered):
    """Every id that the caller may ask."""

    object: Literal["list"]
    data: list[Model]


class State(Answered):
    """A probe's answer."""

    status: Literal["ok"]


class Ready(State):
    """The server can answer. `warnings` says what somebody has to see to before it cannot any more."""

    warnings: list[str]


class ErrorDetail(Answered):
    """What went wrong, and where in the request."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"]
    param: str | None
    code: str


class ErrorBody(Answered):
    """The body of everything that is not a success."""

    error: ErrorDetail
