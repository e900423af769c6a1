"""The questions about the sample documents can be answered from them, or really cannot.

The documents are what a newcomer sees first, so what they may not contain is checked here too. The model learned from
generated sentences, so a document that repeated their wording would measure memory instead of reading.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hrm_model.training.grounded import statement_patterns
from hrm_model.training.grounded.pages import page_questions
from retrieval.parse import parse
from server.grounding.sentences import sentences

SAMPLES = Path(__file__).parents[2] / "server" / "samples"
QUESTIONS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("handbook_questions.json").read_text(encoding="utf-8")
)
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(SAMPLES.iterdir())}
ANSWERABLE = QUESTIONS["questions"] + QUESTIONS["more"]
COMMON = re.compile(
    r"(?:an?|and|are|at|by|do|does|for|from|have|how|i|in|is|it|long|many|much|must|my|of|on|the|to|what)"
)
UNANSWERABLE = QUESTIONS["unanswerable"] + QUESTIONS["more_unanswerable"]


def by_id(asked: dict[str, Any]) -> str:
    return str(asked["id"])


@pytest.mark.parametrize("asked", ANSWERABLE, ids=by_id)
def test_the_supporting_sentence_stands_once_in_its_document_and_holds_every_answer(asked: dict[str, Any]) -> None:
    sentence = asked["sentence"]

    assert DOCUMENTS[asked["file"]].count(sentence) == 1
    assert asked["answers"]
    assert [answer for answer in asked["answers"] if answer not in sentence] == []


@pytest.mark.parametrize("asked", ANSWERABLE, ids=by_id)
def test_no_answer_is_so_short_that_a_wrong_one_would_contain_it(asked: dict[str, Any]) -> None:
    assert [answer for answer in asked["answers"] if len(answer) < 2] == []


@pytest.mark.parametrize("asked", ANSWERABLE, ids=by_id)
def test_a_question_does_not_give_its_answer_away(asked: dict[str, Any]) -> None:
    words = set(re.findall(r"[\w.,:]+", asked["question"].casefold()))

    assert [answer for answer in asked["answers"] if set(answer.casefold().split()) <= words] == []


@pytest.mark.parametrize("asked", UNANSWERABLE, ids=by_id)
def test_no_line_of_any_document_brings_together_what_an_unanswerable_question_needs(asked: dict[str, Any]) -> None:
    needed = [word.casefold() for word in asked["never_together"]]
    lines = [
        (name, line)
        for name, text in DOCUMENTS.items()
        for line in text.splitlines()
        if all(word in line.casefold() for word in needed)
    ]

    assert needed
    assert lines == []
    assert asked["near"] in DOCUMENTS


def test_there_are_as_many_questions_as_the_evaluation_counts_on() -> None:
    assert {name: len(asked) for name, asked in QUESTIONS.items()} == {
        "questions": 20,
        "more": 40,
        "unanswerable": 5,
        "more_unanswerable": 15,
    }


def test_no_two_questions_are_the_same() -> None:
    everything = ANSWERABLE + UNANSWERABLE

    assert len({asked["id"] for asked in everything}) == len(everything)
    assert len({asked["question"].casefold() for asked in everything}) == len(everything)


def test_the_first_twenty_come_from_fifteen_documents_and_all_of_them_from_every_document() -> None:
    assert len({asked["file"] for asked in QUESTIONS["questions"]}) >= 15
    assert {asked["file"] for asked in ANSWERABLE} == DOCUMENTS.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_sample_document_is_as_long_as_a_handbook_page(name: str) -> None:
    words = re.sub(r"<[^>]+>", " ", DOCUMENTS[name]).split()

    assert 250 <= len(words) <= 600


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_address_and_number_in_a_sample_is_one_that_cannot_exist(name: str) -> None:
    text = DOCUMENTS[name]

    assert [host for host in re.findall(r"@([\w.-]+\w)", text) if not host.endswith(".example")] == []
    assert re.findall(r"https?://|www\.", text) == []
    assert [number for number in re.findall(r"\b555-\d+", text) if not re.fullmatch(r"555-01\d\d", number)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_sentence_of_a_sample_repeats_a_wording_of_the_training_data(name: str) -> None:
    said = sentences_of(name)
    repeated = [
        f"{name}: {sentence!r} is said by the generator: {pattern.pattern}"
        for sentence in said
        for pattern in statement_patterns()
        if pattern.fullmatch(sentence)
    ]

    assert len(said) > 20
    assert not repeated, "\n".join(repeated)


def test_no_question_about_the_samples_is_asked_in_the_training_data() -> None:
    learned = {frozenset(content_words(text)) for text in page_questions()}
    asked = [entry["question"] for entry in ANSWERABLE + UNANSWERABLE]

    assert len(learned) > 5000
    assert [question for question in asked if frozenset(content_words(question)) in learned] == []


def content_words(question: str) -> list[str]:
    """The words of a question without those that any question has."""
    return [word for word in re.findall(r"[a-z]+", question.casefold()) if not COMMON.fullmatch(word)]


def sentences_of(name: str) -> list[str]:
    """What a sample says once its markup is gone, each sentence without its bullet. A heading says nothing."""
    text = parse(SAMPLES / name, (SAMPLES / name).read_bytes()).text
    cut = (text[found.start : found.end].lstrip("-*# ") for found in sentences(text))
    return [sentence for sentence in cut if sentence.endswith((".", "!", "?"))]
