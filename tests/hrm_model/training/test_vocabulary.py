"""The trained tokenizer: control tokens where transformers and the engine look for them, digits singly, any text."""

import json
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_model.tokenizer import Tokenizer
from hrm_model.training.vocabulary import CONTROL_TOKENS, TOKENIZER_CONFIG_FILE
from tests.hrm_model.training import copying


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizer")


@pytest.fixture(scope="module")
def words(folder: Path) -> Tokenizer:
    return copying.tokenizer(folder)


def test_control_tokens_come_first_in_the_order_of_the_released_tokenizer(words: Tokenizer) -> None:
    assert [words.control(token) for token in CONTROL_TOKENS] == list(range(8))
    assert CONTROL_TOKENS == (
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|object_ref_start|>",
        "<|object_ref_end|>",
        "<|box_end|>",
        "<|quad_start|>",
        "<|quad_end|>",
    )


def test_transformers_finds_the_same_ids(folder: Path, words: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)

    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (1, 5, 0)
    assert theirs("Say amber 1987.", add_special_tokens=False).input_ids == words.encode("Say amber 1987.")
    assert json.loads((folder / TOKENIZER_CONFIG_FILE).read_text())["bos_token"] == "<|im_start|>"


def test_it_has_the_size_that_was_asked_for(words: Tokenizer) -> None:
    assert words.vocab_size == 300


@pytest.mark.parametrize("text", ["1234567890", "28", "007", "٣٤"])
def test_digits_stand_singly(words: Tokenizer, text: str) -> None:
    assert [words.decode(words.encode(digit)) for digit in text] == list(text)
    assert words.encode(text) == [index for digit in text for index in words.encode(digit)]


def test_a_frequent_word_is_one_token_with_its_space_and_a_full_stop_is_its_own(words: Tokenizer) -> None:
    pieces = [words.token_bytes(index) for index in words.encode("Say juniper.")]

    assert pieces[0] == b"Say"
    assert pieces[-1] == b"."
    assert len(words.encode("Say juniper.")) < len("Say juniper.")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_in_nfc(words: Tokenizer, text: str) -> None:
    assert words.decode(words.encode(text)) == normalize("NFC", text)


@given(st.lists(st.sampled_from([*CONTROL_TOKENS, "a", " ", "<|", "|>", "1"]), max_size=8))
def test_no_text_becomes_a_control_token(words: Tokenizer, parts: list[str]) -> None:
    assert all(index >= len(CONTROL_TOKENS) for index in words.encode("".join(parts)))
