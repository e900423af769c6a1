"""hrm_model.spelling: a prompt to ids, and what a reader sees of them."""

import pytest

from hrm_model.errors import InvalidPrompt
from hrm_model.spelling import Speller, ids_of
from hrm_model.types import Question, Tokens
from tests.engines import Tiny


def test_a_question_reads_back_as_it_was_asked_with_the_bytes_of_each_token(tiny: Tiny) -> None:
    question = Question(" Who approves a refund?\n", condition=("synth", "cot"))

    spelled = Speller(tiny.tokenizer).spelled(question)

    assert spelled.text == question.text
    assert b"".join(spelled.tokens).decode() == question.text.strip()
    assert len(spelled.tokens) == len(ids_of(question, tiny.tokenizer)[0])
    assert spelled.tokens[:3] == (b"", b"", b"")
    assert spelled.tokens[-1] == b""


def test_token_ids_read_back_whole_even_where_a_character_takes_several(tiny: Tiny) -> None:
    ids = tuple(tiny.tokenizer.encode("refund 🙂"))

    spelled = Speller(tiny.tokenizer).spelled(Tokens(ids, len(ids)))

    assert spelled.text == "refund 🙂"
    assert len(spelled.tokens) == len(ids)
    assert b"".join(spelled.tokens).decode() == spelled.text


@pytest.mark.parametrize("prompt", [Tokens((), 0), Tokens((1, 2), 3), Tokens((10**6,), 1), Tokens((-1,), 1)])
def test_what_the_engine_would_refuse_is_refused(tiny: Tiny, prompt: Tokens) -> None:
    with pytest.raises(InvalidPrompt):
        Speller(tiny.tokenizer).spelled(prompt)
