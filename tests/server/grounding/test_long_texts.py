"""server.grounding on texts that no writer ends with a full stop: checking them takes a moment."""

from time import process_time

import pytest

from server.grounding.statements import statements
from server.grounding.support import Sources
from tests.fakes.meaning import apart

QUESTION = "How many dogs does Ada get for 5 euros at most, and who pays the fee?"
WORDS = 2000


@pytest.mark.parametrize(
    "repeated",
    [
        "dog ", "dog! ", "dog, cat, ", "dog; ", "Dog: cat\n", "dog\n", "12 ", "5 euros, ", "Ada ", "( ", "one hundred ",
        "for dog in cat ", "fee limit ", "1-", "[1",
    ],
)  # fmt: skip
def test_a_text_of_equal_words_is_checked_in_a_moment(repeated: str) -> None:
    text = repeated * (WORDS // max(1, len(repeated.split())))
    began = process_time()

    Sources([text], QUESTION, apart, ["Dogs"]).find("The dog and the cat of Ada cost 5 euros at most.")
    Sources([text], QUESTION, apart, ["Dogs"]).find(text)
    Sources([text], text, apart, [text]).find("5 euros")
    Sources([text], QUESTION, apart, ["Dogs"]).find(f"{text[:400]} zebra")

    assert process_time() - began < 10  # a second or two; minutes, where a step takes the square of the length


def test_a_claim_is_found_in_a_line_of_a_text_without_stops() -> None:
    table = "\n".join(
        f"room {number} has {number + 20} seats and a screen, which is free of charge;" for number in range(60)
    )
    claim = "Room 7 has 27 seats and a screen."

    (support,) = Sources([table], "Which rooms are there?", apart).find(claim).supports

    assert table[support.start : support.end].startswith("room 7 has 27 seats")


def test_what_is_too_long_for_a_sentence_is_none() -> None:
    long = "word " * 301
    text = f"{long}\nIt ends."

    assert list(statements(long)) == []
    assert [text[place.start : place.end] for place in statements(text)] == ["It ends."]
    assert len(list(statements("word " * 300))) == 1


def test_a_statement_of_more_than_a_hundred_words_is_supported_by_its_own_words_alone() -> None:
    source = "The dogs of Ada, " + ", ".join(f"dog {number}" for number in range(60)) + ", live in the yard."
    restated = source.replace("live in", "lived in")
    sources = Sources([source], QUESTION, apart)

    assert sources.find(source).match == "verbatim"
    assert sources.find(restated).reason == "nothing"
