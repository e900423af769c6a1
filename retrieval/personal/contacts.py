"""E-mail addresses and phone numbers. Google's numbering plans (phonenumbers) say which phone numbers can exist."""

import re
from collections.abc import Callable, Container, Iterator
from functools import partial

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

from retrieval.personal.accounts import Span
from retrieval.personal.placeholders import PHONE
from retrieval.personal.spelling import NO_AMOUNT, digits_of, goes_on, said_before

# Whose national spellings are understood; numbers that begin with + are, from anywhere.
REGIONS = ("DE", "AT", "CH", "FR", "IT", "ES", "NL", "GB", "US", "BE", "IE")

_LOCAL_CHARACTERS = frozenset("_.+&%~'’-")
_MAX_LOCAL = 64  # RFC 5321
# IDNA (UTS 46) takes the full stop of Chinese and Japanese for a dot, and there it ends sentences too: it counts before
# what no Chinese sentence begins with, and before the top-level domains of IANA that are so written.
_IDEOGRAPHIC_DOT = r"\u3002(?=[A-Za-z0-9]|(?:中国|中國|香港|台湾|台灣|澳門|新加坡|한국)(?![\w@-]))"
_DOMAIN = re.compile(rf"(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?(?:\.|{_IDEOGRAPHIC_DOT})){{1,8}}([^\W\d_]{{2,24}})(?![\w@-])")
# `icon@2x.png` and its like.
_NOT_TOP_LEVEL = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "json", "html", "txt", "pdf")
)

_LISTED_WITHIN = 32
_CALLED = re.compile(
    rf"(?i)(?:{PHONE}|\b(?:tel|telefon\w*|telephone|phone|fax|telefax|mobil\w*|handy\w*|cell|cellphone|call|text|ring|sms"
    r"|anruf\w*|rufnummer|durchwahl|t[ée]l[ée]phone|t[ée]l|portable|tel[ée]fono|m[óo]vil|cellulare|telefoon\w*|gsm"
    r"|whatsapp|natel|mob|reach\w*|erreich\w*|rückruf|bel|appelez|llam\w+|chiam\w+)\b|☎|☏)"
    rf"[^\n0-9+]{{0,{_LISTED_WITHIN}}}$"
)
_CUE_REACH = 56
_JOINTS = ".,/:-"
_EDGE = r"(?<![\w+])"
_END = r"(?![\w%€$£]|[./:][0-9]|-\w|,-|[ ]?(?:€|EUR|CHF|USD|GBP))"
# A blank, a stroke, a dot, a dash or a bracket between two digits, or two of these.
_GAP = r"[ ()/.\-]{0,3}"
_ABROAD = re.compile(rf"(?<![\w+])\+[ ]?[1-9](?:{_GAP}[0-9]){{6,14}}{NO_AMOUNT}{_END}")
_ABROAD_00 = re.compile(rf"{_EDGE}00[ ]?[1-9](?:{_GAP}[0-9]){{7,13}}{_END}")
_ANY = rf"(?:{_GAP}[0-9]){{6,13}}{_END}"
# No amount begins with a nought and another digit.
_AT_HOME = re.compile(rf"{_EDGE}\(?(?:[0-9]{_ANY}{NO_AMOUNT}|0(?=[0-9]){_ANY})")
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)[0-9]{2}"
# Dates, rows of years, and amounts in groups of three.
_NO_NUMBER = re.compile(
    rf"\(?(?:{_DAY}[./ -]{_MONTH}[./ -]{_YEAR}\b|{_YEAR}[./ -]{_MONTH}[./ -]{_DAY}\b|{_YEAR}(?:[ /-]{_YEAR})+$"
    r"|[1-9][0-9]?(?: [0-9]{3})+$)"
)
_MOST_GROUPS_BEHIND = 2
_DIGITS = re.compile(r"[0-9]+")


def emails(text: str) -> Iterator[Span]:
    """Addresses that mail could be sent to."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain and domain[1].lower() not in _NOT_TOP_LEVEL:
            name = _local_part(text, at).lstrip(".'’-&%~")
            if name and not name.endswith("."):
                yield at - len(name), domain.end()
        at = text.find("@", at + 1)


def _local_part(text: str, end: int) -> str:
    start = end
    while start and end - start < _MAX_LOCAL and (text[start - 1].isalnum() or text[start - 1] in _LOCAL_CHARACTERS):
        start -= 1
    return text[start:end]


def phones(text: str) -> Iterator[Span]:
    """Phone numbers: from anywhere with a + before them, else of `REGIONS`, announced or spelled as is usual there."""
    ends: set[int] = set()
    for shape in (_ABROAD, _ABROAD_00, _AT_HOME):
        at = 0
        while (found := shape.search(text, at)) is not None:
            start = found.start()
            if _goes_on(text, start, ends):
                at = start + 1
                continue
            number = _number_in(shape, found[0], partial(_is_announced, text, start, ends))
            if number is None:
                at = start + 1 if _goes_on(text, start, ()) else found.end()
            else:
                at = start + len(number)
                ends.add(at)
                # A bracket that is not closed in the number was opened by the sentence.
                yield start + (number.startswith("(") and ")" not in number), at


def _goes_on(text: str, start: int, ends: Container[int]) -> bool:
    if text[start] == "+":
        return False
    is_behind_blank = start > 0 and text[start - 1] == " "
    return goes_on(text, start, _JOINTS, ends) or (is_behind_blank and goes_on(text, start - 1, _JOINTS, ends))


def _is_announced(text: str, start: int, ends: Container[int]) -> bool:
    """By a word, or by a number before it: "Tel. 2312500 or 2312501"."""
    if said_before(text, start, _CALLED, _CUE_REACH):
        return True
    at = start
    while at and start - at < _LISTED_WITHIN and text[at - 1] not in "\n+0123456789":
        at -= 1
    return at in ends


def _number_in(shape: re.Pattern[str], found: str, is_announced: Callable[[], bool]) -> str | None:
    if shape is _ABROAD:
        return _longest(found, _is_possible)
    if shape is _ABROAD_00:
        is_meant = " " in found or is_announced()
        return _longest(found, lambda number: _is_possible("+" + digits_of(number)[2:])) if is_meant else None
    return None if _NO_NUMBER.match(found) else _longest(found, partial(_is_at_home, is_announced=is_announced()))


def _longest(number: str, is_number: Callable[[str], bool]) -> str | None:
    """The number without the groups behind it that are something else: a time, a house number."""
    for _ in range(_MOST_GROUPS_BEHIND + 1):
        if is_number(number):
            return number
        number = re.sub(r" +[0-9]+$", "", number)
    return None


def _is_possible(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except NumberParseException:
        return False


def _is_at_home(number: str, *, is_announced: bool) -> bool:
    groups = _DIGITS.findall(number)
    if not is_announced and (len(groups) < 2 or not _is_usual_start(number, groups)):
        return False
    return any(
        is_announced or _is_usual(number, groups, valid, region)
        for region in REGIONS
        if (valid := _valid(number, region)) is not None
    )


def _is_usual_start(number: str, groups: list[str]) -> bool:
    """What nobody announced must begin as numbers do: with the 0 of a trunk call, or as in America."""
    if number.count("/") > 1:
        return False
    return groups[0].startswith("0") or [len(group) for group in groups] == [3, 3, 4]


def _valid(number: str, region: str) -> PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number_for_region(parsed, region) else None


def _is_usual(number: str, groups: list[str], valid: PhoneNumber, region: str) -> bool:
    """Whether it is divided where its region divides such numbers: wholly as there, or behind the area code."""
    usual = _DIGITS.findall(phonenumbers.format_number(valid, PhoneNumberFormat.NATIONAL))
    if region == "US":
        return groups == usual and ("(" in number or "-" in number)
    return groups[0].startswith("0") and (groups == usual or (groups[0] == usual[0] and len(groups[0]) > 2))
