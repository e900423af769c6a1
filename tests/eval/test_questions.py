"""The evaluation's questions: each has one right passage that is there to be found, and halves share no document."""

from collections import Counter

import pytest

from tests.eval.corpus import Section, read_corpus, shortened
from tests.eval.library import document, everything
from tests.eval.questions import headings, read_follow_ups, read_questions


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return read_corpus()


def test_the_corpus_holds_many_sections_and_each_once(sections: list[Section]) -> None:
    assert len(sections) >= 20_000
    assert len({section.key for section in sections}) == len(sections)
    assert {section.key.partition("/")[0] for section in sections} == {
        *("python", "django", "apache", "sqlite", "postgres", "node", "sqlalchemy", "scrapy", "sphinx", "twisted")
    }


def test_every_question_has_a_passage_that_answers_it() -> None:
    texts = {key: parsed.text for key, parsed in everything(distractors=0)}

    for asked in (*read_questions(), *read_follow_ups()):
        assert asked.says in texts[asked.key], asked


def test_there_are_enough_questions_and_none_twice(sections: list[Section]) -> None:
    written = read_questions()

    assert len(written) >= 150
    assert len(headings(sections)) >= 250
    assert len(read_follow_ups()) >= 50
    assert [text for text, times in Counter(asked.question for asked in written).items() if times > 1] == []


def test_no_document_is_in_both_halves(sections: list[Section]) -> None:
    all_of_them = [*read_questions(), *read_follow_ups(), *headings(sections)]
    halves = {half: {asked.key for asked in all_of_them if asked.half == half} for half in ("tune", "report")}

    assert not halves["tune"] & halves["report"]
    assert min(len(keys) for keys in halves.values()) > 150


def test_a_heading_that_is_asked_does_not_stand_above_its_answer(sections: list[Section]) -> None:
    asked = next(section for section in sections if section.asks)
    plain = next(section for section in sections if not section.asks)

    assert document(asked).text == asked.text
    assert asked.heading not in document(asked).title
    assert document(plain).headings[0].level == 2


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Short.", "Short."),
        ("A sentence. " * 60, ("A sentence. " * 50).rstrip()),
        ("word " * 200, ("word " * 120).rstrip()),
        ("x" * 700, "x" * 600),
    ],
)
def test_a_long_section_ends_with_a_sentence_or_a_word(text: str, kept: str) -> None:
    assert shortened(text) == kept
