"""Pages written by hand: how their files are read, and what the examples made of them promise."""

import json
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from hrm_model.template import UNANSWERABLE, compose
from hrm_model.training.grounded import PAGES, Example, Split, page_examples
from hrm_model.training.grounded.pages import SLOT, Page, expand_around_slots, pages, parse

SPLITS: tuple[Split, ...] = ("train", "names", "wordings")
every_split = pytest.mark.parametrize("held", SPLITS)
EVERY_PAGE = (*pages(False), *pages(True))
MOVING = """
# Moving house at {@company}
= Whoever moves informs {who} within {limit:duration}.
~ [A move|A new address] is told to {who}, {limit:duration} later at most.
who? Who needs to know my address {limit} after the move?
limit? How soon must {who} hear of it?
! Who pays the van?
"""


def some(*, count: int = 400, seed: int = 7, held: Split = "train") -> list[Example]:
    return list(islice(page_examples(seed, PAGES, held), count))


def test_a_page_has_its_title_its_facts_with_wordings_and_questions_and_what_it_does_not_answer() -> None:
    (page,) = parse(MOVING, "homes")
    (fact,) = page.entries

    assert (page.area, page.title) == ("homes", "Moving house at {@company}")
    assert {name: slot.kind for name, slot in fact.slots.items()} == {"who": "who", "limit": "duration"}
    assert len(fact.said) == 2
    assert fact.asked == [
        ("who", "Who needs to know my address {limit} after the move?"),
        ("limit", "How soon must {who} hear of it?"),
    ]
    assert page.unanswered == ["Who pays the van?"]


def test_the_bars_of_a_slot_are_no_alternatives_of_the_wording() -> None:
    assert expand_around_slots("[a|the] {thing:cup|mug|glass|jar} breaks") == (
        "a {thing:cup|mug|glass|jar} breaks",
        "the {thing:cup|mug|glass|jar} breaks",
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("= Something costs {many}.", "{many}: there is no such type"),
        ("= From {duration} to {duration}.", "the name stands twice"),
        ("= It opens {when:at noon|on {weekday}|late|early}.", "stand within a slot"),
        ("~ Whoever moves informs {who}.", "another wording of a fact has the same slots"),
        ("where? Who needs to know?", "the fact has no slot 'where'"),
        ("who? Is it {who}?", "not the one that it asks for"),
        ("who? Is it {room}?", "may hold the fact's other slots"),
        ("! Who pays {who}?", "has no fact to take slots from"),
        ("Whoever moves pays.", "neither page, fact, wording nor question"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_what_is_wrong(line: str, said: str) -> None:
    broken = "# Moving\n= Whoever moves informs {who} within {duration}.\n" + line

    with pytest.raises(ValueError, match="homes, line 3: ") as raised:
        parse(broken, "homes")

    assert said in str(raised.value)


@pytest.mark.parametrize("line", ["= A fact of {money}.", "! Who pays?"])
def test_a_line_before_the_first_page_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 1: no page has begun"):
        parse(line, "homes")


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.title)
def test_a_page_tells_several_facts_each_asked_in_several_ways_and_leaves_questions_open(page: Page) -> None:
    assert len(page.entries) >= 5
    assert len(page.unanswered) >= 3
    for entry in page.entries:
        assert len(entry.asked) >= 3, entry.said[0]
        assert len(set(entry.asked)) == len(entry.asked), entry.said[0]
        assert all(len(slot.options) >= 4 for slot in entry.slots.values() if slot.options), entry.said[0]
        assert all(said.endswith(".") for said in entry.said), entry.said[0]


def test_no_title_and_no_statement_stands_twice() -> None:
    titles = Counter(page.title for page in EVERY_PAGE)
    said = Counter(said for page in EVERY_PAGE for entry in page.entries for said in entry.said)

    assert [title for title, count in titles.items() if count > 1] == []
    assert [line for line, count in said.items() if count > 1] == []


def test_a_page_in_eight_is_kept_out_of_training_and_no_example_shows_it() -> None:
    def facts(held: Split) -> set[str]:
        return {fact for example in some(held=held, count=600) for _, fact, _ in example.facts}

    assert 0.06 < len(pages(True)) / len(EVERY_PAGE) < 0.19
    assert facts("train")
    assert not (facts("train") | facts("names")) & facts("wordings")


def test_the_same_seed_gives_the_same_examples_and_another_gives_others() -> None:
    assert some(count=50) == some(count=50)
    assert not {e.instruction for e in some(count=50)} & {e.instruction for e in some(count=50, seed=8)}


@every_split
def test_an_instruction_is_what_the_server_would_spell_with_every_gap_filled(held: Split) -> None:
    for example in some(held=held):
        assert example.instruction == compose(
            example.question, sources=example.passages, turns=example.turns, system=example.system
        )
        assert not SLOT.search(example.instruction)
        assert "[" not in example.instruction


@every_split
def test_an_answer_stands_word_for_word_in_a_sentence_of_a_passage(held: Split) -> None:
    for example in some(held=held):
        if example.evidence is None:
            assert (example.response, example.kind) == (UNANSWERABLE, "unanswerable")
            continue
        assert example.response in example.evidence
        assert any(example.evidence in source.text for source in example.passages)
        if example.kind == "quote":
            assert example.response == example.evidence


@every_split
def test_a_question_has_one_answer_or_none(held: Split) -> None:
    for example in some(held=held, count=1500):
        told = [fact for fact in example.facts if fact[:2] == example.asked]
        assert len(told) == (0 if example.kind == "unanswerable" else 1), example.instruction


def test_shares_and_sizes_are_the_levels() -> None:
    found = some(count=3000)
    shown = Counter(len(example.passages) for example in found)
    quotes = [example.question for example in found if example.kind == "quote"]
    answered = sum(example.kind != "unanswerable" for example in found)

    assert 1 - answered / len(found) == pytest.approx(PAGES.unanswerable, abs=0.035)
    assert len(quotes) / answered == pytest.approx(PAGES.quotes, abs=0.03)
    assert shown.keys() == set(range(PAGES.passages[0], PAGES.passages[1] + 1))


def test_some_unanswerable_questions_stand_beside_facts_of_their_own_page_and_some_do_not() -> None:
    unanswerable = [example for example in some(count=1500) if example.kind == "unanswerable"]

    beside = [any(page == example.asked[0] for page, _, _ in example.facts) for example in unanswerable]

    assert 0.8 < sum(beside) / len(beside) < 0.97


def test_the_command_writes_pages_too(tmp_path: Path) -> None:
    out = tmp_path / "pages.jsonl"
    command = [sys.executable, "-m", "hrm_model.training.grounded", str(out), "--level", "pages", "--count", "30"]

    subprocess.run([*command, "--seed", "3", "--split", "wordings"], check=True)

    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    expected = islice(page_examples(3, PAGES, "wordings"), 30)
    assert records == [json.loads(json.dumps(example.record())) for example in expected]
