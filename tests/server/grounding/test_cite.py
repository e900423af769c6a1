"""An answer with its markers: where they stand, what is held back, and that cutting it differently changes nothing."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.grounding.cite import CitedText, Mode, Verdict
from server.grounding.support import Sources
from tests.fakes.meaning import apart

NOTHING = "The documents do not contain the answer."
PASSAGES = ["Staff get 28 days of leave.", "Marta Velin leads the claims desk. It opens at 9:00."]


def written(*pieces: str, mode: Mode = "cite") -> tuple[str, Verdict]:
    answer = CitedText(Sources(PASSAGES, "Who gets what?", apart), mode=mode, abstention=NOTHING)
    text = "".join(answer.grow(piece) for piece in pieces)
    rest, verdict = answer.end()
    return text + rest, verdict


def test_a_marker_stands_after_the_full_stop_and_before_the_space() -> None:
    text, verdict = written("Staff get 28 days of leave. Marta Velin leads the claims desk.\n")

    assert text == "Staff get 28 days of leave. [1] Marta Velin leads the claims desk. [2]\n"
    assert [text[mark.start : mark.end] for mark in verdict.marks] == [
        "Staff get 28 days of leave. [1]",
        "Marta Velin leads the claims desk. [2]",
    ]
    assert (verdict.status, verdict.sentences, verdict.supported_sentences) == ("supported", 2, 2)


def test_a_short_answer_gets_its_marker_without_a_full_stop() -> None:
    assert written("Marta Velin")[0] == "Marta Velin [2]"


def test_a_sentence_without_a_source_stays_and_is_counted() -> None:
    text, verdict = written("Staff get 28 days of leave. The moon is made of cheese.")

    assert text == "Staff get 28 days of leave. [1] The moon is made of cheese."
    assert (verdict.status, verdict.sentences, verdict.supported_sentences) == ("partial", 2, 1)


def test_strict_withholds_what_no_source_supports() -> None:
    text, verdict = written("The moon is cheese. Staff get 28 days of leave. Really! Marta Velin.", mode="strict")

    assert text == "Staff get 28 days of leave. [1] Marta Velin. [2]"
    assert [text[mark.start : mark.end] for mark in verdict.marks] == text.replace("] ", "]|").split("|")
    assert (verdict.status, verdict.sentences, verdict.supported_sentences) == ("partial", 4, 2)


def test_strict_with_nothing_left_says_so_in_one_sentence() -> None:
    text, verdict = written("The moon is made of cheese.", mode="strict")

    assert text == NOTHING
    assert (verdict.status, verdict.sentences, verdict.marks) == ("unsupported", 1, ())
    assert verdict.replaced


def test_off_leaves_the_text_alone_and_still_reports() -> None:
    text, verdict = written("Staff get 28 days of leave. [7] Ok.", mode="off")

    assert text == "Staff get 28 days of leave. [7] Ok."
    assert (verdict.status, verdict.marks) == ("partial", ())


@pytest.mark.parametrize("answer", ["unanswerable", "Unanswerable.", ' "UNANSWERABLE" \n'])
def test_an_abstention_is_replaced_by_a_sentence_for_people(answer: str) -> None:
    text, verdict = written(*answer)

    assert text == NOTHING
    assert (verdict.status, verdict.sentences, verdict.replaced) == ("abstained", 0, True)


@pytest.mark.parametrize("answer", ["un", "unanswerable questions are rare", "Una", "unanswerably"])
def test_what_only_begins_like_an_abstention_is_an_answer(answer: str) -> None:
    text, verdict = written(*answer)

    assert text == answer
    assert verdict.status == "unsupported"


def test_nothing_is_sent_while_the_answer_may_still_be_an_abstention() -> None:
    answer = CitedText(Sources(PASSAGES, "q", apart), mode="cite", abstention=NOTHING)

    assert [answer.grow(piece) for piece in ("un", "answer", "able", " is")] == ["", "", "", "unanswerable is"]


def test_a_marker_of_the_models_own_making_loses_its_brackets() -> None:
    text, _ = written("Staff get 28 days of leave [", "1", "2]. See [x] and [3")

    assert text == "Staff get 28 days of leave (12). See [x] and (3"


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ("Staff get 28 days【2†policy.pdf】.", "Staff get 28 days(2†policy.pdf)."),
        ("Staff get 28 days [2:0†source].", "Staff get 28 days (2:0†source)."),
        ("［1:12†a file, §3］", "(1:12†a file, §3)"),
        ("[2:0]", "(2:0)"),
        ("[2†[3]]", "(2†(3)]"),
        ("[2†never closed", "(2†never closed"),
        ("[2†on a line\nof its own]", "(2†on a line\nof its own]"),
        (f"【2†{'x' * 80}】", f"(2†{'x' * 80})"),
        (f"【2†{'x' * 81}】", f"(2†{'x' * 81}】"),
        ("][2†a](b)", "] (2†a)(b)"),
        ("a dagger† and [another†]", "a dagger† and [another†]"),
    ],
)
def test_the_markers_that_name_a_file_lose_their_brackets_too(answer: str, sent: str) -> None:
    text, _ = written(answer)

    assert re.sub(r" \[\d\]$", "", text) == sent
    assert written(*answer)[0] == text


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (r"Leave \[1\].", r"Leave \(1)."),
        ("Leave [*1*], [**2**], [ 1. ].", "Leave (*1*), (**2**), ( 1. )."),
        ("Leave [1 and 2], [1、2], [1/2], [2 to 4].", "Leave (1 and 2), (1、2), (1/2), (2 to 4)."),
        ("Leave [1\ufe0f], [\u200b1], [²], [①].", "Leave (1\ufe0f), (\u200b1), (²), (①)."),
        ("Leave &#91;1&#93;, &lbrack;1], [&#49;&rsqb;.", "Leave (1), (1], (&#49;)."),
        ("Leave &#x005B;1&#x5d; & more &amp; &#9", "Leave (1) & more &amp; &#9"),
        ("Leave &#12304;1&#12305; &#65339;1&#xFF3D; &lt;1]", "Leave (1) (1) &lt;1]"),
        (
            "Leave [&#x31;], [&nbsp;1], [&zwj;1], [&#49;, &shy;2].",
            "Leave (&#x31;), (&nbsp;1), (&zwj;1), (&#49;, &shy;2).",
        ),
        (
            "Anna [<i>2</i>], [<sup class='a'>1</sup>], [<!-- a -->1].",
            "Anna (<i>2</i>), (<sup class='a'>1</sup>), (<!-- a -->1).",
        ),
        (r"Leave [$\mathbf{1}$], [doc1], [➊], 〔1〕, ⟦1⟧.", r"Leave ($\mathbf{1}$), (doc1), (➊), (1), (1)."),
        (f"Leave [{' ' * 90}1], [{'*' * 25}1{'*' * 25}].", f"Leave ({' ' * 90}1), ({'*' * 25}1{'*' * 25})."),
        (f"Leave [{'*' * 59}1] [{'*' * 60}1].", f"Leave ({'*' * 59}1) [{'*' * 60}1]."),
        ("Leave [<b>none</b>], [a &amp; b], [docs], [to do].", "Leave [<b>none</b>], [a &amp; b], [docs], [to do]."),
        ("Leave [1 [1].", "Leave (1 (1)."),
        ("Leave [1 [x], [1", "Leave (1 [x], (1"),
        ("[1st], [2024 report], [x1], [sand 1], [-], [and].", "[1st], [2024 report], [x1], [sand 1], [-], [and]."),
    ],
)
def test_what_a_page_shows_as_a_marker_loses_its_brackets_too(answer: str, sent: str) -> None:
    text, _ = written(answer)

    assert re.sub(r" \[\d\]$", "", text) == sent
    assert written(*answer)[0] == text


def test_an_address_may_be_the_answer_and_stays() -> None:
    assert written("Ask at <https://hr.example/leave> or https://hr.example.")[0] == (
        "Ask at <https://hr.example/leave> or https://hr.example."
    )


def test_an_empty_answer_is_not_a_supported_one() -> None:
    assert written("")[1].status == "unsupported"
    assert written("", mode="strict")[0] == NOTHING


_parts = st.sampled_from(
    [
        *PASSAGES,
        "28 days",
        " ",
        "\n",
        ". ",
        "Marta Velin",
        "The moon. ",
        "un",
        "answerable",
        "[1]",
        "[",
        "]",
        "9:00",
        "【2:0†",
        "†policy.pdf】",
        "†" + "x" * 79,
        "](",
        "é",
        "1 and ",
        "*2\\",
        "&#9",
        "1;",
        "& or ",
        "<b",
        ">3",
        "doc",
        "&nbs",
        "p;4",
        "*" * 40,
    ]
)


@given(
    parts=st.lists(_parts, max_size=8),
    cuts=st.lists(st.integers(0, 200)),
    mode=st.sampled_from(["off", "cite", "strict"]),
)
@example(parts=["]", "[1]", "Staff get 28 days of leave."], cuts=[3], mode="cite")
@example(parts=["[1]", "[", "2]", "[", "x"], cuts=[3, 4, 5, 6], mode="cite")
def test_the_same_answer_comes_out_however_it_was_cut(parts: list[str], cuts: list[int], mode: Mode) -> None:
    answer = "".join(parts)
    bounds = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(bounds)]

    text, verdict = written(*pieces, mode=mode)

    assert (text, verdict) == written(answer, mode=mode)
    for mark in verdict.marks:
        marked = text[mark.start : mark.end]
        number = mark.support.passage + 1
        assert marked.endswith(f" [{number}]")
        assert marked == marked.strip()
        sentence = marked.removesuffix(f" [{number}]")
        assert Sources(PASSAGES, "Who gets what?", apart).find(sentence).supports == (mark.support,)
    assert len(re.findall(r" \[\d\]", text)) >= len(verdict.marks)
    if mode == "off":
        assert verdict.replaced or text == answer
