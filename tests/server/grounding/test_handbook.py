"""The sample documents: every committed answer is cited at the sentence that a person chose for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from retrieval.parse import parse
from server.grounding.support import Sources
from tests.fakes.meaning import apart

ROOT = Path(__file__).parents[3]
QUESTIONS: list[dict[str, Any]] = [
    entry
    for entry in json.loads((ROOT / "tests/e2e/handbook_questions.json").read_text())["questions"]
    if entry["answers"]
]


def read(name: str) -> tuple[str, str]:
    path = ROOT / "server" / "samples" / name
    parsed = parse(path, path.read_bytes())
    return parsed.title, parsed.text


@pytest.mark.parametrize("entry", QUESTIONS, ids=[entry["id"] for entry in QUESTIONS])
def test_an_answer_is_cited_at_its_sentence_in_the_whole_document(entry: dict[str, Any]) -> None:
    title, text = read(entry["file"])
    sources = Sources([text], entry["question"], apart, [title])

    for answer in [*entry["answers"], entry["sentence"]]:
        finding = sources.find(answer)

        assert finding.supports, (answer, finding)
        cited = " ".join(" ".join(text[support.start : support.end] for support in finding.supports).split())
        assert entry["sentence"].rstrip(".") in cited


NUMBERS = [
    (entry, answer)
    for entry in QUESTIONS
    for answer in entry["answers"]
    if any(character.isdigit() for character in answer)
]


@pytest.mark.parametrize(("entry", "answer"), NUMBERS, ids=[answer for _, answer in NUMBERS])
def test_an_answer_with_other_digits_is_not_cited(entry: dict[str, Any], answer: str) -> None:
    changed = answer.translate(str.maketrans("0123456789", "9784650213"))

    title, text = read(entry["file"])
    assert not Sources([text], entry["question"], apart, [title]).find(changed).supports
