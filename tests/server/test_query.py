"""The query of a question: alone, or joined with what the turn before was about."""

import pytest

from server.query import rewrite_query

BEFORE = ["How many days of leave do trainees in Berlin get?"]


def test_a_first_question_is_its_own_query() -> None:
    assert rewrite_query("How long\n is it?", []) == "How long is it?"


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("And managers?", "And managers? many days leave trainees Berlin"),
        ("When do they have to ask for it in writing?", None),
        ("Why?", None),
    ],
)
def test_a_follow_up_is_joined_with_the_words_of_the_turn_before(question: str, query: str | None) -> None:
    assert rewrite_query(question, BEFORE) == (query or f"{question} many days leave trainees Berlin")


def test_words_that_the_question_has_itself_are_not_repeated() -> None:
    assert rewrite_query("And days in Berlin?", BEFORE) == "And days in Berlin? many leave trainees"


def test_only_the_turn_before_counts() -> None:
    assert rewrite_query("Why?", ["Zebras have stripes", "Leave is short"]) == "Why? Leave short"


def test_a_question_that_stands_alone_is_left_alone() -> None:
    question = "Which department replaces a broken laptop?"

    assert rewrite_query(question, BEFORE) == question


def test_a_long_message_stands_alone_and_is_not_repeated_at_length() -> None:
    long = "Why is it so? " * 200

    assert rewrite_query(long, BEFORE) == long.strip()
    assert len(rewrite_query("Why?", [" ".join(f"word{number}" for number in range(1000))])) < 1300
