"""Values in one piece: what is the same in two spellings, and what is not."""

import pytest

from server.grounding.values import merged
from server.grounding.words import Kind, words


def values(text: str) -> list[tuple[str, str]]:
    return [(word.key, word.unit) for word in merged(text, words(text)) if word.kind is Kind.EXACT]


@pytest.mark.parametrize(
    "spellings",
    [
        ("€1,200", "EUR 1200", "1.200,00 euros", "1 200 euros", "1200 €"),
        ("3 May 2024", "May 3rd, 2024", "2024-05-03", "03.05.2024", "3rd of May 2024"),
        ("20:00", "8 pm", "8:00 p.m", "8pm"),
        ("twice a year", "every six months", "2 times a year"),
        ("36 months", "three years"),
        ("90 minutes", "an hour and a half", "1.5 hours"),
        ("15%", "15 %", "15 percent", "15 per cent", "fifteen percent"),
        ("3 million euros", "€3,000,000"),
        ("twenty-five days", "25 days", "twenty five days"),
        ("two weeks", "14 days", "1 fortnight"),
        ("eighth", "8th"),
    ],
)
def test_spellings_of_one_value_are_equal(spellings: tuple[str, ...]) -> None:
    assert len({tuple(values(spelling)) for spelling in spellings}) == 1
    assert len(values(spellings[0])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3.10", "3.1"),
        ("14 days", "14 working days"),
        ("8 weeks", "eighth week"),
        ("1,200 mg", "1,200 g"),
        ("12 months", "12 weeks"),
        ("5 euros", "5 dollars"),
        ("8 am", "8 pm"),
        ("-5", "5"),
        ("4 MB", "4 GB"),
        ("+49 30 1234", "+49 30 1243"),
    ],
)
def test_what_is_not_the_same_value_is_not_equal(one: str, other: str) -> None:
    assert values(one) != values(other)


def test_a_value_knows_its_place_in_the_text() -> None:
    text = "It costs EUR 1,200 a month."

    places = [text[word.start : word.end] for word in merged(text, words(text)) if word.kind is Kind.EXACT]

    assert places == ["EUR 1,200", "a month"]
