"""hrm_model.spans: an answer that has to be a span of given texts, and what may come next in it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_model.endings import Vocabulary
from hrm_model.errors import InvalidGrammar
from hrm_model.spans import SpanMatching, span_matchings
from hrm_model.template import END_ANSWER
from hrm_model.types import SpanOf
from tests.engines import Tiny

DESK = "Clara Ibbotson runs the desk (room 2.07) from 10:00–15:00; fees: 1,400 euros a year, by Port Senning's KX-204."


@pytest.fixture(scope="module")
def words(tiny: Tiny) -> Vocabulary:
    return Vocabulary(tiny.tokenizer)


def begun(words: Vocabulary, *texts: str, options: tuple[str, ...] = ()) -> SpanMatching:
    (matching,) = span_matchings(SpanOf(texts, options), 1, words)
    return matching


def takes(matching: SpanMatching, tiny: Tiny, text: str) -> bool:
    """Whether a text may be said as a whole; letter by letter, so that no token's edge decides."""
    tokens = [tiny.tokenizer.encode(letter) for letter in text]
    for token in (one for letter in tokens for one in letter):
        (allowed,) = matching.allowed(())
        assert allowed is not None
        if not allowed.open[token]:
            return False
        matching.accept(token)
    (allowed,) = matching.allowed(())
    assert allowed is not None
    return bool(allowed.open[tiny.tokenizer.control(END_ANSWER)])


@pytest.mark.parametrize(
    "span",
    [
        "Clara Ibbotson", "Clara", "room 2.07", "(room 2.07)", "10:00", "10:00–15:00", "15:00", "15:00;",
        "1,400 euros a year", "Port Senning", "Port Senning's", "KX-204", "KX-204.",
        "the desk (room 2.07) from 10:00", DESK,
    ],
)  # fmt: skip
def test_words_that_follow_each_other_may_be_said(span: str, words: Vocabulary, tiny: Tiny) -> None:
    assert takes(begun(words, "Another text.", DESK), tiny, span)


@pytest.mark.parametrize(
    "text",
    [
        "", "Clar", "lara", "Clara runs", "07", "2", "room 2", "400 euros", "1", "00", "204", "KX", "Clara  Ibbotson",
        " Clara", "desk room", "Port Senning'", "text. Clara", "text.Clara", "unanswer",
    ],
)  # fmt: skip
def test_no_part_of_a_word_or_of_a_number_may_be_said_and_nothing_that_stands_elsewhere(
    text: str, words: Vocabulary, tiny: Tiny
) -> None:
    assert not takes(begun(words, "Another text.", DESK, options=("unanswerable",)), tiny, text)


def test_an_option_is_said_whole_or_not_at_all(words: Vocabulary, tiny: Tiny) -> None:
    texts, options = ("unanswerable questions",), ("not known here",)

    assert takes(begun(words, *texts, options=options), tiny, "not known here")
    assert not takes(begun(words, *texts, options=options), tiny, "known here")
    assert not takes(begun(words, *texts, options=options), tiny, "not known")
    assert takes(begun(words, *texts, options=options), tiny, "unanswerable"), "it is a word of the text as well"


def test_leaning_weighs_what_begins_an_option_alone(words: Vocabulary, tiny: Tiny) -> None:
    form = SpanOf(("no desk", "under the desk"), ("unknown", "no"), leaning=-2.0)
    (matching,) = span_matchings(form, 1, words)
    (opening,) = matching.allowed(())
    assert opening is not None
    assert opening.leaning is not None

    tokens, bias = opening.leaning
    begun = {words.spelled(token) for token in tokens}
    matching.accept(tiny.tokenizer.encode("u")[0])
    (later,) = matching.allowed(())

    assert bias == -2.0
    assert all(b"unknown".startswith(spelled) for spelled in begun)
    assert not begun & {b"u", b"n", b"no", b"un"}, "a text begins so as well"
    assert later is not None
    assert later.leaning is None
    (even,) = span_matchings(SpanOf(("no desk",), ("unknown",)), 1, words)[0].allowed(())
    assert even is not None
    assert even.leaning is None


def test_white_space_of_any_kind_is_one_blank(words: Vocabulary, tiny: Tiny) -> None:
    assert takes(begun(words, "at  least\n14\tcharacters\xa0long"), tiny, "at least 14 characters long")


def test_a_text_of_other_scripts_is_followed_through_the_middle_of_its_letters(words: Vocabulary, tiny: Tiny) -> None:
    assert takes(begun(words, "東京 に 5 人🙂 います"), tiny, "5 人🙂")


@pytest.mark.parametrize("texts", [(), ("",), (" \n",)])
def test_texts_without_a_word_are_refused(texts: tuple[str, ...], words: Vocabulary) -> None:
    with pytest.raises(InvalidGrammar, match="no word"):
        begun(words, *texts)


TEXTS = st.lists(st.text(max_size=40), min_size=1, max_size=4).filter(lambda texts: any(text.split() for text in texts))


@given(texts=TEXTS, seed=st.integers(0, 2**32))
def test_whatever_is_drawn_stands_in_a_text_and_there_is_always_a_way_on(
    words: Vocabulary, tiny: Tiny, texts: list[str], seed: int
) -> None:
    matching, chance = begun(words, *texts, options=("unanswerable",)), random.Random(seed)
    end, said = tiny.tokenizer.control(END_ANSWER), list[int]()

    while True:
        (allowed,) = matching.allowed(())
        assert allowed is not None
        token = chance.choice(np.flatnonzero(allowed.open).tolist())
        if token == end:
            break
        said.append(token)
        matching.accept(token)

    text = b"".join(words.spelled(token) for token in said).decode()
    assert text == "unanswerable" or any(text in " ".join(one.split()) for one in texts)
    assert matching.fault is None


@given(texts=TEXTS, draft=st.lists(st.integers(0, 300), max_size=6), seed=st.integers(0, 2**32))
def test_what_may_follow_a_draft_is_what_may_follow_its_tokens_one_by_one(
    words: Vocabulary, tiny: Tiny, texts: list[str], draft: list[int], seed: int
) -> None:
    ahead, step = span_matchings(SpanOf(tuple(texts), ("no",)), 2, words)
    first = random.Random(seed).choice(np.flatnonzero(_open(step)).tolist())
    draft = [first, *(token for token in draft if token < len(words.ordinary))]

    found = ahead.allowed(draft)

    fits = 0
    for mask, token in zip(found, draft, strict=False):
        assert mask is not None
        assert (mask.open == _open(step)).all()
        if not mask.open[token] or token == words.end:
            break
        step.accept(token)
        fits += 1
    else:
        last = found[-1]
        assert last is not None
        assert (last.open == _open(step)).all()
    assert ahead.fitting(draft) == draft[:fits]
    assert found[fits + 1 :] == [None] * (len(draft) - fits)
    assert (_open(ahead) == _open(span_matchings(SpanOf(tuple(texts), ("no",)), 1, words)[0])).all(), "it only looked"


def _open(matching: SpanMatching) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    (allowed,) = matching.allowed(())
    assert allowed is not None
    return allowed.open
