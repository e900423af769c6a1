"""Numbers, amounts, dates, times and rates as one token each, so that two spellings of a value are the same value.

`€1,200`, `EUR 1200` and `1.200,00 euros` are equal; so are `twice a year` and `every six months`. What could be two
things (3.10 as a version and as a decimal) is only equal to itself.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from server.grounding.dates import clock_at, date_at
from server.grounding.numbers import (
    GLUED,
    GROUPED,
    INTEGER,
    and_a_half_at,
    is_doubtful,
    number_at,
    ordinal_at,
    plain,
)
from server.grounding.ranges import with_shared_units
from server.grounding.raw_words import Merged, as_one, folded_at, is_touching, key_at
from server.grounding.shares import share_at
from server.grounding.units import CURRENCIES, HUNDREDTHS, MEASURES, PERCENT, measure_at
from server.grounding.words import Word, words

_PER = {"hourly": "hour", "daily": "day", "nightly": "night", "weekly": "week", "monthly": "month"} | {
    "quarterly": "quarter", "yearly": "year", "annually": "year", "annual": "year",
}  # fmt: skip
_TIME_UNITS = frozenset({"s", "night", "month"})
# Of these there are halves: "two hours and a half".
_BASES = frozenset(base for base, _ in MEASURES.values())
_HALF = Decimal("0.5")
_TIMES = {"once": Decimal(1), "twice": Decimal(2), "thrice": Decimal(3)}


def merged(text: str, raw: Sequence[Word]) -> list[Word]:
    """Put the words that make up one value together; what is no value stays as it is."""
    found: list[Word] = []
    at = 0
    while at < len(raw):
        match = (
            date_at(text, raw, at)
            or clock_at(text, raw, at)
            or _rate(text, raw, at)
            or share_at(raw, at)
            or _compound(text, raw, at)
            or _amount(text, raw, at)
        )
        word, count = match or (raw[at], 1)
        found.append(word)
        at += count
    return with_shared_units(found)


def _rate(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    """How often: "a year", "every three months", "annually", "twice a week"."""
    word = folded_at(raw, at)
    if word in _PER:
        base, size = MEASURES[_PER[word]]
        return as_one(raw, at, 1, f"per {size}", base)
    times = _TIMES.get(word)
    skip = 0 if times is None else 1
    if times is None and (number := _sure_number_at(text, raw, at)) and folded_at(raw, at + number[1]) == "times":
        times, skip = number[0], number[1] + 1
    opener = folded_at(raw, at + skip)
    if opener == "and" and times is None and _follows_a_rate(raw, at):
        opener = "per"  # "per square metre and year"
    if opener not in ("a", "an", "per", "every", "each"):
        return None
    every = Decimal(1)
    count = skip + 1
    if opener == "every" and (number := _sure_number_at(text, raw, at + count)):
        every, count = number[0], count + number[1]
    elif opener == "every" and folded_at(raw, at + count) in ("other", "second"):
        every, count = Decimal(2), count + 1
    measure, taken = measure_at(raw, at + count)
    if measure is None or (measure[0] not in _TIME_UNITS and opener not in ("per", "a", "an")):
        return None
    if opener in ("a", "an") and times is None and not _stands_by_an_amount(raw, at, measure[0]):
        return None  # "a year ago", "in a week"
    if times is not None and times <= 0:
        return as_one(raw, at, count + taken, f"{plain(times)} times")  # never, however long one waits
    return as_one(raw, at, count + taken, f"per {plain(every * measure[1] / (times or 1))}", measure[0])


def _stands_by_an_amount(raw: Sequence[Word], at: int, unit: str) -> bool:
    """Is there a quantity close before, which "a year" can divide? A litre costs something before it is named, too."""
    if any(word.is_number or word.text in CURRENCIES for word in raw[max(0, at - 4) : at]):
        return True
    return unit not in _TIME_UNITS and any(word.key in CURRENCIES for word in raw[at + 2 : at + 7])


def _follows_a_rate(raw: Sequence[Word], at: int) -> bool:
    return any(
        at >= back and folded_at(raw, at - back) == "per" and measure_at(raw, at - back + 1)[1] == back - 1
        for back in (2, 3)
    )


def _compound(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    """A number and its unit in one word: "a 12-month warranty", "a three-hour course"."""
    number, _, unit = raw[at].text.casefold().rpartition("-")
    measure = MEASURES.get(unit)
    if not number or measure is None:
        return None
    found = _sure_number_at(number, words(number), 0)
    if found is None or found[1] != len(words(number)):
        return None
    return as_one(raw, at, 1, plain(found[0] * measure[1]), measure[0], plain(found[0]))


def _amount(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    start, unit, size = at, "", Decimal(1)
    if folded_at(raw, at) in CURRENCIES and folded_at(raw, at) not in ("pound", "franc", "dollar", "euro", *HUNDREDTHS):
        number = number_at(text, raw, at + 1) if is_touching(text, raw, at + 1) else None
        if number is None:
            return None
        unit, at = CURRENCIES[folded_at(raw, at)], at + 1
    else:
        if (ordinal := ordinal_at(raw, at)) is not None:
            return as_one(raw, at, 1, f"{ordinal}th")
        number = number_at(text, raw, at)
    if number is None:
        return _phone(text, raw, at)
    value, count, literal = number
    end, written, is_bare = at + count, plain(value), not unit
    if (glued := GLUED.fullmatch(raw[at].text)) and (measure := MEASURES.get(glued.group(2).casefold())):
        unit, size, literal = measure[0], Decimal(measure[1]), glued.group(1)
    has_halves = is_bare and _is_whole(literal)
    if has_halves and (half := and_a_half_at(raw, end)):
        value, end = value + _HALF, end + half
    if not unit and is_touching(text, raw, end):
        named = key_at(raw, end)
        unit, size, taken = _unit_at(raw, end)
        end += taken
        if has_halves and unit in _BASES and (half := and_a_half_at(raw, end)):
            value, end = value + _HALF, end + half
        if named == "year":  # "60 years old" is no longer than 60 years
            end += 1 if folded_at(raw, end) == "old" else 2 if key_at(raw, end + 1) == "age" else 0
    if not unit:
        key = plain(value) if _is_whole(literal) else literal
        return as_one(raw, start, end - start, key)
    if not is_doubtful(literal):
        return as_one(raw, start, end - start, plain(value * size), unit, written)
    if unit in CURRENCIES.values():  # a price has two decimals, so these three are a group
        return as_one(raw, start, end - start, plain(1000 * value * size), unit, plain(1000 * value))
    return as_one(raw, start, end - start, f"{plain(value * size)}?", unit, literal)


def _sure_number_at(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    found = number_at(text, raw, at)
    return None if found is None or is_doubtful(found[2]) else found


def _unit_at(raw: Sequence[Word], at: int) -> tuple[str, Decimal, int]:
    """The unit that a number before this place is of: under which name it is kept, how many of that, in how many words.

    No name and no words: none is written there.
    """
    word, following = key_at(raw, at), folded_at(raw, at + 1)
    one = Decimal(1)
    if word in CURRENCIES:
        return CURRENCIES[word], one / 100 if word in HUNDREDTHS else one, 1
    if word in PERCENT:
        return PERCENT[word], one, 1
    if word == "per" and following == "cent":
        return "%", one, 2
    if word == "°":
        return f"°{following[:1]}", one, min(2, len(raw) - at)
    if word == "degree":
        scale = following if following in ("celsius", "fahrenheit", "c", "f") else ""
        return f"°{scale[:1]}", one, 1 + bool(scale)
    if word in ("working", "business", "calendar") and key_at(raw, at + 1) in ("day", "hour"):
        kept, size = MEASURES[key_at(raw, at + 1)]
        return (kept, Decimal(size), 2) if word == "calendar" else (f"working {key_at(raw, at + 1)}", one, 2)
    measure, taken = measure_at(raw, at)
    return ("", one, 0) if measure is None else (measure[0], Decimal(measure[1]), taken)


def _is_whole(literal: str) -> bool:
    return not literal or bool(INTEGER.fullmatch(literal) or GROUPED.fullmatch(literal))


def _phone(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    count = 0
    while re.fullmatch(r"[+]?[\d-]+", folded_at(raw, at + count)) and (
        count == 0 or is_touching(text, raw, at + count)
    ):
        count += 1
    if count < 2:
        return None
    return as_one(raw, at, count, " ".join(word.text for word in raw[at : at + count]))
