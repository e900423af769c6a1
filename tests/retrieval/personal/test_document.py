"""A document without its personal data: headings, places and blocks stay where they belong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsed import Heading, Parsed, Place
from retrieval.personal.document import BLOCK, treated
from retrieval.personal.redact import redact
from retrieval.types import PersonalDataPolicy

IBAN = "DE89 3704 0044 0532 0130 00"


def unpaused() -> None:
    """Nothing waits."""


def test_headings_places_title_and_names_of_sheets_follow_the_text() -> None:
    text = f"Fees\n\nTo {IBAN}.\n\nRates of a@mail.example\n\nEnd."
    second = text.index("Rates")
    parsed = Parsed(
        "Fees of a@mail.example",
        text,
        (Heading(0, 4, 1), Heading(second, text.index("\n\nEnd"), 1)),
        (Place(0, 1, "row", 1, "a@mail.example"), Place(second, 2, "row", 1, "two")),
    )

    redacted, counts = treated(parsed, "redact", unpaused)

    assert redacted.text == "Fees\n\nTo [IBAN].\n\nRates of [E-MAIL]\n\nEnd."
    assert redacted.title == "Fees of [E-MAIL]"
    assert [redacted.text[h.start : h.end] for h in redacted.headings] == ["Fees", "Rates of [E-MAIL]"]
    assert [redacted.text[p.start :].split()[0] for p in redacted.places] == ["Fees", "Rates"]
    assert [p.within for p in redacted.places] == ["[E-MAIL]", "two"]
    assert counts == {"iban": 1, "email": 1}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=3, max_size=8))
def test_long_documents_are_treated_as_if_in_one_piece(shape: list[int]) -> None:
    paragraphs = [f"Paragraph {n} {'word ' * (BLOCK // 8)}{IBAN if n % 2 else ''}" for n in shape]
    text = "\n\n".join(paragraphs)
    starts = [text.index(p, at) for at, p in zip(_starts(paragraphs), paragraphs, strict=True)]
    parsed = Parsed("t", text, places=tuple(Place(start, None, "row", n) for n, start in enumerate(starts)))

    redacted, counts = treated(parsed, "redact", unpaused)

    assert redacted.text == redact(text).text
    assert counts == redact(text).counts
    assert treated(parsed, "flag", unpaused) == (parsed, counts)
    assert all(redacted.text.startswith("Paragraph", place.start) for place in redacted.places)


def test_a_long_document_leaves_others_a_turn() -> None:
    turns: list[int] = []

    with pytest.raises(TimeoutError):
        treated(Parsed("t", "word\n\n" * BLOCK), "flag", lambda: turns.append(1) if not turns else _give_up())

    assert turns == [1]


def _give_up() -> None:
    raise TimeoutError


def _starts(paragraphs: list[str]) -> list[int]:
    return [sum(len(p) + 2 for p in paragraphs[:n]) for n in range(len(paragraphs))]


class Enough(Exception):
    """Whoever waits has waited for long enough."""


@pytest.mark.parametrize("policy", ["flag", "redact"])
def test_a_text_without_paragraphs_can_be_given_up_too(policy: PersonalDataPolicy) -> None:
    pauses: list[None] = []

    def pause() -> None:
        pauses.append(None)
        if len(pauses) == 2:
            raise Enough

    with pytest.raises(Enough):
        treated(Parsed("Title", "1 " * 2 * BLOCK), policy, pause)


def test_the_name_of_a_sheet_is_searched_once_however_many_rows_it_has() -> None:
    def searches(rows: int) -> int:
        pauses: list[None] = []
        places = tuple(Place(number, 1, "row", number + 1, "Sheet 1 of a@mail.example") for number in range(rows))
        treated(Parsed("Title", "x" * rows, (), places), "redact", lambda: pauses.append(None))
        return len(pauses)

    assert searches(1000) == searches(1)


@pytest.mark.parametrize("between", [", ", ",", "; ", "\n"])
def test_a_row_of_numbers_is_counted_whole_whether_it_is_flagged_or_redacted(between: str) -> None:
    row = between.join(f"030 23125{last}" for last in range(100, 112))

    flagged, redacted = (treated(Parsed("t", row), policy, unpaused) for policy in ("flag", "redact"))

    assert flagged[1] == redacted[1] == {"phone": 12}
    assert redacted[0].text == between.join(["[PHONE]"] * 12)


def test_a_longer_row_takes_no_more_rounds() -> None:
    def turns(numbers: int) -> int:
        pauses: list[None] = []
        row = ", ".join(f"030 23125{last}" for last in range(100, 100 + numbers))
        treated(Parsed("t", row), "flag", lambda: pauses.append(None))
        return len(pauses)

    assert turns(200) == turns(12)
