"""Seeded training data for a small model that reads passages: facts about invented subjects, asked in many wordings.

Standard library only. Nothing here knows about tensors or tokens.
"""

from hrm_model.training.grounded.generate import LEVELS, Example, Level, Split, examples
from hrm_model.training.grounded.page_examples import PAGES, SHORT_PAGES, page_examples
from hrm_model.training.grounded.patterns import statement_patterns
from hrm_model.training.grounded.wording import wordings

__all__ = [
    "LEVELS",
    "PAGES",
    "SHORT_PAGES",
    "Example",
    "Level",
    "Split",
    "examples",
    "page_examples",
    "statement_patterns",
    "wordings",
]
