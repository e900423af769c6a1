"""Whether a passage says a sentence: what is cited, and above all what is not."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retrieval.embedder import MiniLM
from server.grounding.likeness import Likeness
from server.grounding.support import Sources
from tests.fakes.meaning import apart

HANDBOOK = (
    "Full-time staff receive 28 days of paid leave each year. Managers receive 30 days, trainees 26 days. "
    "Pets are not allowed in the office. Marta Velin leads the claims desk."
)


def cited(passage: str, answer: str, question: str = "What does it say?") -> str | None:
    """The sentence that is cited for an answer; None: it stays without a source."""
    found = Sources([passage], question, apart).find(answer).supports
    return passage[found[0].start : found[-1].end] if found else None


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("28 days", "Full-time staff receive 28 days of paid leave each year."),
        ("28  Days.", "Full-time staff receive 28 days of paid leave each year."),
        ("trainees 26 days", "Managers receive 30 days, trainees 26 days."),
        ("marta velin", "Marta Velin leads the claims desk."),
        ("A claims desk", "Marta Velin leads the claims desk."),
        ("Pets are not allowed in the office.", "Pets are not allowed in the office."),
        ("Staff receive 28 days of paid leave.", "Full-time staff receive 28 days of paid leave each year."),
        ("According to the handbook, managers receive 30 days.", "Managers receive 30 days, trainees 26 days."),
    ],
)
def test_an_answer_that_stands_in_a_sentence_cites_it(answer: str, sentence: str) -> None:
    assert cited(HANDBOOK, answer) == sentence


@pytest.mark.parametrize(
    "answer",
    [
        "29 days",
        "28 weeks",
        "Full-time staff receive 30 days of paid leave each year.",
        "Managers receive 26 days.",
        "Contractors receive 28 days of paid leave each year.",
        "Pets are allowed in the office.",
        "Pets are allowed",
        "allowed",
        "Marta Velim",
        "The claims desk leads Marta Velin.",
        "Yes.",
        "",
    ],
)
def test_an_answer_that_says_something_else_stays_without_a_source(answer: str) -> None:
    assert cited(HANDBOOK, answer) is None


@pytest.mark.parametrize(
    ("passage", "whole", "part"),
    [
        ("The fee is 1,200.50 euros.", "1,200.50 euros", "200.50 euros"),
        ("The fee is 1 200 euros.", "1 200 euros", "200 euros"),
        ("The fee is 15%.", "15 %", "15"),
        ("It costs 3 million euros.", "3 million euros", "3"),
        ("Notify us within twenty five days.", "twenty five days", "five days"),
        ("Keep it at -5 degrees.", "-5 degrees", "5 degrees"),
        ("Form AX-17 applies.", "AX-17", "17"),
        ("Form AX-17 applies.", "Form AX-17", "form ax-17"),
        ("Due on 2024-05-03.", "2024-05-03", "2024-05"),
        ("Call +49 30 1234.", "+49 30 1234", "30 1234"),
        ("Open until 17:30.", "17:30", "17"),
        ("Enter through gate B.", "gate B", "gate A"),
    ],
)
def test_numbers_and_codes_count_only_whole_and_to_the_letter(passage: str, whole: str, part: str) -> None:
    assert cited(passage, whole) == passage
    assert cited(passage, part) is None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Staff get 28 days and managers get 30 days.", "Staff get 30 days."),
        ("Anna leads sales and Ben leads marketing.", "Anna leads marketing."),
        ("Anna pays Ben fifty euros.", "Ben pays Anna fifty euros."),
        ("Visitors may enter.", "Visitors must enter."),
        ("Passwords have at least 14 characters.", "Passwords have 14 characters."),
        ("Dogs are welcome but cats are not welcome.", "Cats are welcome."),
        ("Cats eat fish and dogs eat meat.", "Cats eat meat."),
    ],
)
def test_words_of_one_sentence_cannot_be_put_together_anew(passage: str, claim: str) -> None:
    assert cited(passage, claim) is None


def test_a_negation_of_the_question_belongs_to_its_answer() -> None:
    passage = "Visitors may not enter the archive."

    assert cited(passage, "the archive", "What may visitors not enter?") == passage
    assert cited(passage, "the archive", "What may visitors enter?") is None


def test_a_limit_worded_as_a_prohibition_still_names_its_number() -> None:
    assert cited("Claims must not exceed 500 euros.", "500 euros", "What is the limit?") is not None
    assert cited("It is open on all days except 24 December.", "24 December", "When is it open?") is None


def test_of_several_sentences_the_one_about_the_question_is_cited() -> None:
    passages = ["Paid leave is 28 days.", "Notice is 28 days. Sick pay lasts 28 days. Probation is 28 days."]

    (support,) = Sources(passages, "How long does sick pay last?", apart).find("28 days").supports

    assert passages[support.passage][support.start : support.end] == "Sick pay lasts 28 days."


def test_the_title_decides_between_sentences_that_are_alike() -> None:
    passages = ["It is 28 days.", "It is 28 days."]

    sources = Sources(passages, "How long is probation?", apart, titles=["Leave", "Probation"])

    (support,) = sources.find("28 days").supports

    assert support.passage == 1


_words = st.sampled_from(["staff", "leave", "Velin", "desk", "claims", "euros", "days", "receive", "and", "the"])
_numbers = st.integers(0, 99999).map(str) | st.decimals(0, 999, places=2).map(str)


@given(
    before=st.lists(_words, min_size=1, max_size=6),
    number=_numbers,
    after=st.lists(_words, min_size=1, max_size=6),
    start=st.integers(0, 6),
    digit=st.integers(0, 9),
    place=st.integers(0, 10),
)
def test_a_changed_digit_is_never_supported(
    before: list[str], number: str, after: list[str], start: int, digit: int, place: int
) -> None:
    passage = " ".join([*before, number, *after]) + "."
    places = [match.start() for match in re.finditer(r"\d", number)]
    at = places[place % len(places)]
    changed = number[:at] + str(digit) + number[at + 1 :]
    assume(changed != number)

    answer = " ".join([*before[start:], changed, *after])

    assert cited(passage, answer) is None


LEAVE = "Full-time staff receive 28 days of paid annual leave."


@pytest.mark.parametrize(
    "question",
    [
        "How many weeks of sick leave do managers receive?",
        "How many days of sick leave do managers receive?",
        "How many days of sick leave do full-time staff receive?",
        "How many days of paid annual leave do managers receive?",
        "How many euros of paid annual leave do full-time staff receive?",
        "How many weeks of paid annual leave do full-time staff receive?",
    ],
)
@pytest.mark.parametrize("answer", ["28 days", "28 days."])
def test_a_value_is_no_answer_about_another_kind_another_person_or_another_unit(
    question: str, answer: str, embedder: MiniLM
) -> None:
    finding = Sources([LEAVE], question, Likeness(lambda: embedder)).find(answer)

    assert (finding.supports, finding.reason) == ((), "question")


POLICY = "Policy number 11. The excess of policy 11 is 77 euros and it ends on 12 May."


@pytest.mark.parametrize(
    ("passage", "title", "question", "is_answer"),
    [
        (POLICY, "", "What is the excess of policy 11?", True),
        (POLICY, "", "What is the excess of policy 12?", False),
        (POLICY, "", "What is the excess of policy no. 12?", False),
        (POLICY, "", "What is the excess?", True),
        ("The excess is 77 euros.", "Policy 11", "What is the excess of policy 11?", True),
        ("The excess is 77 euros.", "Policy 11", "What is the excess of policy 12?", False),
        ("Plan AX-17 has an excess of 77 euros.", "", "What excess has plan AX-18?", False),
        ("Plan AX-17 has an excess of 77 euros.", "", "What excess has plan AX-17?", True),
    ],
)
def test_a_value_of_one_numbered_thing_is_no_answer_about_another(
    passage: str, title: str, question: str, is_answer: bool, embedder: MiniLM
) -> None:
    sources = Sources([passage], question, Likeness(lambda: embedder), [title])

    assert bool(sources.find("77 euros").supports) == is_answer


def test_a_statement_about_staff_is_none_about_managers(embedder: MiniLM) -> None:
    sources = Sources([LEAVE], "Who gets leave?", Likeness(lambda: embedder))

    assert sources.find("Managers receive 28 days of paid annual leave.").supports == ()


@pytest.mark.parametrize(
    "question",
    [
        "How many days of paid annual leave do full-time staff receive?",
        "How many days of paid leave do full-time employees get?",
        "How much paid annual leave is there?",
    ],
)
def test_a_value_answers_the_question_that_its_sentence_speaks_of(question: str, embedder: MiniLM) -> None:
    assert Sources([LEAVE], question, Likeness(lambda: embedder)).find("28 days").supports
