"""Numbers in digits and in words, and the shapes in which digits are written."""

import re
from collections.abc import Sequence
from decimal import Decimal

from server.grounding.raw_words import folded_at, is_touching, key_at
from server.grounding.units import MEASURES
from server.grounding.words import Word, listed

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
ORDINALS = {
    name: value
    for value, name in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), start=1
    )
}

# With more digits it is a code: Decimal reckons exactly in 28, of which a unit takes its share.
_MOST_DIGITS = 18
_SIGNS = "+-−–"
INTEGER = re.compile(rf"\d{{1,{_MOST_DIGITS}}}")
_PLAIN = re.compile(r"[+\-−–]?\d+(?:[.,:]\d+)*")
_CODE = re.compile(r"0\d{2,}")  # no count is written so: 0815 is not 815
GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
CONTINENTAL = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")
_COMMA_DECIMAL = re.compile(r"\d+,\d{1,2}")
ORDINAL = re.compile(rf"({INTEGER.pattern})(?:st|nd|rd|th)")
GLUED = re.compile(r"(\d+(?:[.,]\d+)*)(mg|kg|g|km|cm|mm|m|m²|ml|cl|dl|l|kwh|kb|mb|gb|am|pm|k)", re.IGNORECASE)
_MOST_IN_WORDS = 10**9  # what is multiplied further than this by "hundred hundred hundred" is no number
# What a key or a count says of a number. Decimal takes more than that for one: "nan2", "1e999", "1_000".
_KEPT = re.compile(r"[+-]?\d+(?:\.\d+)?")
# Behind these, "a week" is a length of time; elsewhere it is how often, or "a week ago".
_BEFORE_ONE = frozenset(listed("within for after least most than lasts takes over under"))


def and_a_half_at(raw: Sequence[Word], at: int) -> int:
    """How many words say "and a half" here: three, or none."""
    return 3 if [folded_at(raw, at + step) for step in range(3)] == ["and", "a", "half"] else 0


def number_at(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    """Value, words taken, and the digits as written (empty for words)."""
    word = folded_at(raw, at)
    if glued := GLUED.fullmatch(word):
        if glued.group(2) in ("am", "pm"):
            return None
        value = _decimal(glued.group(1))
        return None if value is None else (value * (1000 if glued.group(2) == "k" else 1), 1, "")
    if word == "half" and folded_at(raw, at + 1) in ("a", "an") and key_at(raw, at + 2) in MEASURES:
        return Decimal("0.5"), 2, ""
    if word in ("a", "an") and key_at(raw, at + 1) in MEASURES:
        is_length = MEASURES[key_at(raw, at + 1)][0] in ("s", "month") and at and folded_at(raw, at - 1) in _BEFORE_ONE
        return (Decimal(1), 1, "") if is_length or and_a_half_at(raw, at + 2) else None
    if _PLAIN.fullmatch(word):
        return _digits(text, raw, at)
    return _in_words(text, raw, at)


def _digits(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    literal, count = raw[at].text, 1
    if _CODE.fullmatch(literal):
        return None
    is_group = re.fullmatch(r"\d{1,3}", literal) is not None
    while is_group and re.fullmatch(r"\d{3}", folded_at(raw, at + count)) and is_touching(text, raw, at + count):
        literal, count = literal + raw[at + count].text, count + 1
    if re.fullmatch(r"[+]?\d+", folded_at(raw, at + count)) and is_touching(text, raw, at + count):
        return None  # more digits than a number has: a telephone number
    value = _decimal(literal)
    if value is None:
        return None
    if (scale := _SCALES.get(key_at(raw, at + count))) and is_touching(text, raw, at + count):
        return value * scale, count + 1, ""
    return value, count, literal


def _decimal(literal: str) -> Decimal | None:
    sign = -1 if literal[0] in "-−–" else 1
    digits = literal.lstrip(_SIGNS)
    if GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    elif _COMMA_DECIMAL.fullmatch(digits):
        digits = digits.replace(",", ".")
    elif CONTINENTAL.fullmatch(digits) and "," in digits:
        digits = digits.replace(".", "").replace(",", ".")
    is_number = re.fullmatch(r"\d+(?:\.\d+)?", digits) and len(digits) <= _MOST_DIGITS
    return sign * Decimal(digits) if is_number else None


def _in_words(text: str, raw: Sequence[Word], at: int) -> tuple[Decimal, int, str] | None:
    total, current, count = Decimal(0), Decimal(0), 0
    while at + count < len(raw) and (count == 0 or is_touching(text, raw, at + count)):
        word = folded_at(raw, at + count)
        parts = word.split("-")
        if all(part in _CARDINALS for part in parts):
            current += sum(_CARDINALS[part] for part in parts)
        elif word in _SCALES and count and current < _MOST_IN_WORDS:
            current = max(current, Decimal(1)) * _SCALES[word]
            if _SCALES[word] >= 1000:
                total, current = total + current, Decimal(0)
        elif word == "and" and count and folded_at(raw, at + count - 1) == "hundred":
            if folded_at(raw, at + count + 1) not in _CARDINALS:
                break
        else:
            break
        count += 1
    return (total + current, count, "") if count else None


def is_doubtful(literal: str) -> bool:
    """Could it be either of two numbers? 1.200 is a thousand times as much where a point groups digits."""
    return "," not in literal and bool(CONTINENTAL.fullmatch(literal.lstrip(_SIGNS)))


def ordinal_at(raw: Sequence[Word], at: int) -> int | None:
    """Which place in an order a word names, if it counts."""
    word = folded_at(raw, at)
    if found := ORDINAL.fullmatch(word):
        return int(found.group(1))
    # "first", "second" and "third" order things more often than they count them, and stay words.
    return ORDINALS[word] if ORDINALS.get(word, 0) > 3 else None


def kept(text: str) -> Decimal | None:
    """The number that is kept as `text`, as `plain` and whoever writes digits spell it; None: it is none."""
    return Decimal(text) if _KEPT.fullmatch(text) else None


def plain(value: Decimal) -> str:
    """The shortest way to write a number without an exponent."""
    shown = f"{value.normalize():f}"
    return "0" if shown == "-0" else shown
