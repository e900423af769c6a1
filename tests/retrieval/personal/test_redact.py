"""Redaction: what was found is gone, everything else is where it was, and offsets can be followed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.personal.find import find
from retrieval.personal.placeholders import PLACEHOLDERS
from retrieval.personal.redact import redact
from tests.effort import effort
from tests.eval.personal_data import load

_VALUES = [line.text[slice(*place)] for line in load("tune") for place in line.marks]
_WORDS = [
    "and",
    "Tel.",
    "IBAN",
    "BSN",
    "order",
    "call",
    "12",
    "0",
    "4111",
    "30",
    "[PHONE]",
    "DE89",
    "€",
    "ü",
    "\u00a0",
    "\ufe0f",
]
_GLUE = ["", " ", "\n", "\n\n", ", ", "-", "/", "+", "@", ".", "00", "\ufe0f", "\u200b", "\u3002"]
# Values among words and other values, glued together in ways that documents have and in ways that they have not.
texts = st.lists(st.sampled_from(_VALUES + _WORDS) | st.text(max_size=3), max_size=8).flatmap(
    lambda parts: st.lists(st.sampled_from(_GLUE), min_size=len(parts), max_size=len(parts)).map(
        lambda glue: "".join(piece for pair in zip(parts, glue, strict=True) for piece in pair)
    )
)


def test_each_kind_has_its_name_put_in_its_place() -> None:
    redacted = redact("Jane (jane@mail.example, Tel. 030 23125 123) pays from DE89 3704 0044 0532 0130 00.")

    assert redacted.text == "Jane ([E-MAIL], Tel. [PHONE]) pays from [IBAN]."
    assert redacted.counts == {"email": 1, "phone": 1, "iban": 1}


def test_what_nobody_sees_goes_with_what_it_stands_in_and_stays_elsewhere() -> None:
    card = "".join(f"{digit}\ufe0f\u20e3" for digit in "4111111111111111")

    redacted = redact(f"\u2764\ufe0f {card}\u200b, \u2764\ufe0f")

    assert redacted.text == "\u2764\ufe0f [CARD], \u2764\ufe0f"
    assert redacted.moved(3) == 3
    assert redacted.text[redacted.moved(3 + len(card) + 1) :] == ", \u2764\ufe0f"


@given(texts)
def test_nothing_that_would_be_found_is_left_and_doing_it_again_changes_nothing(text: str) -> None:
    redacted = redact(text)

    assert find(redacted.text) == []
    assert redact(redacted.text).text == redacted.text


@given(texts)
def test_nothing_else_changes(text: str) -> None:
    redacted = redact(text)

    # Whatever stands between two placeholders is a piece of the text, in the text's order.
    pieces = re.split("|".join(map(re.escape, PLACEHOLDERS.values())), redacted.text)
    at = 0
    for piece in pieces:
        at = text.find(piece, at)
        assert at >= 0
        at += len(piece)
    if not find(text):
        assert redacted.text == text


@given(texts)
def test_each_character_that_stays_is_found_at_the_place_that_it_moved_to(text: str) -> None:
    redacted = redact(text)

    moved = [redacted.moved(at) for at in range(len(text) + 1)]

    assert moved == sorted(moved)
    assert moved[0] == 0
    assert moved[-1] == len(redacted.text)
    # Itself, or the beginning of what stands in its place.
    assert all(redacted.text[moved[at]] in (text[at], "[") for at in range(len(text)))


@given(texts, texts)
def test_a_paragraph_is_read_by_itself(first: str, second: str) -> None:
    both = f"{first}\n\n{second}"

    behind = [(finding.start, finding.end) for finding in find(both) if finding.start >= len(first) + 2]

    assert behind == [(f.start + len(first) + 2, f.end + len(first) + 2) for f in find(second)]


@pytest.mark.parametrize(
    "unit",
    [
        "1", "1 ", "@", "a@", "a.b@", "DE89", "+1 ", "0 1-", "a.", "tel ", "(", "12; 13.5; ", "1\ufe0f", "a@b\u3002",
        "030 23125100, ", "030 23125100,", "Tel. 23125100 ", "23125100 ", "12345678Z-", "86 095 742 719/", "[PHONE] 1 ",
        "030 23125100/", "a@b.example-", "4111111111111111-",
    ],
)  # fmt: skip
def test_time_grows_with_the_length_alone(unit: str) -> None:
    text = unit * 32_000

    # 16 times the text; a quadratic reading would take 256 times as long.
    assert effort(lambda: redact(text[:32_000])) < 80 * effort(lambda: redact(text[:2_000])) + 0.05


def test_nor_does_a_row_take_longer_where_each_number_comes_to_light_behind_a_long_address() -> None:
    address = f"a@{'.'.join(['x' * 58] * 6)}.de"

    def read(count: int) -> None:
        assert len(find(f"Tel. 030 2312500 {f'{address} 2312501 ' * count}")) == 2 * count + 1

    # 4 times the text; a quadratic reading would take 16 times as long.
    assert effort(lambda: read(160)) < 9 * effort(lambda: read(40))
