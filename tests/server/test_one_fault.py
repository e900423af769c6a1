"""However much is wrong with a body, few faults are looked for: one is told, and a body has room for a million."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from server.app import bare_app
from server.schemas.chat import ChatRequest
from server.schemas.completion import CompletionRequest
from server.schemas.embeddings import EmbeddingRequest
from server.schemas.files import UploadForm
from server.schemas.store_files import AttachRequest, BatchRequest
from server.schemas.store_search import SearchRequest
from server.schemas.vector_stores import StoreRequest
from tests.fakes.serving import question
from tests.server.every_route import routes

MANY = 5000


def faults(form: type[BaseModel], body: Mapping[str, Any]) -> list[Any]:
    with pytest.raises(ValidationError) as found:
        form.model_validate(body)
    return found.value.errors()


def named(value: Any) -> dict[str, Any]:
    return {f"name-{number}": value for number in range(MANY)}


def message(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "x"} | fields]}


@pytest.mark.parametrize(
    ("form", "body", "place"),
    [
        (ChatRequest, {"model": "m", "messages": [{}] * MANY}, "messages.0.role"),
        (ChatRequest, {"model": "m", "messages": [1] * MANY}, "messages.0"),
        (ChatRequest, message(content=[{}] * MANY), "messages.0.content.parts.0.type"),
        (ChatRequest, message(annotations=[1] * MANY), "messages.0.annotations.0"),
        (ChatRequest, message(tool_calls=[{}] * MANY), "messages.0.tool_calls.0.id"),
        (ChatRequest, message(**named(1)), "messages.0.name-0"),
        (ChatRequest, question(**named(1)), "name-0"),
        (ChatRequest, question(logit_bias=named(1)), "logit_bias"),
        (ChatRequest, question(stop_token_ids=["a"] * MANY), "stop_token_ids.0"),
        (ChatRequest, question(structured_outputs={"choice": [""] * MANY}), "structured_outputs.choice.0"),
        (
            ChatRequest,
            question(retrieval={"filters": {"type": "or", "filters": [{"type": "and", "filters": [1] * 100}] * 100}}),
            "retrieval.options.filters.compound.filters.0.compound.filters.0.comparison",
        ),
        (CompletionRequest, {"model": "m", "prompt": [1, *[""] * MANY]}, "prompt.one list of ids.1"),
        (CompletionRequest, {"model": "m", "prompt": [[""] * MANY]}, "prompt.many lists of ids.0.0"),
        (EmbeddingRequest, {"model": "m", "input": [{}] * MANY}, "input.one list of ids.0"),
        (EmbeddingRequest, {"model": "m", "input": [[]] * MANY}, "input.many lists of ids.0"),
        (EmbeddingRequest, {"model": "m", "input": [[1, *[""] * MANY]]}, "input.many lists of ids.0.1"),
        (StoreRequest, {"file_ids": [1] * MANY}, "file_ids.0"),
        (StoreRequest, {"metadata": named(1)}, "metadata"),
        (BatchRequest, {"files": [{}] * MANY}, "files.0.file_id"),
        (AttachRequest, {"file_id": "file-1", "attributes": named({})}, "attributes"),
        (SearchRequest, {"query": [1] * MANY}, "query.several.0"),
        (UploadForm, {"purpose": "assistants", "access": {"read": [""] * MANY}}, "access.read.0"),
    ],
)
def test_a_body_full_of_faults_is_left_at_the_first(form: type[BaseModel], body: dict[str, Any], place: str) -> None:
    found = faults(form, body)

    assert ".".join(map(str, found[0]["loc"])) == place
    assert len(found) <= 3  # of one part: its fields are as many as the form has


def test_an_object_that_is_too_large_is_refused_for_its_size_as_pydantic_would() -> None:
    (counted,) = faults(ChatRequest, question(logit_bias={str(token): 1 for token in range(1025)}))

    assert counted["msg"] == "Dictionary should have at most 1024 items after validation, not 1025"


def forms() -> Iterator[type[BaseModel]]:
    """What the routes take as bodies."""
    yield UploadForm
    for route in routes(bare_app().routes):
        if route.body_field is not None:
            form = route.body_field.field_info.annotation
            assert isinstance(form, type), route.path
            assert issubclass(form, BaseModel), route.path
            yield form


@pytest.mark.parametrize("form", list(dict.fromkeys(forms())))
def test_no_list_or_object_of_a_request_collects_its_faults(form: type[BaseModel]) -> None:
    parts = list(within(form.__pydantic_core_schema__, {}))

    assert [part for part, _ in parts if part["type"] == "list" and not part.get("fail_fast")] == []
    assert [
        part
        for part, around in parts
        if part["type"] == "dict" and not takes_anything(part) and around["type"] != "function-before"
    ] == []


def takes_anything(part: Mapping[str, Any]) -> bool:
    return bool(part["keys_schema"]["type"] == "str" and part["values_schema"]["type"] == "any")


def within(schema: Any, around: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every part of a schema that has a type, and what is around it."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema, around
            around = schema
        for name, part in schema.items():
            if name != "metadata":
                yield from within(part, around)
    elif isinstance(schema, Sequence) and not isinstance(schema, str):
        for part in schema:
            yield from within(part, around)
