"""server.grounding.structure: what a structured answer claims, and that it goes out as it came in, or not at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.grounding.cite import Mode, Verdict
from server.grounding.structure import CitedStructure
from server.grounding.support import Sources
from tests.fakes.meaning import apart

PASSAGES = ["Full-time staff receive 28 days of paid leave each year.", "Marta Velin leads the claims desk."]
QUESTION = "How many days of paid leave do full-time staff receive, and who leads the claims desk?"


def checked(text: str, mode: Mode = "cite", *, is_json: bool = True, cut: int = 7) -> tuple[str, Verdict]:
    """What comes out of an answer that arrives in pieces."""
    cited = CitedStructure(
        Sources(PASSAGES, QUESTION, apart), mode=mode, abstention="Nothing is known.", is_json=is_json
    )
    out = "".join(cited.grow(text[at : at + cut]) for at in range(0, len(text), cut))
    rest, verdict = cited.end()
    return out + rest, verdict


def test_sentences_within_strings_are_marked_where_they_stand() -> None:
    text = '{"leave": "28 days.", "desk": "Marta Velin leads the claims desk. The moon is green."}'

    out, verdict = checked(text)

    assert out == text
    assert [text[mark.start : mark.end] for mark in verdict.marks] == ["28 days.", "Marta Velin leads the claims desk."]
    assert [mark.support.passage for mark in verdict.marks] == [0, 1]
    assert (verdict.status, verdict.sentences, verdict.supported_sentences) == ("partial", 3, 2)


def test_numbers_are_claims_and_names_of_properties_are_not() -> None:
    text = '{"Marta Velin": true, "days": 28, "other": null}'

    _, verdict = checked(text)

    assert [text[mark.start : mark.end] for mark in verdict.marks] == ["28"]
    assert (verdict.status, verdict.sentences) == ("supported", 1)


def test_places_count_the_text_as_it_is_written_escapes_included() -> None:
    text = '{"a": "\\u001f \\"x\\"\\n\\n28 days\\n\\n", "b": 3}'

    _, verdict = checked(text)

    assert [text[mark.start : mark.end] for mark in verdict.marks] == ["28 days"]


@pytest.mark.parametrize(
    ("text", "is_json", "status"),
    [
        ('{"desk": "Marta Velin"}', True, "supported"),
        ('{"desk": "Peter Olm"}', True, "unsupported"),
        ('{"answer": "unanswerable"}', True, "abstained"),
        ("unanswerable", False, "abstained"),
        ('{"is_known": false}', True, "unsupported"),
        ("28 days", False, "supported"),
        ('{"days": 28, "desk": ', True, "supported"),
        ('{"days": 28, "desk": "Mar', True, "partial"),
    ],
)
def test_the_verdict_is_about_all_claims(text: str, is_json: bool, status: str) -> None:
    out, verdict = checked(text, is_json=is_json)

    assert out == text
    assert verdict.status == status
    assert not verdict.replaced


def test_strict_lets_out_what_is_supported_as_a_whole_and_nothing_else() -> None:
    whole = '{"desk": "Marta Velin", "days": 28}'

    assert checked(whole, "strict") == (whole, checked(whole)[1])
    out, verdict = checked('{"desk": "Marta Velin", "days": 29}', "strict")

    assert out == "Nothing is known."
    assert (verdict.status, verdict.replaced, verdict.marks) == ("partial", True, ())


@pytest.mark.parametrize("cut", ["", " and", "\\", "\\n", "\\u", "\\u00e", "\\ud83d", "\\ud83d\\ude0", '\\"', "\\d"])
def test_a_string_that_is_cut_short_is_the_claim_that_it_would_be_whole(cut: str) -> None:
    text = '{"answer": "Contractors receive 28 days of paid leave' + cut

    cited, verdict = checked(text)
    strict, refused = checked(text, "strict")

    assert (cited, verdict.status, verdict.sentences, verdict.marks) == (text, "unsupported", 1, ())
    assert (strict, refused.replaced) == ("Nothing is known.", True)


@pytest.mark.parametrize("cut", ["", " ", "\\", "\\n", "\\u00e"])
def test_a_string_that_is_cut_short_is_marked_up_to_where_it_can_be_read(cut: str) -> None:
    text = '{"desk": "Marta Velin leads the claims desk' + cut

    out, verdict = checked(text, "strict")

    assert out == text
    assert [text[mark.start : mark.end] for mark in verdict.marks] == ["Marta Velin leads the claims desk"]


def test_an_escape_that_json_does_not_know_is_read_as_it_stands() -> None:
    text = '{"code": "\\d{2}", "desk": "Marta Velin", "odd": "\\u12"}'

    out, verdict = checked(text)

    assert out == text
    assert [text[mark.start : mark.end] for mark in verdict.marks] == ["Marta Velin"]


def test_off_marks_nothing_and_still_judges() -> None:
    _, verdict = checked('{"days": 28}', "off")

    assert (verdict.status, verdict.marks) == ("supported", ())


@given(value=st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner)),
       ascii_only=st.booleans(), cut=st.integers(1, 9), mode=st.sampled_from(["off", "cite"]))  # fmt: skip
def test_any_json_passes_through_unchanged(value: object, ascii_only: bool, cut: int, mode: Mode) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)

    out, verdict = checked(text, mode, cut=cut)

    assert out == text
    assert all(0 <= mark.start < mark.end <= len(text) for mark in verdict.marks)
