"""Grammars for tests, and what they let come next."""

import json

from hrm_model.endings import Mask
from hrm_model.grammar_matching import Matching
from hrm_model.types import JsonSchema


def schema(value: object) -> JsonSchema:
    return JsonSchema(json.dumps(value))


def here(matching: Matching) -> Mask:
    """What may come next."""
    (allowed,) = matching.allowed(())
    assert allowed is not None
    return allowed.open
