"""What is found in texts, kind by kind, and what is left alone. Values are examples of the standards that name them."""

import pytest

from retrieval.personal.find import Kind, find
from tests.eval.personal_data import HALVES, Half, load, score


def found(text: str) -> list[tuple[Kind, str]]:
    return [(finding.kind, text[finding.start : finding.end]) for finding in find(text)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("iban", "DE89370400440532013000"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "ch93 0076 2011 6238 5295 7"),
        ("iban", "FR14 2004 1010 0505 0001 3M02 606"),
        ("iban", "DE89 3704 0044\n0532 0130 00"),
        ("iban", "NL91\u00a0ABNA\u00a00417\u00a01643\u00a000"),
        ("card", "4111 1111 1111 1111"),
        ("card", "5555-5555-5555-4444"),
        ("card", "378282246310005"),
        ("card", "3782 822463 10005"),
        ("email", "jane.doe+bank@mail.example.co.uk"),
        ("email", "jörg@müller.example"),
        ("phone", "+49 (0)30 23125 123"),
        ("phone", "+442079460123"),
        ("phone", "(201) 555-0123"),
        ("phone", "0121 234 5678"),
        ("phone", "01.23.45.67.89"),
        ("national_id", "86 095 742 719"),  # DE, Steuer-IdNr
        ("national_id", "15 070649 C 103"),  # DE, Rentenversicherung
        ("national_id", "1237 010180"),  # AT
        ("national_id", "756.9217.0769.85"),  # CH
        ("national_id", "2 55 08 14 168 025 38"),  # FR
        ("national_id", "RSSMRA85T10A562S"),  # IT
        ("national_id", "12345678Z"),  # ES, DNI
        ("national_id", "X-1234567-L"),  # ES, NIE
        ("national_id", "AB 12 34 56 C"),  # GB, National Insurance
        ("national_id", "219-09-9999"),  # US
    ],
)
def test_a_value_is_found_whole_wherever_it_stands(kind: Kind, value: str) -> None:
    for text in (value, f"({value})", f"Before {value}, after.", f"one\n\n{value}\n\ntwo", f"a;{value};b"):
        assert found(text) == [(kind, value)], text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "030 23125100"),
        ("phone", "0049 30 23125100"),
        ("phone", "+49 30 23125100"),
        ("phone", "(201) 555-0123"),
        ("national_id", "86 095 742 719"),
        ("national_id", "12345678Z"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("card", "4111 1111 1111 1111"),
        ("email", "anna@example.org"),
    ],
)
@pytest.mark.parametrize("between", [", ", ",", "; ", ";", "\t", " | ", ": "])
def test_in_a_row_each_value_is_found(kind: Kind, value: str, between: str) -> None:
    assert found(between.join(["Anna", *[value] * 12, "Berlin"])) == [(kind, value)] * 12
    assert found(f"Anna{between}{value}{between}10115 Berlin") == [(kind, value)]


def test_what_follows_a_number_is_listed_with_it_and_needs_no_word_of_its_own() -> None:
    assert found("Tel. 23125100, 23125101 or 23125102") == [("phone", f"2312510{last}") for last in "012"]
    assert found("Room 23125100, 23125101") == []


@pytest.mark.parametrize(
    "unseen",
    ["\ufe0f", "\ufe0e", "\ufe0f\u20e3", "\u200b", "\u200d", "\u2060", "\u034f", "\u180b", "\U000e0101", "\u3164"],
)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("card", "4111111111111111"),
        ("national_id", "86 095 742 719"),
        ("email", "anna@example.org"),
        ("phone", "+49 30 23125 123"),
    ],
)
def test_what_nobody_sees_hides_nothing(kind: Kind, value: str, unseen: str) -> None:
    for sown in (value[:4] + unseen + value[4:], "".join(character + unseen for character in value)):
        assert found(f"a \u26a0{unseen}{sown} z {sown}") == [(kind, sown)] * 2


@pytest.mark.parametrize(
    "address",
    [
        "anna@example\u3002org",
        "anna@example\uff0eorg",
        "anna@example\uff61org",
        "anna\uff20mail\u3002example.org",
        "anna@\u4f8b\u5b50\u3002\u4e2d\u56fd",
        "ａｎｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ",
    ],
)
def test_an_address_has_its_dots_in_whatever_script(address: str) -> None:
    assert found(f"Write to {address}, please.") == [("email", address)]


def test_an_ideographic_full_stop_that_ends_a_sentence_is_no_dot_of_an_address() -> None:
    assert found("请写信给 anna@example.org。谢谢大家") == [("email", "anna@example.org")]
    assert found("请联系@小王。谢谢大家") == []


@pytest.mark.parametrize(
    ("cue", "value"),
    [("BSN", "111222333"), ("NHS number", "943 476 5919"), ("NINO", "AB123456C"), ("SSN", "219099999")],
)
def test_a_number_that_many_others_look_like_needs_its_name_before_it(cue: str, value: str) -> None:
    assert found(f"{cue}: {value}") == [("national_id", value)]
    assert found(f"Locker {value}") == []
    assert found(f"{cue} is asked for below.\n\n{value}") == []


@pytest.mark.parametrize(
    "value",
    [
        "DE89370400440532013001",
        "4111 1111 1111 1112",
        "86 095 742 718",
        "1238 010180",
        "756.9217.0769.84",
        "2 55 08 14 168 025 39",
        "RSSMRA85T10A562T",
        "12345678A",
        "X-1234567-M",
        "BG 12 34 56 C",
        "666-09-9999",
        "219-00-9999",
    ],
)
def test_a_wrong_check_digit_or_a_number_that_nobody_has_is_left_alone(value: str) -> None:
    assert found(f"It is {value}.") == []


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-3-16-148410-0",
        "Version 1.2.3.4, build 20261128.4",
        "from 01.02.2026 to 2026-12-31",
        "1.250.000,00 EUR or $ 12,345,678.90",
        "+1 201 555 0123,50 and 86095742719,5",
        "3,86095742719",
        "icon@2x.png",
        "hrm-text-mini@handbook",
        "550e8400-e29b-41d4-a716-446655440000",
        "192.168.10.254:8443",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_what_follows_a_phone_number_is_no_part_of_it() -> None:
    assert found("Call +44 20 7946 0123 24 hours a day.") == [("phone", "+44 20 7946 0123")]


def test_of_two_readings_the_better_checked_one_counts() -> None:
    assert found("Tel. 4111111111111111") == [("card", "4111111111111111")]


@pytest.mark.parametrize("half", HALVES)
def test_labelled_lines_are_read_as_they_are_marked(half: Half) -> None:
    total = score(load(half), find)

    assert total.precision("all") >= 0.95, total.notes
    assert total.recall("all") >= 0.95, total.notes


def test_the_labelled_lines_are_many_and_in_one_half_each() -> None:
    tune, report = load("tune"), load("report")

    assert sum(len(line.marks) for line in (*tune, *report)) >= 150
    assert sum(not line.marks for line in (*tune, *report)) >= 150
    assert {line.text for line in tune}.isdisjoint(line.text for line in report)
