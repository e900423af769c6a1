"""retrieval.formats.pdf: the text that a reader of the page sees, with its pages, and nothing else."""

from pathlib import Path

import pytest

from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.parse import parse
from retrieval.parsed import Parsed
from tests.retrieval.papers import invisible, lines, pdf, picture, together


def read(data: bytes, limits: Limits | None = None) -> Parsed:
    return parse(Path("report.pdf"), data, limits)


def refusal(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(DocumentRefused) as refused:
        read(data, limits)
    return refused.value.reason


def test_each_page_has_its_place() -> None:
    parsed = read(pdf(lines("Fees are due in March."), lines("Keys cost 35 euros."), title="Tariff 2026"))

    assert (parsed.title, parsed.text) == ("Tariff 2026", "Fees are due in March.\n\nKeys cost 35 euros.")
    assert [(place.start, place.page) for place in parsed.places] == [(0, 1), (24, 2)]
    assert parsed.locator(24, 30) == "page 2"


def test_the_lines_of_a_paragraph_are_joined_and_paragraphs_kept_apart() -> None:
    parsed = read(
        pdf(
            together(
                lines("The insurer pays for damage that was caused by water from", "pipes inside of the building."),
                lines("It does not pay for damage by rain that came in through an", "open window.", top=720),
            )
        )
    )

    assert parsed.text == (
        "The insurer pays for damage that was caused by water from pipes inside of the building.\n\n"
        "It does not pay for damage by rain that came in through an open window."
    )


def test_a_word_cut_at_the_end_of_its_line_is_put_together() -> None:
    parsed = read(
        pdf(lines("The policy covers the whole house and every piece of furni-", "ture in it, as long as it stands."))
    )

    assert "every piece of furniture in it" in parsed.text


def test_a_sentence_that_goes_on_over_the_page_stays_one() -> None:
    parsed = read(pdf(lines("Damage must be reported within"), lines("fourteen days of its discovery.")))

    assert parsed.text == "Damage must be reported within fourteen days of its discovery."
    assert parsed.locator(0, len(parsed.text)) == "pages 1–2"


def test_what_is_set_larger_is_a_heading() -> None:
    body = lines("Annual leave is 27 days.", "Trainees have 30 days of it.", top=720)
    parsed = read(pdf(together(lines("Leave", size=20), body)))

    (heading,) = parsed.headings
    assert (parsed.text[heading.start : heading.end], heading.level) == ("Leave", 1)
    assert parsed.title == "Leave"


def test_items_and_short_rows_keep_their_lines() -> None:
    parsed = read(pdf(lines("Card 20 EUR", "Key 35 EUR", "1. Open the door.", "2. Close it.", "x" * 80)))

    assert parsed.text.startswith("Card 20 EUR\nKey 35 EUR\n1. Open the door.\n\n2. Close it.")


def test_a_scan_without_text_is_refused_with_what_to_do() -> None:
    assert refusal(pdf(picture, picture)) == (
        "there is no text on its 2 pages, which are pictures; run text recognition on it (OCR, as ocrmypdf does) "
        "and hand in the result"
    )


def test_a_pdf_of_invisible_text_alone_is_refused_and_says_so() -> None:
    assert refusal(pdf(invisible("secret words"))) == "all of its text (11 characters) is invisible to its readers"


def test_an_encrypted_pdf_is_refused_with_what_to_do() -> None:
    assert refusal(pdf(lines("Words."), password="s3cret")) == "it is encrypted with a password; save it without one"


def test_a_damaged_pdf_is_refused() -> None:
    assert "it is damaged" in refusal(pdf(lines("Words."))[:40])
    assert "it is damaged" in refusal(b"%PDF-1.7\n" + bytes(range(256)) * 20)


def test_too_many_pages_or_characters_are_refused_with_the_limit() -> None:
    many = pdf(*[lines("Words.")] * 3)

    assert refusal(many, Limits(pages=2)) == "it has 3 pages; at most 2 are read; split it, or raise HRM_PARSE_PAGES"
    assert refusal(many, Limits(characters=10)) == (
        "it holds more than 10 characters; split it, or raise HRM_PARSE_CHARACTERS"
    )
