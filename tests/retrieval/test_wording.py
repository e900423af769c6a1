"""retrieval.wording: how much of a query's words a chunk carries."""

import pytest

from retrieval.wording import STOP_WORDS, Term, Wording, occurrences, terms, weigh


def cut(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def wording(query: str, **counts: int) -> Wording:
    return weigh(terms(query, cut), 100, lambda term: counts.get(term.asked, 1))


def phrases(query: str) -> list[str]:
    """What the lexical index is asked for."""
    return [term.expression() for term in terms(query, cut)]


def test_stop_words_say_nothing_whatever_their_case_and_punctuation() -> None:
    assert terms("What is the fee, and why? (The)", cut) == [Term("fee,", ("fee",))]
    assert wording("What is it?").says_nothing


def test_a_code_stays_one_term_and_a_repeated_word_counts_once() -> None:
    assert terms("error HX-204/B error", cut) == [Term("error", ("error",)), Term("HX-204/B", ("hx", "204", "b"))]


def test_quotes_in_a_query_stay_within_their_term() -> None:
    assert phrases('say "hello" OR NEAR(x)') == ['"say"', '"""hello"""', '"NEAR(x)"']


def test_a_nul_which_would_end_the_expression_parts_words_like_a_blank() -> None:
    assert phrases("parking\0permit \0 HX\0") == ['"parking"', '"permit"', '"HX"']
    assert wording("\0 what\0is").says_nothing


def test_a_chunk_that_says_everything_scores_higher_than_one_that_says_half() -> None:
    asked = wording("parking permit")

    both, one, none = (asked.score(cut(text)) for text in ("the parking permit", "the parking", "the fee"))

    assert 0.5 < both < 1
    assert one == pytest.approx(both / 2, rel=0.05)  # the shorter chunk gains a little by its length
    assert none == 0


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    asked = wording("employees HX204", employees=90)

    assert asked.score(["hx204"]) > 5 * asked.score(["employees"])


def test_a_second_mention_adds_little_and_a_long_chunk_loses_some() -> None:
    asked = wording("fee")

    once, twice, long = asked.score(["fee"]), asked.score(["fee"] * 2), asked.score(["fee"] + ["word"] * 200)

    assert once < twice < once * 1.5
    assert long < once


def test_terms_of_several_words_occur_in_their_order() -> None:
    assert occurrences(("hx", "204"), ["hx", "204", "204", "hx", "hx", "204"]) == 2


def test_stop_words_are_in_lower_case() -> None:
    assert {word.lower() for word in STOP_WORDS} == STOP_WORDS
