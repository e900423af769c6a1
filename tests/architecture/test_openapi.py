"""openapi.yaml is what the code says, whole; `make openapi` writes it."""

from pathlib import Path
from typing import Any

import yaml

from server.app import bare_app
from server.openapi import as_yaml

FILE = Path(__file__).parents[2] / "openapi.yaml"


def test_openapi_yaml_is_up_to_date() -> None:
    assert FILE.read_text() == as_yaml(bare_app()), "run `make openapi` and look at the difference"


def test_the_description_is_the_same_every_time() -> None:
    assert as_yaml(bare_app()) == as_yaml(bare_app())


def test_every_reference_in_it_leads_somewhere_and_nothing_is_left_over() -> None:
    schema = yaml.safe_load(FILE.read_text())

    references = set(_references(schema))

    names = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert references == names


def test_every_operation_says_how_it_fails_and_whether_it_needs_a_key() -> None:
    schema = yaml.safe_load(FILE.read_text())

    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert "default" in operation["responses"]
            assert "422" not in operation["responses"]
            assert ("security" in operation) == (path not in ("/livez", "/readyz"))
            assert {"key": [], "person": []} in operation.get("security", [{"key": [], "person": []}])


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    return [found for value in part for found in _references(value)] if isinstance(part, list) else []
