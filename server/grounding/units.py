"""What values are measured in, and how the units of one kind relate."""

from collections.abc import Sequence
from decimal import Decimal

from server.grounding.raw_words import folded_at, key_at
from server.grounding.words import Word

CURRENCIES = {
    "€": "eur", "eur": "eur", "euro": "eur", "$": "usd", "usd": "usd", "dollar": "usd", "£": "gbp", "gbp": "gbp",
    "pound": "gbp", "chf": "chf", "franc": "chf", "¥": "jpy", "jpy": "jpy", "yen": "jpy", "cent": "cent",
    "centime": "chf", "rappen": "chf", "pence": "gbp", "penny": "gbp",
}  # fmt: skip
# A hundred of these make one of their currency, in which they are kept.
HUNDREDTHS = frozenset({"cent", "centime", "rappen", "pence", "penny"})
# Which currency a cent is of is not written on it.
_CENTS_OF = frozenset({"eur", "usd"})
PERCENT = {"%": "%", "percent": "%", "pct": "%", "‰": "‰"}
_HOUR = 3600
DAY = 24 * _HOUR
# Into the smallest unit that contracts do not tell apart: a year is twelve months, and a month is no number of days.
MEASURES: dict[str, tuple[str, int]] = {
    "second": ("s", 1), "minute": ("s", 60), "min": ("s", 60), "hour": ("s", _HOUR),
    "day": ("s", DAY), "week": ("s", 7 * DAY), "fortnight": ("s", 14 * DAY), "night": ("night", 1),
    "month": ("month", 1), "quarter": ("month", 3), "year": ("month", 12), "decade": ("month", 120),
    "mg": ("mg", 1), "g": ("mg", 1000), "gram": ("mg", 1000), "kg": ("mg", 10**6), "kilogram": ("mg", 10**6),
    "mm": ("mm", 1), "cm": ("mm", 10), "m": ("mm", 1000), "metre": ("mm", 1000), "meter": ("mm", 1000),
    "km": ("mm", 10**6), "kilometre": ("mm", 10**6), "kilometer": ("mm", 10**6), "mile": ("mile", 1),
    "byte": ("byte", 1), "kb": ("kb", 1), "kilobyte": ("kb", 1), "mb": ("mb", 1), "megabyte": ("mb", 1),
    "gb": ("gb", 1), "gigabyte": ("gb", 1),
    "ml": ("ml", 1), "millilitre": ("ml", 1), "milliliter": ("ml", 1), "cl": ("ml", 10), "dl": ("ml", 100),
    "l": ("ml", 1000), "litre": ("ml", 1000), "liter": ("ml", 1000),
    "centimetre": ("mm", 10), "centimeter": ("mm", 10), "millimetre": ("mm", 1), "millimeter": ("mm", 1),
    "kilo": ("mg", 10**6), "milligram": ("mg", 1), "tonne": ("mg", 10**9),
    "m²": ("m2", 1), "sqm": ("m2", 1), "m³": ("ml", 10**6),
    "wh": ("wh", 1), "kwh": ("wh", 1000), "kilowatt-hour": ("wh", 1000), "mwh": ("wh", 10**6),
}  # fmt: skip
_IN_TWO_WORDS = {
    ("square", "metre"): ("m2", 1), ("square", "meter"): ("m2", 1), ("sq", "m"): ("m2", 1),
    ("cubic", "metre"): ("ml", 10**6), ("cubic", "meter"): ("ml", 10**6), ("kilowatt", "hour"): ("wh", 1000),
}  # fmt: skip


def measure_at(raw: Sequence[Word], at: int) -> tuple[tuple[str, int] | None, int]:
    """The unit that begins here, with its size, and how many words name it."""
    if found := _IN_TWO_WORDS.get((folded_at(raw, at), key_at(raw, at + 1))):
        return found, 2
    return MEASURES.get(key_at(raw, at)), 1


def is_same_unit(one: str, other: str) -> bool:
    """Are values kept in these two units of one kind?"""
    return one == other or (one == "cent" and other in _CENTS_OF) or (other == "cent" and one in _CENTS_OF)


def is_unit(word: Word) -> bool:
    """Does a word name what values are measured in?"""
    return word.key in MEASURES or word.key in CURRENCIES or word.key in PERCENT


def is_counted_in(value: Word, unit: Word) -> bool:
    """Was a value written in a unit? "28 days" was not in weeks, though four of them are as long."""
    if unit.key not in MEASURES:
        return value.unit == (CURRENCIES.get(unit.key) or PERCENT[unit.key])
    if value.unit == f"working {unit.key}":
        return True
    base, size = MEASURES[unit.key]
    # Kept is 28 for four weeks and written 4, so that the size of the unit is between them; a half is kept alone.
    if value.unit != base:
        return False
    kept, least = Decimal(value.key.rstrip("?")), Decimal(value.count) * size
    return least <= kept <= least * Decimal("1.5")
