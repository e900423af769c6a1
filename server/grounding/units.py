"""What values are measured in, and how the units of one kind relate."""

from decimal import Decimal

from server.grounding.words import Word

CURRENCIES = {
    "€": "eur", "eur": "eur", "euro": "eur", "$": "usd", "usd": "usd", "dollar": "usd", "£": "gbp", "gbp": "gbp",
    "pound": "gbp", "chf": "chf", "franc": "chf", "¥": "jpy", "jpy": "jpy", "yen": "jpy", "cent": "cent",
}  # fmt: skip
PERCENT = {"%": "%", "percent": "%", "pct": "%", "‰": "‰"}
# Into the smallest unit that contracts do not tell apart: a year is twelve months, and a month is no number of days.
MEASURES: dict[str, tuple[str, int]] = {
    "second": ("s", 1), "minute": ("s", 60), "min": ("s", 60), "hour": ("s", 3600),
    "day": ("day", 1), "week": ("day", 7), "fortnight": ("day", 14), "night": ("night", 1),
    "month": ("month", 1), "quarter": ("month", 3), "year": ("month", 12), "decade": ("month", 120),
    "mg": ("mg", 1), "g": ("mg", 1000), "gram": ("mg", 1000), "kg": ("mg", 10**6), "kilogram": ("mg", 10**6),
    "mm": ("mm", 1), "cm": ("mm", 10), "m": ("mm", 1000), "metre": ("mm", 1000), "meter": ("mm", 1000),
    "km": ("mm", 10**6), "kilometre": ("mm", 10**6), "kilometer": ("mm", 10**6), "mile": ("mile", 1),
    "byte": ("byte", 1), "kb": ("kb", 1), "kilobyte": ("kb", 1), "mb": ("mb", 1), "megabyte": ("mb", 1),
    "gb": ("gb", 1), "gigabyte": ("gb", 1), "litre": ("litre", 1), "liter": ("litre", 1),
}  # fmt: skip


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
    kept, least = Decimal(value.key), Decimal(value.count) * size
    return least <= kept <= least * Decimal("1.5")
