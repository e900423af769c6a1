"""Numbers, amounts, dates, times and rates as one token each, so that two spellings of a value are the same value.

`€1,200`, `EUR 1200` and `1.200,00 euros` are equal; so are `twice a year` and `every six months`. What could be two
things (3.10 as a version and as a decimal) is only equal to itself.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from server.grounding.words import Kind, Word, listed

_CURRENCIES = {
    "€": "eur", "eur": "eur", "euro": "eur", "$": "usd", "usd": "usd", "dollar": "usd", "£": "gbp", "gbp": "gbp",
    "pound": "gbp", "chf": "chf", "franc": "chf", "¥": "jpy", "jpy": "jpy", "yen": "jpy", "cent": "cent",
}  # fmt: skip
_PERCENT = {"%": "%", "percent": "%", "pct": "%", "‰": "‰"}
# Into the smallest unit that contracts do not tell apart: a year is twelve months, and a month is no number of days.
_MEASURES: dict[str, tuple[str, int]] = {
    "second": ("s", 1), "minute": ("s", 60), "min": ("s", 60), "hour": ("s", 3600),
    "day": ("day", 1), "week": ("day", 7), "fortnight": ("day", 14), "night": ("night", 1),
    "month": ("month", 1), "quarter": ("month", 3), "year": ("month", 12), "decade": ("month", 120),
    "mg": ("mg", 1), "g": ("mg", 1000), "gram": ("mg", 1000), "kg": ("mg", 10**6), "kilogram": ("mg", 10**6),
    "mm": ("mm", 1), "cm": ("mm", 10), "m": ("mm", 1000), "metre": ("mm", 1000), "meter": ("mm", 1000),
    "km": ("mm", 10**6), "kilometre": ("mm", 10**6), "kilometer": ("mm", 10**6), "mile": ("mile", 1),
    "byte": ("byte", 1), "kb": ("kb", 1), "kilobyte": ("kb", 1), "mb": ("mb", 1), "megabyte": ("mb", 1),
    "gb": ("gb", 1), "gigabyte": ("gb", 1), "litre": ("litre", 1), "liter": ("litre", 1),
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
_BELOW_TWENTY = listed(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen"""
)
_CARDINALS = {
    "single": 1,
    **{name: value for value, name in enumerate(_BELOW_TWENTY)},
    **{name: 10 * tens for tens, name in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"), 2)},
}
_ORDINALS = {
    name: value
    for value, name in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), start=1
    )
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in listed(names)
}  # fmt: skip
_PER = {"hourly": ("s", 3600), "daily": ("day", 1), "weekly": ("day", 7), "monthly": ("month", 1)} | {
    name: ("month", 3 if name == "quarterly" else 12) for name in ("quarterly", "yearly", "annually", "annual")
}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}

_INTEGER = re.compile(r"\d+")
_PLAIN = re.compile(r"[+\-−–]?\d+(?:[.,:]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CONTINENTAL = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_COMMA_DECIMAL = re.compile(r"\d+,\d{1,2}")
_CLOCK = re.compile(r"([01]?\d|2[0-4])[:.]([0-5]\d)")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_GLUED = re.compile(r"(\d+(?:[.,]\d+)*)(mg|kg|g|km|cm|mm|m|kb|mb|gb|am|pm|k)", re.IGNORECASE)

Merged = tuple[Word, int]


def merged(text: str, raw: Sequence[Word]) -> list[Word]:
    """Put the words that make up one value together; what is no value stays as it is."""
    found: list[Word] = []
    at = 0
    while at < len(raw):
        match = (
            _date(text, raw, at) or _clock(text, raw, at) or _rate(text, raw, at) or _amount(text, raw, at)
        )  # fmt: skip
        word, count = match or (raw[at], 1)
        found.append(word)
        at += count
    return found


def is_unit(word: Word) -> bool:
    """Does a word name what values are measured in?"""
    return word.key in _MEASURES or word.key in _CURRENCIES or word.key in _PERCENT


def is_counted_in(value: Word, unit: Word) -> bool:
    """Was a value written in a unit? "28 days" was not in weeks, though four of them are as long."""
    if unit.key not in _MEASURES:
        return value.unit == (_CURRENCIES.get(unit.key) or _PERCENT[unit.key])
    if value.unit == f"working {unit.key}":
        return True
    base, size = _MEASURES[unit.key]
    # Kept is 28 for four weeks and written 4, so that the size of the unit is between them; a half is kept alone.
    if value.unit != base:
        return False
    kept, least = Decimal(value.key), Decimal(value.count) * size
    return least <= kept <= least * Decimal("1.5")


def _value(raw: Sequence[Word], at: int, taken: int, key: str, unit: str = "", count: str = "") -> Merged:
    first, last = raw[at], raw[at + taken - 1]
    return replace(first, key=key, unit=unit, count=count or key, kind=Kind.EXACT, end=last.end), taken


def _folded(raw: Sequence[Word], at: int) -> str:
    return raw[at].text.casefold().rstrip(".") if at < len(raw) else ""


def _key(raw: Sequence[Word], at: int) -> str:
    return raw[at].key if at < len(raw) else ""


def _touching(text: str, raw: Sequence[Word], at: int) -> bool:
    """Is there nothing but blanks between a word and the one before it?"""
    return at < len(raw) and not text[raw[at - 1].end : raw[at].start].strip()


def _date(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    word = raw[at].text
    if found := _ISO.fullmatch(word):
        return _value(raw, at, 1, _day(*map(int, found.groups())))
    if found := _DOTTED.fullmatch(word):
        written = [int(group) for group in found.groups()]
        return _value(raw, at, 1, _day(*reversed(written))) if written[1] <= 12 else None
    day_at, count = _day_number(raw, at), 1
    if day_at is not None:  # 3 May 2024, 3rd of May, first of May
        step = 2 if _folded(raw, at + 1) == "of" else 1
        month_at = _month(raw, at + step)
        if month_at and _touching(text, raw, at + step):
            year = _year(text, raw, at + step + 1)
            count = step + 1 + (year is not None)
            return _value(raw, at, count, _day(year, month_at, day_at))
        return None
    month_at = _month(raw, at)
    if month_at is None:
        return None
    day_at = _day_number(raw, at + 1) if _touching(text, raw, at + 1) else None
    if day_at is not None and not (_key(raw, at + 2) in _MEASURES and _touching(text, raw, at + 2)):
        year = _year(text, raw, at + 2, comma=True)
        return _value(raw, at, 2 + (year is not None), _day(year, month_at, day_at))
    year = _year(text, raw, at + 1)
    return _value(raw, at, 2, _day(year, month_at, None)) if year is not None else None


def _day(year: int | None, month: int, day: int | None) -> str:
    return f"date {year or '?'}-{month}-{day or '?'}"


def _day_number(raw: Sequence[Word], at: int) -> int | None:
    word = _folded(raw, at)
    found = _ORDINAL.fullmatch(word)
    number = int(found.group(1)) if found else _ORDINALS.get(word, int(word) if _INTEGER.fullmatch(word) else 0)
    return number if 1 <= number <= 31 else None


def _month(raw: Sequence[Word], at: int) -> int | None:
    word = _folded(raw, at)
    if at >= len(raw) or not raw[at].text[0].isupper():
        return None
    return _MONTHS.get(word)


def _year(text: str, raw: Sequence[Word], at: int, *, comma: bool = False) -> int | None:
    if at >= len(raw) or not re.fullmatch(r"[12]\d{3}", raw[at].text):
        return None
    between = text[raw[at - 1].end : raw[at].start].strip()
    return int(raw[at].text) if between in ("", "." if not comma else ",", ",") else None


def _clock(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    word, following = _folded(raw, at), _folded(raw, at + 1).replace(".", "")
    if word in ("noon", "midnight"):
        return _value(raw, at, 1, "time 12:00" if word == "noon" else "time 24:00")
    glued = _GLUED.fullmatch(word)
    half = glued.group(2) if glued and glued.group(2) in ("am", "pm") else following
    digits = glued.group(1) if glued and glued.group(2) in ("am", "pm") else word
    is_half = half in ("am", "pm")
    found = _CLOCK.fullmatch(digits)
    if found is None and is_half and _INTEGER.fullmatch(digits) and int(digits) <= 12:
        hour, minute = int(digits), 0
    elif found is not None and (":" in digits or is_half):
        hour, minute = int(found.group(1)), int(found.group(2))
    else:
        return None
    count = 1 + ((half == following and is_half) or (following in ("oclock", "o'clock", "o’clock", "hrs")))
    if is_half:
        hour = hour % 12 + 12 * (half == "pm")
    return _value(raw, at, count, f"time {hour}:{minute:02}")


def _rate(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    """How often: "a year", "every three months", "annually", "twice a week"."""
    word = _folded(raw, at)
    if word in _PER:
        base, size = _PER[word]
        return _value(raw, at, 1, f"per {size}", base)
    times = _TIMES.get(word)
    if times is None and (number := _number(text, raw, at)) and _folded(raw, at + number[1]) == "times":
        times, skip = int(number[0]), number[1] + 1
    else:
        skip = 1 if times else 0
    opener = _folded(raw, at + skip)
    if opener not in ("a", "an", "per", "every", "each"):
        return None
    every = Decimal(1)
    count = skip + 1
    if opener == "every" and (number := _number(text, raw, at + count)):
        every, count = number[0], count + number[1]
    measure = _MEASURES.get(_key(raw, at + count))
    if measure is None or measure[0] not in ("s", "day", "night", "month"):
        return None
    if opener in ("a", "an") and not times and not _follows_an_amount(raw, at):
        return None  # "a year ago", "in a week"
    return _value(raw, at, count + 1, f"per {_plain(every * measure[1] / (times or 1))}", measure[0])


def _follows_an_amount(raw: Sequence[Word], at: int) -> bool:
    """Is there a quantity close before, which "a year" can divide?"""
    return any(word.is_number or word.text in _CURRENCIES for word in raw[max(0, at - 4) : at])


def _amount(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    start = at
    unit = ""
    if _folded(raw, at) in _CURRENCIES and _folded(raw, at) not in ("cent", "pound", "franc", "dollar", "euro"):
        number = _number(text, raw, at + 1) if _touching(text, raw, at + 1) else None
        if number is None:
            return None
        unit, at = _CURRENCIES[_folded(raw, at)], at + 1
    else:
        if (ordinal := _ordinal(raw, at)) is not None:
            return _value(raw, at, 1, f"{ordinal}th")
        number = _number(text, raw, at)
    if number is None:
        return _phone(text, raw, at)
    value, count, literal = number
    end, written = at + count, _plain(value)
    if not unit and (half := _and_a_half(raw, end)):
        value, end = value + Decimal("0.5"), end + half
    if not unit and _touching(text, raw, end):
        if (following := _key(raw, end)) in _CURRENCIES:
            unit, end = _CURRENCIES[following], end + 1
        elif following in _PERCENT:
            unit, end = _PERCENT[following], end + 1
        elif following == "per" and _folded(raw, end + 1) == "cent":
            unit, end = "%", end + 2
        elif following == "°":
            unit, end = f"°{_folded(raw, end + 1)[:1]}", end + 2
        elif following in ("working", "business", "calendar") and _key(raw, end + 1) in ("day", "hour"):
            unit = "day" if following == "calendar" else "working " + _key(raw, end + 1)
            end += 2
        elif (measure := _MEASURES.get(following)) is not None:
            unit, value, end = measure[0], value * measure[1], end + 1
            if (half := _and_a_half(raw, end)) and measure[1]:
                value, end = value + Decimal(measure[1]) / 2, end + half
    if unit and literal and _CONTINENTAL.fullmatch(literal):
        value = Decimal(literal.replace(".", "").replace(",", "."))
    if glued := _GLUED.fullmatch(raw[at].text):
        measure = _MEASURES.get(glued.group(2).casefold())
        if measure:
            unit, value = measure[0], value * measure[1]
    key = _plain(value) if unit or _is_whole(literal) else (literal or _plain(value))
    return _value(raw, start, end - start, key, unit, written if unit else key)


def _is_whole(literal: str) -> bool:
    return not literal or bool(_INTEGER.fullmatch(literal) or _GROUPED.fullmatch(literal))


def _and_a_half(raw: Sequence[Word], at: int) -> int:
    return 3 if [_folded(raw, at + step) for step in range(3)] == ["and", "a", "half"] else 0


def _number(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    """Value, words taken, and the digits as written (empty for words)."""
    word = _folded(raw, at)
    if glued := _GLUED.fullmatch(word):
        if glued.group(2) in ("am", "pm"):
            return None
        value = Decimal(glued.group(1).replace(",", "")) * (1000 if glued.group(2) == "k" else 1)
        return value, 1, ""
    if word == "half" and _folded(raw, at + 1) in ("a", "an") and _key(raw, at + 2) in _MEASURES:
        return Decimal("0.5"), 2, ""
    if word in ("a", "an") and _key(raw, at + 1) in _MEASURES and _and_a_half(raw, at + 2):
        return Decimal(1), 1, ""
    if _PLAIN.fullmatch(word):
        return _digits(text, raw, at)
    return _in_words(text, raw, at)


def _digits(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    literal, count = raw[at].text, 1
    is_group = re.fullmatch(r"\d{1,3}", literal) is not None
    while is_group and re.fullmatch(r"\d{3}", _folded(raw, at + count)) and _touching(text, raw, at + count):
        literal, count = literal + raw[at + count].text, count + 1
    if re.fullmatch(r"[+]?\d+", _folded(raw, at + count)) and _touching(text, raw, at + count):
        return None  # more digits than a number has: a telephone number
    value = _decimal(literal)
    if value is None:
        return None
    if (scale := _SCALES.get(_key(raw, at + count))) and _touching(text, raw, at + count):
        return value * scale, count + 1, ""
    return value, count, literal


def _decimal(literal: str) -> Decimal | None:
    sign = -1 if literal[0] in "-−–" else 1
    digits = literal.lstrip("+-−–")
    if _GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    elif _COMMA_DECIMAL.fullmatch(digits):
        digits = digits.replace(",", ".")
    elif _CONTINENTAL.fullmatch(digits) and "," in digits:
        digits = digits.replace(".", "").replace(",", ".")
    return sign * Decimal(digits) if re.fullmatch(r"\d+(?:\.\d+)?", digits) else None


def _in_words(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    total, current, count = Decimal(0), Decimal(0), 0
    while at + count < len(raw) and (count == 0 or _touching(text, raw, at + count)):
        word = _folded(raw, at + count)
        parts = word.split("-")
        if all(part in _CARDINALS for part in parts):
            current += sum(_CARDINALS[part] for part in parts)
        elif word in _SCALES and count:
            current = max(current, Decimal(1)) * _SCALES[word]
            if _SCALES[word] >= 1000:
                total, current = total + current, Decimal(0)
        elif word == "and" and count and _folded(raw, at + count - 1) == "hundred":
            if _folded(raw, at + count + 1) not in _CARDINALS:
                break
        else:
            break
        count += 1
    return (total + current, count, "") if count else None


def _ordinal(raw: Sequence[Word], at: int) -> int | None:
    word = _folded(raw, at)
    if found := _ORDINAL.fullmatch(word):
        return int(found.group(1))
    # "first", "second" and "third" order things more often than they count them, and stay words.
    return _ORDINALS[word] if _ORDINALS.get(word, 0) > 3 else None


def _phone(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    count = 0
    while re.fullmatch(r"[+]?[\d-]+", _folded(raw, at + count)) and (count == 0 or _touching(text, raw, at + count)):
        count += 1
    if count < 2:
        return None
    return _value(raw, at, count, " ".join(word.text for word in raw[at : at + count]))


def _plain(value: Decimal) -> str:
    shown = f"{value.normalize():f}"
    return "0" if shown == "-0" else shown
