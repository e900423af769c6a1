"""server.grounding takes any text: what stands in a document, a title, a question or an answer raises nothing."""

from hypothesis import example, given
from hypothesis import strategies as st

from server.grounding.cite import CitedText, Mode
from server.grounding.structure import CitedStructure
from server.grounding.support import Sources
from server.grounding.words import listed
from tests.fakes.meaning import apart

_digits = st.text("0123456789", min_size=1, max_size=5) | st.sampled_from(["٣", "²", "½", "9" * 30, "7" * 5000])
# What Decimal, float or int take for a number, and no reader does.
_misspelt = st.sampled_from(
    listed("nan2 NaN7 sNaN2 -nan3 inf2 Infinity1 1e5 1E-7 9e999999999 1e-999999999 1_000 1_0.5_0 0x1F ٣ 3٫5 １２ 1e٣")
) | st.text("nNaAsSiIfFeE_0123+-.,٣", min_size=1, max_size=8)
_literals = st.lists(_digits, min_size=1, max_size=4).flatmap(
    lambda groups: st.sampled_from(".,:-–/ ").map(lambda between: between.join(groups))
)
_signs = st.sampled_from(["", "", "+", "-", "−", "€", "$", "§"])
_units = st.sampled_from(["", "kg", "m", "k", "am", "pm", "th", "st", "%", "m²", "l", "-month", " °C", " degrees"])
_numbers = st.tuples(_signs, _literals, _units).map("".join)
_little = st.sampled_from(
    [
        "\n",
        *listed(
            """a and at between calendar cent euros every first for half hundred in May no not noon number of old one or
            past per quarter single third times to twice two until when who within working year years billion ß
            ; , . ( ) [ ]"""
        ),
    ]
)
_texts = st.lists(_numbers | _misspelt | _little | st.text(max_size=4), max_size=12).map(" ".join)


@given(passage=_texts, title=_texts, question=_texts, answer=_texts, mode=st.sampled_from(["off", "cite", "strict"]))
@example("The crane lifts 1.200.000kg at most.", "", "How much?", "It lifts 1.200.000kg.", "cite")
@example("The crane is new.", "Crane 2.4.1k", "Is release v2.4.1m fine at 10.0.0.1m?", "Yes, 10.0.0.1m.", "off")
@example(f"Its number is {'7' * 5000}.", "", "Which?", f"It is {'7' * 5000}, at {'7' * 5000} pm.", "strict")
@example(f"From {'7' * 5000} to 9 p.m. on May {'7' * 5000}.", "", f"The {'7' * 5000}th?", "At 9 p.m.", "cite")
def test_reading_checking_and_citing_take_any_text(
    passage: str, title: str, question: str, answer: str, mode: Mode
) -> None:
    sources = Sources([passage, answer], question, apart, [title, ""], lambda claims: [1.0] * len(claims))
    cited = CitedText(sources, mode=mode, abstention="Not there.")
    formed = CitedStructure(sources, mode=mode, abstention="Not there.", is_json=False)

    text = cited.grow(answer)
    formed.grow(answer)

    rest, verdict = cited.end()
    assert verdict.replaced or mode != "off" or text + rest == answer
    assert all(one.finding.reason != "fault" for one in (*verdict.checked, *formed.end()[1].checked))


# Each is read as a number in another place of the rules.
_places = st.sampled_from(
    [
        "up to {0}",
        "of {0}",
        "more than {0} kg",
        "from {0} to {1} euros",
        "between {0} and {1} kg",
        "before {0}",
        "{0} times a year",
        "every {0} months",
        "at {0} pm",
        "until {0}:00 o'clock",
        "on {0} May {1}",
        "for the {0}th of {1}",
        "€{0}",
        "a {0}-month warranty",
        "{0} and a half hours",
        "{0} of an hour",
        "{0} thousand",
    ]
)


@given(first=_places, second=_places, third=_places, numbers=st.lists(_misspelt | _literals, min_size=6, max_size=6))
@example(first="up to {0}", second="of {1}", third="of {1}", numbers=["NAN2", "8", "8", "8", "8", "8"])
@example(first="of {0}", second="up to {0}", third="of {0}", numbers=["8", "8", "sNaN2", "8", "8", "8"])
def test_what_only_looks_like_a_number_raises_nothing_wherever_a_number_is_read(
    first: str, second: str, third: str, numbers: list[str]
) -> None:
    passage = f"Orders {first.format(*numbers[:2])} cost 30 euros {second.format(*numbers[2:4])}."
    question = f"How many years and what does an order {third.format(*numbers[4:])} cost at most?"

    sources = Sources([passage], question, apart)

    for claim in ("30 euros.", f"{second.format(*numbers[:2])}.", passage, question):
        sources.find(claim)
    Sources([passage], f"What does an order {third.format(*numbers[4:])} cost?", apart).find("30 euros.")
