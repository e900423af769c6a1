"""Where sentences end, in complete texts and in growing ones."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.grounding.sentences import OpenText, sentences


def cut(text: str) -> list[str]:
    return [text[place.start : place.end] for place in sentences(text)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs 3.5 euros. Pay at www.example.com today.", ["It costs 3.5 euros.", "Pay at www.example.com today."]),
        ("Ask Dr. Velin or J. Ode. They know.", ["Ask Dr. Velin or J. Ode.", "They know."]),
        ("See No. 5 first. The answer is no. Ask again.", ["See No. 5 first.", "The answer is no.", "Ask again."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("Leave is 28\ndays a year.", ["Leave is 28\ndays a year."]),
        ("Annual leave\nStaff get 28 days.", ["Annual leave", "Staff get 28 days."]),
        ("First part\n\nsecond part", ["First part", "second part"]),
        ("- one\n- two", ["- one", "- two"]),
        ("1. Basic: 10 euros\n2. Plus: 20 euros", ["1. Basic: 10 euros", "2. Plus: 20 euros"]),
        ("| Basic | 10 |\n| Plus | 20 |", ["| Basic | 10 |", "| Plus | 20 |"]),
        ("1. Open it. 2. Close it.", ["1. Open it.", "2. Close it."]),
        ("The file, e.g. this one, etc. and so on.", ["The file, e.g. this one, etc. and so on."]),
        ("  padded.  ", ["padded."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_say(text: str, parts: list[str]) -> None:
    assert cut(text) == parts


_texts = st.lists(st.sampled_from(["A", "b", "Dr", ".", "!", " ", "\n", "5", "-", '"', "é", "word", ")"])).map("".join)


@given(text=_texts, cuts=st.lists(st.integers(0, 40)))
def test_a_growing_text_closes_the_same_sentences_however_it_grows(text: str, cuts: list[int]) -> None:
    growing, found, at = OpenText(), [], 0
    for end in [*sorted(cuts), len(text)]:
        found += growing.grow(text[at : max(at, end)])
        at = max(at, end)
    found += growing.end()

    assert found == sentences(text)


@pytest.mark.parametrize("text", ["a " * 100_000, ". " * 100_000, "a\n" * 100_000, "." * 200_000, " " * 200_000 + "a"])
def test_cutting_costs_no_more_than_in_proportion(text: str) -> None:
    began = process_time()
    sentences(text)

    assert process_time() - began < 20  # quadratic work takes minutes
