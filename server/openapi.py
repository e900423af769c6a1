"""The API's description, made from the code: openapi.yaml is this, and a test compares the two."""

from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from server.auth import ON_BEHALF_OF
from server.routes import chat, completions
from server.schemas.files import UploadForm
from server.schemas.objects import ErrorBody

_DESCRIPTION = """\
OpenAI's chat completions over HRM-Text, with retrieval before generation and citations that the server has checked.

Differences from OpenAI that a client can notice:

- `temperature` defaults to 0 (greedy), not 1.
- `/v1/completions` retrieves from no store. A text is read as one question; log probabilities of prompt tokens are
  null, since the model reads a prompt in both directions. `max_tokens` defaults to the server's own number, not 16.
- The answer carries `annotations` (checked citations) and `context` (the passages, and how far they support it).
  In a stream the passages come before the first token, and the report comes with `finish_reason`.
- `user`, `metadata`, `store`, and in messages `name`, `tool_call_id`, `refusal`, `annotations` and `context` are
  accepted without effect. Every other parameter is honoured, or refused by name with a 400.
- `/v1/files/{file_id}/content` is the text that was stored, which citations count in; `start` and `end` ask for a part.
  A file that no store has read yet, and any file with `form=original`, comes as it was uploaded.
- Files and stores have an `owner` and `access` lists (`read`, `write`: `user:x`, `group:y` or `*`). A store is its
  owner's alone unless it says more; a file without lists may also be used by whoever may use a store that holds it.
  Putting documents in takes the role `ingest`, asking and searching takes `ask`.
- A store's `slug` is made of its name, with something random added unless an admin makes the store; it is unique, and
  may stand wherever an id may. Automatic chunks have up to 220 of the embedder's tokens. Attributes of another kind
  than a filter's value are unequal to it.
- `/v1/embeddings` reads token ids as the embedder's own, and has one number of `dimensions`.
- A store or file that the caller may not see answers exactly like one that does not exist.
"""
_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}}
_OPEN = ("/livez", "/readyz")


def install(app: FastAPI) -> None:
    """Make /openapi.json (server/routes/description.py) show the same description."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way of extending it


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe every route, its errors included."""
    schema = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = schema["components"]
    _, extra = models_json_schema(
        [(model, "serialization") for model in (*chat.STREAMED_MODELS, *completions.STREAMED_MODELS, ErrorBody)],
        ref_template="#/components/schemas/{model}",
    )
    # Read from forms, which FastAPI does not see.
    _, read = models_json_schema([(UploadForm, "validation")], ref_template="#/components/schemas/{model}")
    components["schemas"] |= extra["$defs"] | read["$defs"]
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's 422, which this server never sends
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the identity provider."},
        "person": {
            "type": "apiKey",
            "in": "header",
            "name": ON_BEHALF_OF,
            "description": "`Bearer` and the token of the person for whom an application with the role `act-for` asks.",
        },
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "An error; the body is the same everywhere.", **_ERROR}
            if path not in _OPEN:
                operation["security"] = [{"key": []}, {"key": [], "person": []}]
    return schema


def as_yaml(app: FastAPI) -> str:
    """The description as YAML, byte for byte the same for the same code."""
    text: str = yaml.safe_dump(app.openapi(), sort_keys=True, allow_unicode=True, width=120)
    return text
