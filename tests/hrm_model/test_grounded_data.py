"""The training data of the bundled model: what every generated example promises."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from hrm_model.template import UNANSWERABLE, compose
from hrm_model.training.grounded import LEVELS, Example, Level, Split, examples, wordings
from hrm_model.training.grounded.names import words
from hrm_model.training.grounded.nouns import side
from hrm_model.training.grounded.patterns import statement_patterns
from hrm_model.training.grounded.relations import RELATIONS
from hrm_model.training.grounded.wording import expand, fill, lines, split

SPLITS: tuple[Split, ...] = ("train", "names", "wordings")
every_level = pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)


def some(level: Level = LEVELS[-1], *, count: int = 600, seed: int = 7, held: Split = "train") -> list[Example]:
    return list(islice(examples(seed, level, held), count))


def test_the_same_seed_gives_the_same_examples_and_another_gives_others() -> None:
    first, again, other = some(count=50), some(count=50), some(count=50, seed=8)

    assert first == again
    assert not {example.instruction for example in first} & {example.instruction for example in other}


@every_level
def test_an_instruction_is_exactly_what_the_server_would_spell(level: Level) -> None:
    for example in some(level, count=200):
        assert example.instruction == compose(
            example.question, sources=example.passages, turns=example.turns, system=example.system
        )


@every_level
@pytest.mark.parametrize("held", SPLITS)
def test_an_answer_stands_word_for_word_in_a_sentence_of_a_passage(level: Level, held: Split) -> None:
    for example in some(level, held=held, count=300):
        if example.evidence is None:
            assert (example.response, example.kind) == (UNANSWERABLE, "unanswerable")
            continue
        assert example.response in example.evidence
        assert any(example.evidence in source.text for source in example.passages)
        assert example.response == example.response.strip()
        if example.kind == "quote":
            assert example.response == example.evidence


@every_level
def test_every_sentence_stands_in_a_passage(level: Level) -> None:
    for example in some(level, count=200):
        texts = "\n\n".join(source.text for source in example.passages)
        assert all(sentence in texts for sentence in example.sentences)


@every_level
def test_a_question_has_one_answer_or_none(level: Level) -> None:
    for example in some(level, count=1500):
        told = [fact for fact in example.facts if fact[:2] == example.asked]
        assert len(told) == (0 if example.kind == "unanswerable" else 1), example.instruction


@every_level
def test_the_share_of_unanswerable_questions_is_the_levels(level: Level) -> None:
    found = some(level, count=3000)

    share = sum(example.kind == "unanswerable" for example in found) / len(found)

    assert share == pytest.approx(level.unanswerable, abs=0.025)  # four standard errors of 3,000 draws


@every_level
def test_sizes_stay_within_the_level(level: Level) -> None:
    for example in some(level):
        assert level.passages[0] <= len(example.passages) <= level.passages[1]


def test_prompts_of_the_hardest_level_are_mostly_short() -> None:
    lengths = sorted(len(example.instruction.split()) for example in some(count=1000))

    assert lengths[950] <= 350


def test_nearly_every_instruction_is_new() -> None:
    found = some(LEVELS[0], count=5000)

    assert len({example.instruction for example in found}) > 4990


def test_no_invented_word_or_noun_is_on_both_sides() -> None:
    train, held_out = words(False), words(True)
    for pool in ("first", "last", "place", "company", "product"):
        assert not set(getattr(train, pool)) & set(getattr(held_out, pool))
    for group in ("modifier", "thing", "event", "facility", "people", "body", "mass"):
        assert side(group, True)
        assert not set(side(group, False)) & set(side(group, True))


def test_no_wording_is_on_both_sides() -> None:
    for block in {relation.says for relation in RELATIONS} | {relation.asks for relation in RELATIONS}:
        divided = split(block)
        train = {text for options in divided.train for text in options}
        held_out = {text for options in divided.held_out for text in options}

        assert train
        assert held_out
        assert not train & held_out, train & held_out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{s} works here", "he works here"),
        ("the post of {s}", "the post of him"),
        ("when {was} {s} hired", "when was he hired"),
    ],
)
def test_a_pronoun_takes_the_case_of_its_place(line: str, said: str) -> None:
    assert fill(line, {"s": "he", "was": "was"}) == said


def test_relations_are_many_and_each_is_said_and_asked_in_many_ways() -> None:
    assert len(RELATIONS) >= 60
    for relation in RELATIONS:
        assert len([text for line in lines(relation.says) for text in expand(line)]) >= 5, relation.name
        assert len([text for line in lines(relation.asks) for text in expand(line)]) >= 5, relation.name


def test_all_statement_wordings_can_be_listed() -> None:
    listed = set(wordings())

    assert all(set(expand(line)) <= listed for relation in RELATIONS for line in lines(relation.says))
    assert all("[" not in text for text in listed)


def test_the_command_writes_lines_of_json(tmp_path: Path) -> None:
    out = tmp_path / "few.jsonl"
    command = [
        sys.executable,
        "-m",
        "hrm_model.training.grounded",
        str(out),
        "--level",
        "few",
        "--count",
        "20",
        "--seed",
        "3",
    ]

    subprocess.run(command, check=True)

    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert records == [
        json.loads(json.dumps(example.record())) for example in islice(examples(3, LEVELS[3], "train"), 20)
    ]


@pytest.mark.parametrize("level", ["few", "table"])
def test_the_command_takes_another_share_of_quotes_than_the_levels(level: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    command = [sys.executable, "-m", "hrm_model.training.grounded", str(path), "--level", level, "--count", "300"]

    subprocess.run([*command, "--quotes", "0.6"], check=True, capture_output=True)

    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds.count("quote") / (300 - kinds.count("unanswerable")) == pytest.approx(0.6, abs=0.08)


@pytest.mark.parametrize("share", ["1.2", "-0.1", "nan", "many"])
def test_a_share_of_quotes_that_is_none_is_refused_by_name(share: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hrm_model.training.grounded", str(tmp_path / "data.jsonl"), f"--quotes={share}"]

    ended = subprocess.run(command, capture_output=True, text=True)

    assert ended.returncode == 2
    assert "--quotes" in ended.stderr
    assert share in ended.stderr


def test_a_sentence_of_the_generator_is_recognised_and_an_unlike_one_is_not() -> None:
    def is_said(sentence: str) -> bool:
        return any(pattern.fullmatch(sentence) for pattern in statement_patterns())

    assert is_said("The excess for glass claims is 150 euros.")
    assert is_said("Wood tenants are supervised by the site manager.")
    assert is_said("Guests are welcome at the bedside daily, 9 am to 5 pm."), "of a page that was written by hand"
    assert not is_said("Whoever breaks a window pays the first 150 euros out of their own pocket.")
