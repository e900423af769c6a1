"""Whether a short answer stands where its sentence says what was asked, and not what is said of something else."""

import pytest

from server.grounding.support import Sources
from tests.fakes.meaning import apart


def is_answer(passage: str, question: str, answer: str) -> bool:
    return bool(Sources([passage], question, apart).find(answer).supports)


ORDERS = "Repairs are ordered by the caretaker and approved by the owner."
CUPS = "The trainer washes the cups, and the captain dries them."
LETTERS = "The porter weighs and stamps the letters."


@pytest.mark.parametrize(
    ("passage", "question", "right", "wrong"),
    [
        (ORDERS, "Who approves repairs?", "the owner", "the caretaker"),
        (CUPS, "Who dries the cups?", "the captain", "the trainer"),
        (LETTERS, "Who stamps the letters?", "the porter", "the letters"),
    ],
)
def test_who_does_it_is_not_who_does_something_beside_it(passage: str, question: str, right: str, wrong: str) -> None:
    assert is_answer(passage, question, right)
    assert not is_answer(passage, question, wrong)


@pytest.mark.parametrize(
    ("passage", "question", "answer"),
    [
        ("Crates up to 6 kg cost 4 euros.", "What does a crate of 9 kg cost?", "4 euros"),
        ("Grants from 500 to 900 euros: decision by the board", "Who decides on a grant of 300 euros?", "the board"),
        ("Boats built before 1990 pay 70 euros.", "What does a boat built in 2003 pay?", "70 euros"),
        ("Stalls are let for two days at least and nine days at most.", "How long at most are stalls let?", "two days"),
    ],
)
def test_what_holds_within_a_bound_holds_for_nothing_beyond_it(passage: str, question: str, answer: str) -> None:
    assert not is_answer(passage, question, answer)


TOWER = "The tower was erected on 1 March 1998 and repaired in 2003."


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("When was the tower erected?", ["1 March 1998"], ["2003"]),
        ("When was the tower repaired?", ["2003"], ["1 March 1998"]),
        ("When was the tower demolished?", [], ["1 March 1998", "2003"]),
    ],
)
def test_when_one_thing_was_done_is_not_when_another_was(question: str, right: list[str], wrong: list[str]) -> None:
    assert [answer for answer in right + wrong if is_answer(TOWER, question, answer)] == right


@pytest.mark.parametrize(
    ("passage", "question", "answer"),
    [
        ("The mileage rate for a lorry is 0.45 euros.", "What is the mileage rate for a pony?", "0.45 euros"),
        (
            "Shelves are subsidised with 95 euros every two years.",
            "How much is the subsidy for a folding shelf?",
            "95 euros",
        ),
        ("Jewels are covered up to 700 euros.", "Up to what amount is an accordion covered?", "700 euros"),
    ],
)
def test_what_no_sentence_speaks_of_is_not_answered_by_what_is_said_of_another_thing(
    passage: str, question: str, answer: str
) -> None:
    assert not is_answer(passage, question, answer)
    assert is_answer(
        passage,
        question.replace("pony", "lorry").replace("a folding", "the").replace("an accordion", "a jewel"),
        answer,
    )


@pytest.mark.parametrize("opening", ["It is", "It's", "That is", "That would be", "The answer is"])
def test_a_short_answer_is_held_to_the_question_whatever_opens_it(opening: str) -> None:
    assert is_answer(CUPS, "Who dries the cups?", f"{opening} the captain.")
    assert not is_answer(CUPS, "Who dries the cups?", f"{opening} the trainer.")


@pytest.mark.parametrize("limit", ["NAN2", "sNaN2", "1e-99999999", "1_0"])
def test_a_code_bounds_nothing_though_it_could_be_computed_with(limit: str) -> None:
    assert is_answer(f"Orders up to {limit} cost 30 euros.", "What does an order of 8 cost?", "30 euros.")
    assert is_answer("Orders up to 8 cost 30 euros.", f"What does an order of {limit} cost?", "30 euros.")


@pytest.mark.parametrize(
    ("passage", "question", "right", "wrong"),
    [
        (
            "After four hours of rowing a rest of 20 minutes is due, after eight hours one of 50 minutes.",
            "How long must the rest be after eight hours?", "50 minutes", "20 minutes",
        ),
        (
            "The agent holds a safety talk with new crews after two weeks and a second one after five months.",
            "When does the first safety talk take place?", "after two weeks", "after five months",
        ),
        (
            "A narrow cabin costs 30 euros a night, a wide cabin 55 euros a night.",
            "What does a narrow cabin cost?", "30 euros a night", "55 euros a night",
        ),
        (
            "Junior crews report to the local office, senior crews to the central office.",
            "To whom do senior crews report?", "the central office", "the local office",
        ),
    ],
)  # fmt: skip
def test_of_two_statements_in_a_sentence_the_asked_one_holds_the_answer(
    passage: str, question: str, right: str, wrong: str
) -> None:
    assert is_answer(passage, question, right)
    assert not is_answer(passage, question, wrong)


@pytest.mark.parametrize(
    ("passage", "question", "answer"),
    [
        (
            "Use is permitted and is taxed at 3 percent of the price per month, for racing boats at 8 percent.",
            "At what rate is a fishing boat taxed?",
            "8 percent",
        ),
        ("Steam boats pay 12 euros.", "What do motor boats pay?", "12 euros"),
        ("With a deposit, tents are lent for six days.", "How long are tents normally lent?", "six days"),
        (
            "Boats may be moored after the end of the race.",
            "Until when may boats be moored?",
            "after the end of the race",
        ),
        (
            "To activate the alarm, press Enter for 3 seconds.",
            "How long must Enter be pressed to deactivate the alarm?",
            "3 seconds",
        ),
        ("Errors in the list of members are skipped.", "What stops the printer?", "Errors in the list of members"),
    ],
)
def test_an_answer_about_another_kind_or_case_is_none(passage: str, question: str, answer: str) -> None:
    assert not is_answer(passage, question, answer)
