"""The bootstrap examples: one sentence holds the answer, another one differs from it in a word."""

import json
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from hrm_model.template import UNANSWERABLE, compose
from hrm_model.training.grounded import Example
from hrm_model.training.grounded.lookups import LOOKUPS, LookupLevel, lookups
from hrm_model.training.grounded.names import is_held_out

every_level = pytest.mark.parametrize("level", LOOKUPS, ids=lambda level: level.name)


def some(level: LookupLevel, *, count: int = 500, seed: int = 7) -> list[Example]:
    return list(islice(lookups(seed, level), count))


def named(name: str) -> LookupLevel:
    return next(level for level in LOOKUPS if level.name == name)


def command(out: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, "-m", "hrm_model.training.grounded", str(out), *arguments]
    return subprocess.run(whole, capture_output=True, text=True, check=False)


@every_level
def test_the_same_seed_gives_the_same_examples_and_another_gives_others(level: LookupLevel) -> None:
    assert some(level, count=50) == some(level, count=50)
    assert not {e.instruction for e in some(level, count=50)} & {e.instruction for e in some(level, count=50, seed=8)}


@every_level
def test_an_answer_stands_verbatim_in_the_evidence_and_that_in_a_passage(level: LookupLevel) -> None:
    for example in some(level):
        if example.evidence is None:
            assert (example.response, example.kind) == (UNANSWERABLE, "unanswerable")
            continue
        assert any(example.evidence in source.text for source in example.passages)
        assert example.response in example.evidence, "a value that opens its sentence is capitalised there"
        if example.kind == "quote":
            assert example.response == example.evidence


@every_level
def test_the_shares_of_unanswerable_questions_and_of_quotes_are_the_levels(level: LookupLevel) -> None:
    found = some(level, count=3000)
    answered = [example for example in found if example.kind != "unanswerable"]

    unanswerable = 1 - len(answered) / len(found)
    quotes = sum(example.kind == "quote" for example in answered) / len(answered)

    assert unanswerable == pytest.approx(level.unanswerable, abs=0.03)  # four standard errors of 3,000 draws
    assert quotes == pytest.approx(level.quotes, abs=0.04)


@every_level
def test_a_question_has_one_answer_or_none(level: LookupLevel) -> None:
    for example in some(level, count=1500):
        told = [fact for fact in example.facts if fact[:2] == example.asked]
        assert len(told) == (0 if example.kind == "unanswerable" else 1), example.instruction


@every_level
def test_sizes_stay_within_the_level_and_the_instruction_is_what_the_server_would_spell(level: LookupLevel) -> None:
    for example in some(level):
        assert level.sentences[0] <= len(example.sentences) <= level.sentences[1]
        assert level.passages[0] <= len(example.passages) <= level.passages[1]
        assert example.instruction == compose(example.question, sources=example.passages)


@every_level
def test_another_sentence_shares_the_subject_or_the_attribute_so_that_only_both_together_tell(
    level: LookupLevel,
) -> None:
    found = [example for example in some(level) if len(example.sentences) > 1]
    near = [
        any(fact[:2] != e.asked and (fact[0] == e.asked[0] or fact[1] == e.asked[1]) for fact in e.facts) for e in found
    ]

    assert sum(near) / len(near) > 0.75


def test_the_first_level_has_one_attribute_one_form_and_few_words() -> None:
    found = some(named("word"), count=2000)

    assert all(len({attribute for _, attribute, _ in example.facts}) == 1 for example in found)
    assert all(re.fullmatch(r"The \w+ of the \w+ is \w+\.", text) for e in found for text in e.sentences)
    words = [{fact[part] for example in found for fact in example.facts} for part in (0, 2)]
    assert all(100 < len(used) < 400 for used in words), "so that each returns often"
    assert not words[0] & words[1], "a subject is never a value"


def test_no_plain_word_is_one_that_the_held_out_splits_are_made_of() -> None:
    for example in some(named("cell"), count=1000):
        assert not any(is_held_out(subject) or is_held_out(value) for subject, _, value in example.facts)


def test_the_command_writes_lookups(tmp_path: Path) -> None:
    out = tmp_path / "lookup.jsonl"

    assert command(out, "--level", "lookup", "--count", "20", "--seed", "3").returncode == 0

    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert written == [json.loads(json.dumps(e.record())) for e in some(named("lookup"), count=20, seed=3)]


@pytest.mark.parametrize("split", ["names", "wordings"])
def test_lookups_have_no_held_out_split(tmp_path: Path, split: str) -> None:
    done = command(tmp_path / "out.jsonl", "--level", "lookup", "--split", split)

    assert done.returncode == 2
    assert "level lookup is for training only" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
