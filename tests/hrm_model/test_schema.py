"""hrm_model.schema: what a JSON schema may ask for, and where a fault in it is said to be."""

import json
from typing import Any

import pytest

from hrm_model.errors import InvalidGrammar
from hrm_model.schema import MAX_DEPTH, MAX_PROPERTIES, MAX_SCHEMA_BYTES, check_schema


def refusal(schema: object) -> InvalidGrammar:
    with pytest.raises(InvalidGrammar) as refused:
        check_schema(schema if isinstance(schema, str) else json.dumps(schema))
    return refused.value


@pytest.mark.parametrize(
    ("schema", "place", "problem"),
    [
        ({"properties": {"a": {"not": {"type": "null"}}}}, "properties.a.not", "not supported"),
        ({"items": {"uniqueItems": True}}, "items.uniqueItems", "not supported"),
        ({"anyOf": [{}, {"if": {}}]}, "anyOf[1].if", "not supported"),
        ({"$defs": {"A": {"contains": {}}}}, "$defs.A.contains", "not supported"),
        ({"prefixItems": [{"propertyNames": {}}]}, "prefixItems[0].propertyNames", "not supported"),
        ({"x-guidance": {"lenient": True}}, "x-guidance", "not supported"),
        ({"properties": {"a": {"$id": "b"}}}, "properties.a.$id", "not supported"),
        ({"items": {"$ref": "https://example.org/a.json"}}, "items.$ref", "into the schema itself"),
        ({"minProperties": 2}, "minProperties", "every property is named"),
        ({"properties": {f"p{number}": {} for number in range(MAX_PROPERTIES + 1)}}, "properties", "may have 400"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(schema: object, place: str, problem: str) -> None:
    error = refusal(schema)

    assert error.place == place
    assert problem in error.problem


def test_the_first_fault_in_the_order_of_the_schema_is_named() -> None:
    assert refusal({"properties": {"a": {"not": {}}, "b": {"not": {}}}}).place == "properties.a.not"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ('{"maximum": NaN}', "NaN is no number of JSON"),
        ("[]", "must be an object"),
        ("true", "must be an object"),
        ("[" * 100_000, "has 100000 bytes"),
        ("[" * 10_000, "nested"),
        (json.dumps({"description": "x" * MAX_SCHEMA_BYTES}), "at most 65536"),
    ],
)
def test_what_is_no_schema_or_too_large_is_said_so(text: str, problem: str) -> None:
    assert problem in refusal(text).problem


def test_a_schema_may_be_nested_to_the_limit_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        for _ in range(depth - 1):
            schema = {"items": schema}
        return schema

    check_schema(json.dumps(nested(MAX_DEPTH)))
    error = refusal(nested(MAX_DEPTH + 1))

    assert error.place == ".".join(["items"] * MAX_DEPTH)


def test_objects_that_name_their_properties_have_no_others() -> None:
    person = {"properties": {"name": {}}, "required": ["name"]}
    schema = {"type": "array", "items": person, "$defs": {"open": {"properties": {}, "additionalProperties": True}}}

    closed = check_schema(json.dumps(schema))

    assert closed["items"] == {**person, "additionalProperties": False}
    assert closed["$defs"]["open"] == {"properties": {}, "additionalProperties": True}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}, {"properties": {"c": {}}}]},
        {"required": ["a"], "anyOf": [{"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "required": ["b"]},
        {"properties": {"a": {}}, "patternProperties": {"^b": {}}},
    ],
)
def test_objects_that_several_schemas_describe_stay_open(schema: dict[str, Any]) -> None:
    assert check_schema(json.dumps(schema)) == schema


@pytest.mark.parametrize("required", [[{"a": 1}], [["a"]], [None], "a", {"a": 1}])
def test_what_is_required_may_be_nonsense(required: object) -> None:
    schema = {"type": "object", "properties": {"a": {}}, "required": required}

    assert check_schema(json.dumps(schema)) == schema, "it is left to the grammar to refuse it"


def test_neutral_values_and_notes_change_nothing() -> None:
    schema = {"type": "array", "uniqueItems": False, "title": "Days", "examples": [[1]], "$id": "https://example.org"}

    assert check_schema(json.dumps(schema)) == {"type": "array", "title": "Days", "examples": [[1]]}


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    check_schema(json.dumps({"properties": {"not": {"type": "string"}, "if": {}, "$ref": {}}}))
