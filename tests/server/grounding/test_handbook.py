"""The sample documents: every committed answer is cited at the sentence that a person chose for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from retrieval.parse import parse
from server.grounding.support import Sources

ROOT = Path(__file__).parents[3]
QUESTIONS: list[dict[str, Any]] = [
    entry
    for entry in json.loads((ROOT / "tests/e2e/handbook_questions.json").read_text())["questions"]
    if entry["answers"]
]


def read(name: str) -> str:
    path = ROOT / "server" / "samples" / name
    return parse(path, path.read_bytes()).text


@pytest.mark.parametrize("entry", QUESTIONS, ids=[entry["id"] for entry in QUESTIONS])
def test_an_answer_is_cited_at_its_sentence_in_the_whole_document(entry: dict[str, Any]) -> None:
    text = read(entry["file"])
    sources = Sources([text], entry["question"])

    for answer in [*entry["answers"], entry["sentence"]]:
        support = sources.support(answer)

        assert support is not None, answer
        cited = " ".join(text[support.start : support.end].split())
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

    assert Sources([read(entry["file"])], entry["question"]).support(changed) is None
