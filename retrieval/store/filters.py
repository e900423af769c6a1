"""Attributes of documents, and filters over them as SQL: sets of document numbers from an index, joined and cut."""

import json
from collections.abc import Mapping

from retrieval.store.database import Transaction, Value
from retrieval.types import Attribute, Comparison, Compound, Filter

_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
Condition = tuple[str, tuple[Value, ...]]


def condition(wanted: Filter) -> Condition:
    """What a row of `documents` must meet, as SQL and the values of its placeholders, in order."""
    match wanted:
        case Compound(operator, filters):
            if not filters:
                return ("TRUE" if operator == "and" else "FALSE"), ()
            parts = [condition(part) for part in filters]
            sql = f" {operator.upper()} ".join(f"({part})" for part, _ in parts)
            return sql, tuple(value for _, values in parts for value in values)
        case Comparison(key, "ne", value):
            return _negated(condition(Comparison(key, "eq", value)))
        case Comparison(key, "nin", values):
            return _negated(condition(Comparison(key, "in", values)))
        case Comparison(key, "in", values):
            assert isinstance(values, tuple), "`in` takes several values"
            return condition(Compound("or", tuple(Comparison(key, "eq", value) for value in values)))
        case Comparison(key, operator, value):
            assert not isinstance(value, tuple), "only `in` and `nin` take several values"
            return (
                "documents.document_no IN (SELECT document_no FROM attributes"
                f" WHERE key = ? AND kind = ? AND value {_SIGNS[operator]} ?)"
            ), (key, *_stored(value))


def put(tx: Transaction, document_no: int, attributes: Mapping[str, Attribute]) -> None:
    """Replace a document's attributes."""
    tx.run("DELETE FROM attributes WHERE document_no = ?", document_no)
    tx.many(
        "INSERT INTO attributes (document_no, key, kind, value) VALUES (?, ?, ?, ?)",
        [(document_no, key, *_stored(value)) for key, value in attributes.items()],
    )


# A column for queries of `documents`: its attributes as a JSON object.
AS_JSON = """
    (SELECT json_group_object(key, CASE kind WHEN 'boolean' THEN json(iif(value, 'true', 'false')) ELSE value END)
     FROM attributes WHERE attributes.document_no = documents.document_no)
"""


def from_json(stored: str) -> dict[str, Attribute]:
    """Attributes as `AS_JSON` gives them; whole numbers come back whole."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in json.loads(stored).items()
    }


def _negated(part: Condition) -> Condition:
    sql, values = part
    return f"NOT ({sql})", values


def _stored(value: Attribute) -> tuple[str, str | float | int]:
    if isinstance(value, bool):
        return "boolean", int(value)
    return ("text", value) if isinstance(value, str) else ("number", float(value))
