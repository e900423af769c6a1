"""Words and what they carry: what must be copied to the letter, and what may be worded differently."""

from time import process_time

import pytest

from server.grounding.words import Kind, content_keys, words


def kinds(text: str) -> list[tuple[str, Kind]]:
    return [(word.text, word.kind) for word in words(text)]


def test_each_word_has_a_kind() -> None:
    assert kinds("The IT desk, led by Marta, can't pay 1,200.50 € before May.") == [
        ("The", Kind.FUNCTION),
        ("IT", Kind.NAME),
        ("desk", Kind.CONTENT),
        ("led", Kind.CONTENT),
        ("by", Kind.FUNCTION),
        ("Marta", Kind.NAME),
        ("can't", Kind.NEGATION),
        ("pay", Kind.CONTENT),
        ("1,200.50", Kind.EXACT),
        ("€", Kind.EXACT),
        ("before", Kind.QUANTITY),
        ("May", Kind.NAME),
    ]


@pytest.mark.parametrize(
    "text", ["AX-17", "2024-05-03", "17:30", "1/2", "a@b.example", "v2.1", "o'clock", "full-time", "-5", "3.5"]
)
def test_inner_punctuation_belongs_to_the_word(text: str) -> None:
    assert [word.text for word in words(f"see {text}, then")] == ["see", text, "then"]


@pytest.mark.parametrize(
    ("text", "initial"), [("Marta pays.", True), ("Ask. Marta pays.", True), ("- Marta", True), ("ask Marta", False)]
)
def test_a_capital_makes_a_name_only_where_no_sentence_begins(text: str, initial: bool) -> None:
    (marta,) = [word for word in words(text) if word.text == "Marta"]

    assert (marta.kind is Kind.CONTENT) is initial


def test_words_of_one_stem_are_one_subject() -> None:
    assert content_keys("Policies, a policy's boxes and classes") == content_keys("policy box class")


def test_places_lead_back_into_the_text() -> None:
    text = "Velin’s 28 days"

    assert [text[word.start : word.end] for word in words(text)] == ["Velin", "28", "days"]


@pytest.mark.parametrize("text", ["a " * 50_000, "1," * 50_000, "-" * 100_000, "a-" * 50_000, "\n" * 100_000 + "a"])
def test_reading_costs_no_more_than_in_proportion(text: str) -> None:
    began = process_time()
    words(text)

    assert process_time() - began < 20  # quadratic work takes minutes
