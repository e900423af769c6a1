"""Values in one piece: what is the same in two spellings, and what is not."""

import pytest

from server.grounding.support import Sources
from server.grounding.values import merged
from server.grounding.words import Kind, words
from tests.fakes.meaning import apart


def values(text: str) -> list[tuple[str, str]]:
    return [(word.key, word.unit) for word in merged(text, words(text)) if word.kind is Kind.EXACT]


@pytest.mark.parametrize(
    "spellings",
    [
        ("€1,200", "EUR 1200", "1.200,00 euros", "1.200 euros", "1 200 euros", "1200 €"),
        ("1.200 rappen", "12 francs"),
        ("1.200,50 kg", "1.200,50kg", "1,200.50 kg"),
        ("1.200 kg", "1.200kg", "1.200 kilograms"),
        ("3 May 2024", "May 3rd, 2024", "2024-05-03", "03.05.2024", "3rd of May 2024"),
        ("20:00", "8 pm", "8:00 p.m", "8pm"),
        ("twice a year", "every six months", "2 times a year"),
        ("1.5 times a year", "every eight months", "1,5 times a year"),
        ("0.5 times a year", "every two years"),
        ("0 times per day", "zero times a day"),
        ("36 months", "three years"),
        ("90 minutes", "an hour and a half", "1.5 hours"),
        ("15%", "15 %", "15 percent", "15 per cent", "fifteen percent"),
        ("3 million euros", "€3,000,000"),
        ("twenty-five days", "25 days", "twenty five days"),
        ("two weeks", "14 days", "1 fortnight"),
        ("eighth", "8th"),
        ("250 ml", "0.25 litres", "25 cl", "2.5 dl", "250ml"),
        ("1.5 kWh", "1.5 kilowatt-hours", "1500 Wh"),
        ("45 centimes", "0.45 francs", "CHF 0.45"),
        ("80 pence", "£0.80"),
        ("75 percent full", "three-quarters full", "three quarters full"),
        ("25% less", "a quarter less", "one quarter less"),
        ("50% of the fee", "half of the fee", "half the fee"),
        ("45 minutes", "three quarters of an hour", "0.75 hours"),
        ("15 minutes", "a quarter of an hour"),
        ("7:45", "a quarter to eight", "a quarter to eight in the morning", "7:45 a.m."),
        ("21:30", "half past nine in the evening", "9:30 p.m."),
        ("8:00", "eight o'clock", "8 in the morning"),
        ("48 hours", "two days", "2 calendar days"),
        ("half a metre", "50 cm", "0.5 m"),
        ("midnight", "0:00", "12 a.m.", "24:00", "twelve o'clock at night", "12 at night"),
        ("0:30", "12:30 at night", "half past twelve at night"),
        ("23:45", "a quarter to twelve at night", "11:45 at night"),
        ("noon", "twelve o'clock", "12 p.m."),
        ("a 12-month warranty", "a twelve-month warranty", "a warranty of 12 months"),
        ("within a week", "within seven days"),
        ("60 years", "60 years old", "sixty years of age"),
        ("38.5 °C", "38.5 degrees Celsius"),
        ("1,5kg", "1,5 kg", "1.5 kg"),
        ("every other week", "every two weeks", "every second week"),
    ],
)
def test_spellings_of_one_value_are_equal(spellings: tuple[str, ...]) -> None:
    assert len({tuple(values(spelling)) for spelling in spellings}) == 1
    assert len(values(spellings[0])) == 1


def test_a_row_of_scales_is_no_number_without_end() -> None:
    (value,) = values("one" + " hundred" * 500)

    assert len(value[0]) < 20


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3.10", "3.1"),
        ("0815", "815"),
        ("007", "7"),
        ("14 days", "14 working days"),
        ("8 weeks", "eighth week"),
        ("1,200 mg", "1,200 g"),
        ("12 months", "12 weeks"),
        ("5 euros", "5 dollars"),
        ("8 am", "8 pm"),
        ("-5", "5"),
        ("4 MB", "4 GB"),
        ("+49 30 1234", "+49 30 1243"),
        ("100 ml", "100 cl"),
        ("24 hours", "1 working day"),
        ("the first half of the year", "50% of the year"),
        ("once a quarter", "25% once"),
        ("half past nine in the evening", "half past nine in the morning"),
        ("1.5 times a year", "once a year"),
        ("2.5 times a year", "twice a year"),
        ("0 times per day", "once per day"),
        ("-2 times per day", "twice per day"),
        ("a third of the fee", "33% of the fee"),
        ("a year ago", "within a year"),
        ("1.200.000kg", "1200 kg"),
        ("1.200 kg", "1,200 mg"),
        ("1.200 kg", "1,200 kg"),
        ("1.200 kg", "1.2 kg"),
        ("1.200 kg", "1.200 g"),
        ("1.500 hours", "25 minutes"),
        ("1.500 hours", "90 minutes"),
        ("a 1.500-hour course", "a course of 1.5 hours"),
        ("every 1.500 hours", "every 90 minutes"),
        ("1.500%", "1500%"),
        ("-1.200 euros", "-1.2 euros"),
        ("4012888888881881401288888888188101", "4012888888881881401288888888188102"),
    ],
)
def test_what_is_not_the_same_value_is_not_equal(one: str, other: str) -> None:
    assert values(one) != values(other)


@pytest.mark.parametrize(
    ("times", "rounded"), [("1.5 times a year", "once a year"), ("0 times per day", "once per day")]
)
def test_how_often_is_not_rounded(times: str, rounded: str) -> None:
    assert (
        not Sources([f"The lift is checked {times}."], "How often is the lift checked?", apart).find(rounded).supports
    )
    assert Sources([f"The lift is checked {times}."], "How often is the lift checked?", apart).find(times).supports


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It costs 21.2 cents per kWh.", "A kilowatt-hour costs 0.212 euros."),
        ("Call from Monday to Friday.", "Call Mondays to Fridays."),
        ("The rent is 0.60 francs per square metre and year.", "The rent is 60 centimes per square metre per year."),
        (
            "Bicycles must be registered 24 hours before departure.",
            "Bicycles must be registered one day before departure.",
        ),
    ],
)
def test_a_sentence_says_a_value_in_another_unit(one: str, other: str) -> None:
    assert Sources([one], "What does it say?", apart).find(other).supports
    assert Sources([other], "What does it say?", apart).find(one).supports


def test_what_could_be_two_values_supports_itself_alone() -> None:
    sources = Sources(["The bag holds 1.200 kg of salt."], "How much salt does the bag hold?", apart)

    assert sources.find("The bag holds 1.200 kg of salt.").supports
    assert sources.find("1.200 kg").supports
    assert sources.find("1.200").supports
    for other in ("1,200 mg", "1,200 kg", "1.2 kg", "1,200 g", "1200", "1.2"):
        assert not sources.find(f"The bag holds {other} of salt.").supports
        assert not sources.find(other).supports


def test_a_cent_is_the_hundredth_part_of_a_euro_and_of_a_dollar() -> None:
    sources = Sources(["A stamp costs 85 cents."], "What does it cost?", apart)

    assert sources.find("A stamp costs 0.85 euros.").supports
    assert sources.find("A stamp costs 0.85 dollars.").supports
    assert not sources.find("A stamp costs 85 euros.").supports
    assert not sources.find("A stamp costs 8.5 euros.").supports


def test_the_values_of_a_range_share_their_unit() -> None:
    assert values("1,000 to 50,000 euros") == values("€1,000 to €50,000")
    assert values("between 6 and 16 years") == values("between 6 years and 16 years")
    assert values("500 to 1.200 euros") == values("€500 to €1,200")
    assert values("1.000 to 2.000 euros") == values("€1,000 to €2,000")
    assert values("1.000 to 2.000 kg") not in (values("1 kg to 2 kg"), values("1,000 kg to 2,000 kg"))
    assert values("rooms 3 and 5 euros") != values("3 euros and 5 euros")


def test_the_end_of_a_range_says_in_which_half_of_the_day_it_begins() -> None:
    assert values("from 7 to 9 p.m.") == values("from 19:00 to 21:00")
    assert values("from 10 to 2 p.m.") == values("from 10 a.m. to 14:00")
    assert values("from 10 to 2 a.m.") == values("from 10 p.m. to 2 a.m.")
    assert values("from 12 to 1 a.m.") == values("from midnight to 1 a.m.")
    assert values("from 12 to 2 p.m.") == values("from noon to 2 p.m.")
    assert values("from 2 to 2:30 p.m.") == values("from 14:00 to 14:30")
    assert values("from 7 to 21:00") == values("from 7 a.m. to 9 p.m.")
    assert values("from 10 to 24:00") == values("from 10 a.m. to 12 a.m.")
    assert values("from 10 to noon") == values("from 10 a.m. to noon")
    assert values("from 10 to midnight") not in (values("from 22:00 to 24:00"), values("from 10:00 to 24:00"))


def test_a_degree_at_the_end_of_a_text_is_read() -> None:
    assert values("heat it to 180°") == [("180", "°")]


def test_a_value_knows_its_place_in_the_text() -> None:
    text = "It costs EUR 1,200 a month."

    places = [text[word.start : word.end] for word in merged(text, words(text)) if word.kind is Kind.EXACT]

    assert places == ["EUR 1,200", "a month"]
