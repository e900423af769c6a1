"""Dates and times of day, as written in letters and contracts."""

import re
from collections.abc import Sequence

from server.grounding.numbers import GLUED, INTEGER, ORDINAL, ORDINALS, number_at
from server.grounding.raw_words import Merged, as_one, folded_at, is_touching, key_at
from server.grounding.units import MEASURES
from server.grounding.words import Word, listed

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

_OCLOCK = frozenset({"oclock", "o'clock", "o’clock", "hrs"})
_CLOCK = re.compile(r"([01]?\d|2[0-4])[:.]([0-5]\d)")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


def date_at(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    """A date, with or without its year or its day."""
    word = raw[at].text
    if found := _ISO.fullmatch(word):
        return as_one(raw, at, 1, _day(*map(int, found.groups())))
    if found := _DOTTED.fullmatch(word):
        written = [int(group) for group in found.groups()]
        return as_one(raw, at, 1, _day(*reversed(written))) if written[1] <= 12 else None
    day_at, count = _day_number(raw, at), 1
    if day_at is not None:  # 3 May 2024, 3rd of May, first of May
        step = 2 if folded_at(raw, at + 1) == "of" else 1
        month_at = _month(raw, at + step)
        if month_at and is_touching(text, raw, at + step):
            year = _year(text, raw, at + step + 1)
            count = step + 1 + (year is not None)
            return as_one(raw, at, count, _day(year, month_at, day_at))
        return None
    month_at = _month(raw, at)
    if month_at is None:
        return None
    day_at = _day_number(raw, at + 1) if is_touching(text, raw, at + 1) else None
    if day_at is not None and not (key_at(raw, at + 2) in MEASURES and is_touching(text, raw, at + 2)):
        year = _year(text, raw, at + 2, comma=True)
        return as_one(raw, at, 2 + (year is not None), _day(year, month_at, day_at))
    year = _year(text, raw, at + 1)
    return as_one(raw, at, 2, _day(year, month_at, None)) if year is not None else None


def _day(year: int | None, month: int, day: int | None) -> str:
    return f"date {year or '?'}-{month}-{day or '?'}"


def _day_number(raw: Sequence[Word], at: int) -> int | None:
    word = folded_at(raw, at)
    found = ORDINAL.fullmatch(word)
    number = int(found.group(1)) if found else ORDINALS.get(word, int(word) if INTEGER.fullmatch(word) else 0)
    return number if 1 <= number <= 31 else None


def _month(raw: Sequence[Word], at: int) -> int | None:
    word = folded_at(raw, at)
    if at >= len(raw) or not raw[at].text[0].isupper():
        return None
    return _MONTHS.get(word)


def _year(text: str, raw: Sequence[Word], at: int, *, comma: bool = False) -> int | None:
    if at >= len(raw) or not re.fullmatch(r"[12]\d{3}", raw[at].text):
        return None
    between = text[raw[at - 1].end : raw[at].start].strip()
    return int(raw[at].text) if between in ("", "." if not comma else ",", ",") else None


def clock_at(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    """A time of day, by 24 hours."""
    word, following = folded_at(raw, at), folded_at(raw, at + 1).replace(".", "")
    if word in ("noon", "midnight"):
        return as_one(raw, at, 1, "time 12:00" if word == "noon" else "time 0:00")
    if spoken := _spoken_clock_at(text, raw, at):
        return spoken
    glued = GLUED.fullmatch(word)
    half = glued.group(2) if glued and glued.group(2) in ("am", "pm") else following
    digits = glued.group(1) if glued and glued.group(2) in ("am", "pm") else word
    is_half = half in ("am", "pm")
    found = _CLOCK.fullmatch(digits)
    if found is None and is_half and INTEGER.fullmatch(digits) and int(digits) <= 12:
        hour, minute = int(digits), 0
    elif found is not None and (":" in digits or is_half):
        hour, minute = int(found.group(1)), int(found.group(2))
    else:
        return None
    count = 1 + ((half == following and is_half) or (following in _OCLOCK))
    if is_half:
        hour = hour % 12 + 12 * (half == "pm")
    else:
        hour, taken = _by_part_of_day(raw, at + count, hour)
        count += taken
    return as_one(raw, at, count, f"time {hour % 24}:{minute:02}")


def _spoken_clock_at(text: str, raw: Sequence[Word], at: int) -> Merged | None:
    """ "A quarter to eight", "half past nine", "seven in the evening", "eight o'clock"."""
    start, minutes = at, 0
    step = 1 if folded_at(raw, at) in ("a", "an") else 0
    side = folded_at(raw, at + step + 1)
    part = {"quarter": 15, "half": 30}.get(folded_at(raw, at + step), 0)
    if part and (side == "past" or (side == "to" and part == 15)):
        minutes, at = part if side == "past" else -part, at + step + 2
    found = number_at(text, raw, at)
    if found is None or found[0] not in range(1, 13) or not (found[2] == "" or INTEGER.fullmatch(found[2])):
        return None
    hour, end = int(found[0]), at + found[1]
    is_named = folded_at(raw, end) in _OCLOCK
    end += is_named
    half = folded_at(raw, end).replace(".", "")
    if half in ("am", "pm"):
        hour, taken = hour % 12 + 12 * (half == "pm"), 1
    else:
        hour, taken = _by_part_of_day(raw, end, hour)
    if not (minutes or is_named or taken):
        return None
    total = (60 * hour + minutes) % (24 * 60)
    return as_one(raw, start, end + taken - start, f"time {total // 60}:{total % 60:02}")


def _by_part_of_day(raw: Sequence[Word], at: int, hour: int) -> tuple[int, int]:
    """The hour by 24 hours, and how many words say which half of the day it is in."""
    said = " ".join(folded_at(raw, at + step) for step in range(3))
    if said == "in the morning":
        return hour % 12, 3
    if said in ("in the afternoon", "in the evening") and hour <= 12:
        return hour % 12 + 12, 3
    return (hour % 12 + 12 * (5 < hour < 12), 2) if said.startswith("at night") and hour <= 12 else (hour, 0)
