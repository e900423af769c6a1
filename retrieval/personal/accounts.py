"""Numbers of accounts and payment cards, told by their check digits."""

import re
from collections.abc import Iterator

from retrieval.personal.spelling import digits_of

Span = tuple[int, int]

# Characters of an IBAN by country: ISO 13616, SWIFT's IBAN Registry, release 99.
_IBAN_LENGTHS = {
    name: length
    for length, names in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for name in names.split()
}
_IBAN_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ -]?[0-9]{2}(?=[ .\-\n]?[A-Za-z0-9])")
_GAP = re.compile(r" ?\n|[ .\-]{0,2}")

_CARD_RUN = re.compile(r"(?<![\w.+-])[0-9]+(?:[ -][0-9]+)*(?!\w)")
_GROUP = re.compile(r"[0-9]+")
# Of ISO/IEC 7812: (prefixes, lengths). Prefixes are the networks' own, as they publish them.
_NETWORKS = (
    (re.compile(r"4"), (13, 16, 19)),  # Visa
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"36|38|39|30[0-5]"), (14,)),  # Diners Club
    (re.compile(r"6011|65|64[4-9]"), (16, 19)),  # Discover
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),  # JCB
    (re.compile(r"62"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(r"50[0-9]|5[678]|6[37]"), (12, 16, 18, 19)),  # Maestro
)
# As cards are printed; a number that is grouped otherwise is something else.
_GROUPINGS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 4, 2), (6, 13), (4, 4, 4, 1)}
_FIRST_GROUPS = frozenset({4, 6, *range(12, 20)})


def ibans(text: str) -> Iterator[Span]:
    """International account numbers, in whatever groups, over a line's end too."""
    for head in _IBAN_HEAD.finditer(text):
        if length := _IBAN_LENGTHS.get(head[0][:2].upper()):
            end = _walked(text, head.start(), length)
            if end and _is_iban(re.sub(r"[ .\-\n]", "", text[head.start() : end])):
                yield head.start(), end


def _walked(text: str, start: int, count: int) -> int | None:
    """Where the `count`-th letter or digit from `start` on ends, if a boundary is there."""
    at = start
    for number in range(count):
        if number:
            gap = _GAP.match(text, at)
            at = gap.end() if gap else at
        if at >= len(text) or not (text[at].isascii() and text[at].isalnum()):
            return None
        at += 1
    return None if at < len(text) and text[at].isalnum() else at


def _is_iban(number: str) -> bool:
    """ISO 7064, modulo 97-10."""
    turned = number[4:] + number[:4]
    value = int("".join(str(int(character, 36)) for character in turned))
    return value % 97 == 1


def cards(text: str) -> Iterator[Span]:
    """Numbers of payment cards, in one piece or in the groups that are printed on them."""
    for run in _CARD_RUN.finditer(text):
        groups = [(group.start(), group.end()) for group in _GROUP.finditer(text, run.start(), run.end())]
        at = 0
        while at < len(groups):
            size = groups[at][1] - groups[at][0]
            taken = _card_from(text, groups, at) if size in _FIRST_GROUPS else 0
            if taken:
                yield groups[at][0], groups[at + taken - 1][1]
            at += taken or 1


def _card_from(text: str, groups: list[Span], first: int) -> int:
    """How many groups from `first` on are a card's number; 0: none are."""
    for count in (1, 5, 4, 3, 2):
        some = groups[first : first + count]
        if len(some) < count:
            continue
        sizes = tuple(end - start for start, end in some)
        if (count == 1 or sizes in _GROUPINGS) and _is_card(digits_of(text[some[0][0] : some[-1][1]])):
            return count
    return 0


def _is_card(number: str) -> bool:
    is_issued = any(prefix.match(number) and len(number) in lengths for prefix, lengths in _NETWORKS)
    return is_issued and len(set(number)) > 1 and is_luhn(number)


def is_luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(number))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0
