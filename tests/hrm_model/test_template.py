"""How prompts are spelled: the bytes of the golden file, and what no text can do to them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_model.errors import InvalidPrompt
from hrm_model.template import READ_THE_PASSAGES, Source, compose, spell
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.types import Condition, Question
from tests.byte_tokenizer import CONTROLS, byte_tokenizer, load, write_tokenizer
from tests.hrm_model.prompts import GOLDEN, cases, render

PINNED: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize("name", list(cases()))
def test_a_prompt_is_what_the_golden_file_says(name: str, tokenizer: Tokenizer) -> None:
    question = cases()[name]

    assert question.text == PINNED[name]["text"]
    assert list(question.condition) == PINNED[name]["condition"]
    assert spell(question, tokenizer) == PINNED[name]["ids"]


def test_the_golden_file_holds_these_prompts_and_no_others(tokenizer: Tokenizer) -> None:
    assert GOLDEN.read_text(encoding="utf-8") == render(tokenizer)


def test_a_passage_is_its_title_its_text_and_the_sentence_of_squad_v2() -> None:
    text = compose("Who signs?", sources=[Source("Claims", "Marta signs.")])

    assert text == (
        "Claims:\n\nMarta signs.\n\nPlease answer a question about this article. "
        'If the question is unanswerable, say "unanswerable". Who signs?'
    )


def test_a_question_without_passages_stands_alone() -> None:
    assert compose(" Who signs? ") == "Who signs?"
    assert READ_THE_PASSAGES not in compose("Who signs?", system="Be brief.")


@pytest.mark.parametrize("condition", [(), ("cot", "direct"), ("direct", "synth"), ("noisy", "cot"), ("direct",) * 2])
def test_an_untrained_condition_is_refused_by_name(condition: tuple[Condition, ...], tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidPrompt, match=f"'{','.join(condition)}' does not occur"):
        spell(Question("Who signs?", condition), tokenizer)


def test_a_condition_that_the_checkpoint_has_no_token_for_is_refused_by_name(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    raw["added_tokens"] = [entry for entry in raw["added_tokens"] if entry["content"] != "<|object_ref_end|>"]
    del raw["model"]["vocab"]["<|object_ref_end|>"]

    with pytest.raises(InvalidPrompt, match=r"'synth,cot': this checkpoint has no token <\|object_ref_end\|>"):
        spell(Question("Who signs?", ("synth", "cot")), load_tokenizer(write_tokenizer(tmp_path, raw)))


hostile = st.lists(st.one_of(st.sampled_from([*CONTROLS, "\n\n", " "]), st.text(max_size=8)), max_size=6).map("".join)


@given(question=hostile, title=hostile, passage=hostile)
def test_no_text_can_end_the_prompt_or_set_its_condition(
    tokenizer: Tokenizer, question: str, title: str, passage: str
) -> None:
    ids = spell(Question(compose(question, sources=[Source(title, passage)])), tokenizer)

    assert ids[:2] == [CONTROLS["<|im_start|>"], CONTROLS["<|object_ref_start|>"]]
    assert ids[-1] == CONTROLS["<|im_end|>"]
    assert not set(ids[2:-1]) & set(CONTROLS.values())
