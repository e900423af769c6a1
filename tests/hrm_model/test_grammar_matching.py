"""hrm_model.grammar_matching: what may come next, whatever drafts and other choices have looked at."""

from collections.abc import Sequence

import numpy as np
import pytest

from hrm_model.grammar import GrammarCompiler
from hrm_model.grammar_matching import Matching
from hrm_model.template import END_ANSWER
from hrm_model.types import OneOf, Regex
from tests.engines import Tiny
from tests.hrm_model.grammars import here, schema

# After some fifteen letters the work exceeds its limit.
HEAVY = Regex("[a-f]*z|(((([a-f]{1,100}){1,100}){1,100}){1,100})")


@pytest.fixture(scope="module")
def letters(tiny: Tiny) -> list[int]:
    """Sixty tokens of one letter each, none of them `z`."""
    return [tiny.tokenizer.encode(letter)[0] for letter in "abcdef"] * 10


def followed(matching: Matching, tokens: Sequence[int]) -> list[bytes]:
    """The masks up to the fault, or of all tokens."""
    masks: list[bytes] = []
    for token in tokens:
        mask = here(matching)
        if matching.fault is not None:
            break
        masks.append(mask.tobytes())
        matching.accept(token)
    return masks


def test_masks_of_a_draft_are_those_of_the_tokens_taken_one_by_one(compiler: GrammarCompiler, tiny: Tiny) -> None:
    grammar = schema(
        {
            "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
            "required": ["name", "n"],
            "type": "object",
        }
    )
    draft = tiny.tokenizer.encode('{"name": "B\\"o", "n": 12}')
    matching, one_by_one = compiler.compiled(grammar, 2)

    ahead = matching.allowed([*draft, draft[0], draft[1]])

    for found, token in zip(ahead, draft, strict=False):
        (alone,) = one_by_one.allowed(())
        assert found is not None
        assert alone is not None
        for mine, its in ((found.open, alone.open), (found.enders, alone.enders), (found.leavers, alone.leavers)):
            assert (mine is None) == (its is None)
            assert mine is None or its is None or (mine == its).all()
        assert found.open[token]
        one_by_one.accept(token)
    last = ahead[len(draft)]
    assert last is not None
    assert np.flatnonzero(last.open).tolist() == [tiny.tokenizer.control(END_ANSWER)]
    assert ahead[len(draft) + 1 :] == [None, None]
    assert one_by_one.is_complete
    assert not matching.is_complete, "looking ahead takes nothing in"


def test_what_has_to_follow_is_known_as_tokens(compiler: GrammarCompiler, tiny: Tiny) -> None:
    grammar = schema({"properties": {"name": {"const": "Bo"}}, "required": ["name"], "type": "object"})

    (matching,) = compiler.compiled(grammar)

    forced = tiny.tokenizer.decode(matching.forced(100))

    assert len(forced) > 3
    assert '{"name":'.startswith(forced)
    assert len(matching.forced(2)) <= 2


def test_choices_go_their_own_ways(compiler: GrammarCompiler, tiny: Tiny) -> None:
    first, second = compiler.compiled(OneOf(("ab", "cd")), 2)
    for token in tiny.tokenizer.encode("ab"):
        first.accept(token)

    assert first.is_complete
    assert second.fitting(tiny.tokenizer.encode("cd")) == tiny.tokenizer.encode("cd")


def test_a_choice_that_has_reached_a_limit_leaves_the_others_their_own(
    compiler: GrammarCompiler, letters: list[int]
) -> None:
    (alone,) = compiler.compiled(HEAVY)
    expected = followed(alone, letters)
    first, second = compiler.compiled(HEAVY, 2)
    followed(first, letters)
    assert first.fault is not None

    masks = followed(second, letters)

    assert masks == expected
    assert len(masks) > 10


@pytest.mark.parametrize("turn", [0, 3])
def test_drafts_neither_bring_a_fault_nor_keep_one_away(
    compiler: GrammarCompiler, letters: list[int], turn: int
) -> None:
    (alone,), (guessing,) = compiler.compiled(HEAVY), compiler.compiled(HEAVY)
    expected = followed(alone, letters)

    masks: list[bytes] = []
    for at, token in enumerate(letters):
        draft = guessing.fitting([*letters[at : at + 2], *letters[at + turn :][:6]])
        mask, *_ = guessing.allowed(draft)
        assert mask is not None
        if guessing.fault is not None:
            break
        masks.append(mask.open.tobytes())
        guessing.accept(token)

    assert masks == expected
    assert guessing.fitting(letters[:2]) == guessing.forced(2) == []


def test_masks_of_a_draft_that_is_kept_leave_the_fault_where_it_was(
    compiler: GrammarCompiler, letters: list[int]
) -> None:
    (alone,), (guessing,) = compiler.compiled(HEAVY), compiler.compiled(HEAVY)
    expected = followed(alone, letters)

    ahead = guessing.fitting(letters)
    masks = [mask.open.tobytes() for mask in guessing.allowed(ahead) if mask is not None]
    for token in ahead:
        guessing.accept(token)
    masks += followed(guessing, letters[len(ahead) :])[1:]

    assert masks == expected


def test_too_much_work_for_one_token_is_a_fault_and_allows_no_token(compiler: GrammarCompiler, tiny: Tiny) -> None:
    (matching,) = compiler.compiled(Regex("((((a{1,100}){1,100}){1,100}){1,100})"))
    token = tiny.tokenizer.encode("a")[0]

    for _ in range(100):
        mask = here(matching)
        if matching.fault is not None:
            break
        matching.accept(token)

    assert matching.fault is not None
    assert not mask.any()
    assert not matching.is_complete
    assert "\n" not in str(matching.fault)
