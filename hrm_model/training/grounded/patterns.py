"""What the generator could have said: every statement wording as a pattern whose slots take only what fits them.

It tells whether a sentence written by somebody else repeats a wording of the training data.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from hrm_model.training.grounded import nouns
from hrm_model.training.grounded.pages import SLOT, Slot, page_wordings, slots
from hrm_model.training.grounded.relations import RELATIONS
from hrm_model.training.grounded.relations.attributes import ATTRIBUTES, QUALIFIERS, SAYS
from hrm_model.training.grounded.values import NUMBERS
from hrm_model.training.grounded.wording import expand, lines

_NUMBER = rf"(?:\d[\d,.]*|{'|'.join(NUMBERS)}|one|half an)"
_MONEY = (
    rf"(?:(?:[€$£]|EUR |USD |CHF |GBP ){_NUMBER}|{_NUMBER} (?:million )?(?:euros|dollars|pounds|francs|kronor|crowns))"
)
_NAME = r"(?:[A-Z][\w-]+(?: [A-Z\d][\w-]*){0,2})"
_DURATION = rf"{_NUMBER} (?:(?:working|calendar|business) )?(?:minute|hour|day|week|month|year)s?"
_PHRASE = r"[\w'-]+(?: [\w',-]+){0,5}"


def _any_of(options: Sequence[str]) -> str:
    return f"(?:{'|'.join(re.escape(option) for option in options)})"


_ROLE = f"the {_any_of(nouns.ROLES)}"
_DEPARTMENT = f"(?:the )?{_any_of(nouns.DEPARTMENTS)}(?: team| department)?"
# Types that are missing here take any short phrase.
_VALUES: Mapping[str, str] = {
    "money": _MONEY,
    "percent": rf"{_NUMBER} ?(?:%|percent|per cent)",
    "duration": _DURATION,
    "count": _NUMBER,
    "limit": rf"(?:at most|no more than|up to|at least|a maximum of|a minimum of) {_NUMBER}",
    "quantity": rf"{_NUMBER} \w+",
    "year": r"\d{4}",
    "email": r"\S+@\S+",
    "url": r"\S+\.\S+",
    "code": r"(?=\S*\d)[A-Z\d/-]+(?: \d+)?",
    "person": _NAME,
    "place": _NAME,
    "company": _NAME,
    "product": _NAME,
    "role": _ROLE,
    "department": _DEPARTMENT,
    "who": f"(?:{_NAME}|{_ROLE}|{_DEPARTMENT})",
    "tool": _any_of(nouns.TOOLS),
    "material": _any_of(nouns.MATERIALS),
    "colour": _any_of(nouns.COLOURS),
    "category": _any_of(nouns.CATEGORIES),
    "reason": _any_of(nouns.REASONS),
    "item": _any_of(nouns.ITEMS),
    "frequency": r"(?:every|once a|twice a|\w+ times a|on the \w+) [\w ]+",
    "weekday": r"[A-Z]\w+day",
    "time": r"\d{1,2}(?::\d\d)?(?: ?[ap]m| o'clock)?",
    "hours": r"(?:[\w ]+, )?\d[\d:apm ]*(?:to|-)[\d:apm ]+",
    "date": r"(?:\w+, )?(?:\d{1,2} )?[A-Z]\w+(?: \d{1,2},)?(?: \d{1,4})?|\d{4}-\d\d-\d\d",
    "distance": rf"{_NUMBER} [a-z]+",
    "weight": rf"{_NUMBER} [a-z]+",
    "temperature": r"-?\d+ (?:degrees(?: Celsius)?|°C)",
    "size": rf"{_NUMBER} \w+",
    "speed": rf"{_NUMBER} [\w/ ]+",
    "power": rf"{_NUMBER} \w+",
}
_AGREEING: Mapping[str, str] = {
    "is": "(?:is|are)",
    "was": "(?:was|were)",
    "has": "(?:has|have)",
    "does": "(?:does|do)",
    "z": "s?",
    "es": "(?:es)?",
    "y": "(?:ies|y)",
    "s": _PHRASE,
    "p": rf"{_PHRASE}(?:'s|')|(?:its|their|his|her|your)",
}


@cache
def statement_patterns() -> Sequence[re.Pattern[str]]:
    """Compile every statement wording; a pattern matches whole sentences, whatever their case."""
    return tuple(dict.fromkeys(re.compile(pattern, re.IGNORECASE) for pattern in _patterns()))


def _patterns() -> Iterator[str]:
    for relation in RELATIONS:
        yield from (_pattern(text, relation.value) for line in lines(relation.says) for text in expand(line))
    for value in dict.fromkeys(value for _, value, _ in ATTRIBUTES):
        yield from (_pattern(text, value) for line in lines(SAYS) for text in expand(line))
    yield from map(_page_pattern, page_wordings())


def _page_pattern(text: str) -> str:
    own = slots(text)
    parts = SLOT.split(text)
    return "".join(_filling(part, own) if index % 2 else re.escape(part) for index, part in enumerate(parts))


def _filling(inner: str, own: Mapping[str, Slot]) -> str:
    name = inner.partition(":")[0]
    slot = own.get(name, Slot(name, name.removeprefix("@")))
    return _any_of(slot.options) if slot.options else f"(?:{_VALUES.get(slot.kind, _PHRASE)})"


def _pattern(text: str, value: str) -> str:
    names = _any_of(tuple(dict.fromkeys(name for name, _, _ in ATTRIBUTES)))
    attribute = rf"(?:{_any_of(QUALIFIERS)} )?{names}"
    slots = {**_AGREEING, "v": _VALUES.get(value, _PHRASE), "a": attribute, "an": f"an? {attribute}"}
    parts = re.split(r"\{(\w+)\}", text)
    return "".join(f"(?:{slots[part]})" if index % 2 else re.escape(part) for index, part in enumerate(parts)) + r"\."
