"""Neighbours of one document become one passage: its exact span, in the place and with the score of the better."""

from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from hrm_model.types import Limits
from retrieval.types import Passage
from server.neighbours import Gap, gaps, joined
from server.prompt import Conversation, pack
from tests.fakes.engine import ScriptedEngine

TEXT = "Leave is 28 days.\n\nIt is granted by the manager. Unused days lapse in March.\n\nSick leave needs a note."
DIGEST = sha256(TEXT.encode()).hexdigest()


def passage(start: int, end: int, score: float = 0.5, title: str = "Leave", text: str = TEXT) -> Passage:
    found = text[start:end]
    name = f"chunk-{start}"
    return Passage(
        name, "file-1", "vs_1", "leave.md", title, found, start, end, sha256(text.encode()).hexdigest(), score
    )


def told(passages: list[Passage], text: str = TEXT) -> dict[Gap, str]:
    return {gap: text[gap.start : gap.end] for gap in gaps(passages)}


FIRST, SECOND, THIRD = passage(0, 17, 0.4), passage(19, 48, 0.9), passage(49, 76, 0.3)


def test_neighbours_are_one_span_of_the_document_in_the_place_and_with_the_score_of_the_better() -> None:
    other = replace(passage(0, 17, 0.7), file_id="file-2")
    found = [SECOND, other, FIRST, THIRD]

    whole, kept = joined(found, told(found))

    assert (whole.start_char, whole.end_char, whole.score, whole.chunk_id) == (0, 76, 0.9, "chunk-19")
    assert whole.text == TEXT[0:76]
    assert whole.sha256 == DIGEST
    assert kept == other


def test_what_overlaps_is_said_once() -> None:
    a, b, inside = passage(0, 30), passage(19, 48), passage(2, 10)

    (whole,) = joined([b, a, inside], {})

    assert (whole.text, whole.start_char, whole.end_char) == (TEXT[:48], 0, 48)


def test_places_in_the_file_are_named_together() -> None:
    first, second = replace(FIRST, page=3, locator="page 3"), replace(SECOND, page=4, locator="page 4")

    (whole,) = joined([second, first], told([first, second]))

    assert (whole.page, whole.locator) == (3, "page 3, page 4")


def test_passages_stay_apart_where_something_lies_between_or_nothing_is_known_of_it() -> None:
    apart = [passage(0, 17), passage(29, 48)]  # "It is gran" lies between them
    unknown = [FIRST, SECOND]
    headed = [FIRST, replace(SECOND, title="Approval")]
    copies = [FIRST, replace(SECOND, store_id="vs_2")]
    changed = [FIRST, replace(SECOND, sha256="0" * 64)]

    assert joined(apart, told(apart)) == apart
    assert joined(unknown, {}) == unknown
    assert [joined(found, told(found)) == found for found in (headed, copies, changed)] == [True] * 3
    assert joined(apart, {Gap("file-1", DIGEST, 17, 29): TEXT[17:29]}) == apart


def test_what_a_caller_brought_stays_as_it_is() -> None:
    brought = [replace(passage(0, 17), file_id=None), replace(passage(17, 48), file_id=None)]

    assert joined(brought, {}) == brought
    assert gaps(brought) == []


def test_a_passage_within_another_keeps_none_from_the_next() -> None:
    found = [FIRST, passage(FIRST.start_char + 1, FIRST.start_char + 2), SECOND]

    (whole,) = joined(found, told(found))

    assert (whole.start_char, whole.end_char) == (FIRST.start_char, SECOND.end_char)


@given(st.data())
def test_every_word_that_was_found_is_kept_and_every_passage_is_its_span(data: st.DataObject) -> None:
    text = data.draw(st.text("ab \n", min_size=1, max_size=40))
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda span: span[0] < span[1])
    found = [passage(*span, text=text) for span in data.draw(st.lists(spans, max_size=6, unique=True))]

    whole = joined(found, told(found, text))

    assert all(text[one.start_char : one.end_char] == one.text for one in whole)
    assert all(
        any(one.start_char <= part.start_char and part.end_char <= one.end_char for one in whole) for part in found
    )
    assert joined(whole, told(whole, text)) == whole


def test_joining_never_cuts_what_fits_and_says_how_many_were_left_out() -> None:
    engine = ScriptedEngine(limits=Limits(4096, 65536, 512, 20))
    found = [SECOND, FIRST, passage(78, 102)]

    packed = pack(
        Conversation("How much?", (), ""),
        found,
        engine=engine,
        condition=("direct",),
        max_tokens=8,
        max_context_tokens=None,
        between=told(found),
    )

    assert [one.text for one in packed.passages] == [TEXT[:48]]
    assert TEXT[:48] in packed.prompt.text
    assert (packed.left_out, packed.truncated) == (1, True)
