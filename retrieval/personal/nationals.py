"""National identity, tax and insurance numbers: each a shape, a check, and the word that has to stand before it if
shape and check let too many other numbers pass. Every check names its source.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from retrieval.personal.accounts import Span
from retrieval.personal.placeholders import ANY_HIDDEN
from retrieval.personal.spelling import NO_AMOUNT, goes_on, said_before

_CUE_REACH = 48
# A number that is announced as something else has to be announced as an identity number as well. What was found before
# it took the announcement along.
_OTHERS = re.compile(
    r"(?i)\b(?:part|order|item|article|art|invoice|ticket|batch|lot|serial|ref|reference|case|claim|policy|contract"
    r"|sku|model|bestell\w*|artikel\w*|rechnung\w*|auftrag\w*|vorgang\w*|police\w*|vertrag\w*|commande|facture"
    rf"|pedido|factura|ordine|fattura|bestelling|factuur|isbn|imei|ean|gtin)\b[^\n{ANY_HIDDEN}]{{0,16}}$"
)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of number is written and checked."""

    name: str
    shape: re.Pattern[str]
    is_valid: Callable[[str], bool]  # of its letters (upper case) and digits
    cue: re.Pattern[str] | None = None  # None: the number speaks for itself
    announced: re.Pattern[str] | None = None  # a spelling of it that needs no cue


def national_ids(text: str) -> Iterator[Span]:
    """Numbers by which states know a person."""
    ends: set[int] = set()
    for scheme in SCHEMES:
        at = 0
        while (found := scheme.shape.search(text, at)) is not None:
            if goes_on(text, found.start(), ".,-/", ends):
                at = found.start() + 1
                continue
            at = found.end()
            if scheme.is_valid(re.sub(r"[^0-9A-Za-z]", "", found[0]).upper()) and _is_meant(text, found, scheme):
                ends.add(at)
                yield found.span()


def _is_meant(text: str, found: re.Match[str], scheme: Scheme) -> bool:
    if scheme.cue is not None and said_before(text, found.start(), scheme.cue, _CUE_REACH):
        return True
    if scheme.cue is not None and (scheme.announced is None or not scheme.announced.fullmatch(found[0])):
        return False
    return not said_before(text, found.start(), _OTHERS, _CUE_REACH)


def _shape(inner: str) -> re.Pattern[str]:
    """Not a part of a longer number, word or decimal fraction, as far as what is behind it tells."""
    return re.compile(rf"(?<![\w])(?:{inner})(?![\w]|[.\-/][0-9]){NO_AMOUNT}", re.IGNORECASE)


def _cue(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def _is_date(day: int, month: int, year: int) -> bool:
    """Of some century: years are given by two digits."""
    try:
        date(2000 + year % 100, month, day)
    except ValueError:
        return False
    return True


def _weighted(number: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def _de_tax(number: str) -> bool:
    """Bundeszentralamt für Steuern, check digits of the IdNr: ISO 7064, modulo 11,10; one digit occurs 2 or 3 times."""
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    if number[0] == "0" or counts[-1] not in (2, 3) or counts[-2] > 1:
        return False
    product = 10
    for digit in number[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(number[10])


def _de_pension(number: str) -> bool:
    """Deutsche Rentenversicherung, § 4 VKVV: the letter as two digits, sums of digits, modulo 10."""
    spelled = f"{number[:8]}{ord(number[8]) - 64:02}{number[9:11]}"
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    products = [int(digit) * weight for digit, weight in zip(spelled, weights, strict=True)]
    day = int(number[2:4])
    return _is_date(day - 50 if day > 50 else day, int(number[4:6]), int(number[6:8])) and sum(
        product // 10 + product % 10 for product in products
    ) % 10 == int(number[11])


def _at_insurance(number: str) -> bool:
    """Dachverband der Sozialversicherungsträger: weights, modulo 11, and a date of birth (months to 15 where full)."""
    check = _weighted(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    month = int(number[6:8])
    is_dated = 13 <= month <= 15 or _is_date(int(number[4:6]), month, int(number[8:]))
    return number[0] != "0" and check == int(number[3]) and 1 <= int(number[4:6]) <= 31 and is_dated


def _ch_insurance(number: str) -> bool:
    """Zentrale Ausgleichsstelle, AHVN13: country code 756, check digit of EAN-13."""
    return _weighted(number, (1, 3) * 6) % 10 == -int(number[12]) % 10


def _fr_insurance(number: str) -> bool:
    """INSEE, NIR: key of 97; the departments of Corsica are 2A and 2B."""
    body = number[:13].replace("2A", "19").replace("2B", "18") if number[5:7] in ("2A", "2B") else number[:13]
    month = int(number[3:5])
    return body.isdigit() and (1 <= month <= 12 or 20 <= month <= 42 or month >= 50) and (
        97 - int(body) % 97 == int(number[13:])
    )  # fmt: skip


_IT_ODD = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
        10, 22, 25, 24, 23,
    ), strict=True)
)  # fmt: skip


def _it_tax(number: str) -> bool:
    """Decree of 23 December 1976 (codice fiscale): values by place, modulo 26."""
    values = (
        _IT_ODD[character] if at % 2 == 0 else int(character, 36) - (10 if character.isalpha() else 0)
        for at, character in enumerate(number[:15])
    )
    return sum(values) % 26 == ord(number[15]) - 65


def _es_identity(number: str) -> bool:
    """Real Decreto 1553/2005 (DNI) and Orden INT/2058/2008 (NIE): letter of the number modulo 23."""
    spelled = number[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return int(spelled) > 0 and "TRWAGMYFPDXBNJZSQVHLCKE"[int(spelled) % 23] == number[-1]


def _nl_service(number: str) -> bool:
    """Besluit burgerservicenummer: the test of eleven."""
    return int(number) > 0 and _weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _gb_insurance(number: str) -> bool:
    """HMRC, National Insurance Manual NIM39110: prefixes that are not given out. There is no check digit."""
    return number[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _gb_health(number: str) -> bool:
    """NHS Data Dictionary, NHS number: weights 10 to 2, modulo 11."""
    check = 11 - _weighted(number, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return check != 10 and check % 11 == int(number[9]) and len(set(number)) > 1


def _us_security(number: str) -> bool:
    """Social Security Administration, 20 CFR 422.103: areas, groups and serials that are not given out; and ITINs."""
    area, group, serial = number[:3], int(number[3:5]), number[5:]
    if area[0] == "9":  # IRS, Publication 1915
        return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99
    return area not in ("000", "666") and group > 0 and serial != "0000" and number != "123456789"


_SSN = r"[0-9]{3}([ -]?)[0-9]{2}\1[0-9]{4}"
SCHEMES = (
    Scheme("DE Steuer-IdNr", _shape(r"[0-9]{2}([ ]?)[0-9]{3}\1[0-9]{3}\1[0-9]{3}"), _de_tax),
    Scheme(
        "DE Versicherungsnummer",
        _shape(r"[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}|[0-9]{2} [0-9]{2} ?[0-9]{2} ?[0-9]{2} [A-Z] [0-9]{2} ?[0-9]"),
        _de_pension,
    ),
    Scheme("AT Sozialversicherungsnummer", _shape(r"[0-9]{4}[ /-]?[0-9]{2}[ .]?[0-9]{2}[ .]?[0-9]{2}"), _at_insurance),
    Scheme("CH AHV-Nummer", _shape(r"756([. ]?)[0-9]{4}\1[0-9]{4}\1[0-9]{2}"), _ch_insurance),
    Scheme(
        "FR NIR",
        _shape(r"[1-478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3}[ /-]?(?:[0-9]{2})"),
        _fr_insurance,
    ),
    Scheme(
        "IT codice fiscale",
        _shape(r"[A-Z]{3} ?[A-Z]{3} ?[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2} ?[A-Z][0-9LMNPQRSTUV]{3}[A-Z]"),
        _it_tax,
    ),
    Scheme("ES DNI", _shape(r"(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3})[ -]?[A-HJ-NP-TV-Z]"), _es_identity),
    Scheme("ES NIE", _shape(r"[XYZ][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Z]"), _es_identity),
    Scheme(
        "NL burgerservicenummer",
        _shape(r"[0-9]{9}|[0-9]{4}[. ][0-9]{2}[. ][0-9]{3}|[0-9]{3}([ .])[0-9]{3}\1[0-9]{3}"),
        _nl_service,
        cue=_cue(r"bsn|bsn-nummer|burgerservice\w*|sofi\w*|sofi-nummer"),
    ),
    Scheme(
        "GB National Insurance number",
        _shape(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2}([ -]?)[0-9]{2}\1[0-9]{2}\1[A-D]"),
        _gb_insurance,
        cue=_cue(r"nino|ni|n\.i\.|national insurance"),
        announced=re.compile(r"(?i)[A-Z]{2} ?[0-9]{2} [0-9]{2} [0-9]{2} [A-D]"),
    ),
    Scheme(
        "GB NHS number",
        _shape(r"[0-9]{3}([ -]?)[0-9]{3}\1[0-9]{4}"),
        _gb_health,
        cue=_cue(r"nhs|patient(?:'s)? (?:number|no\.?|id)"),
    ),
    Scheme(
        "US Social Security number",
        _shape(_SSN),
        _us_security,
        cue=_cue(r"ssn|social security|itin|taxpayer|tax ?id|tin"),
        announced=re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}"),
    ),
)
