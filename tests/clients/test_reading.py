"""The fold of an answer's frames, without a socket: however a server cuts them, the same answer comes out."""

from itertools import pairwise
from typing import Any

from hrm_client import Delta, Done, Part, Sources
from hrm_client.reading import Reading
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from tests.clients.stub import HEAD, USAGE, annotation, frames, grounding, passage, twenty_seven_days

BASE = "http://127.0.0.1:8000/v1/"


def streamed(chunks: list[dict[str, Any]]) -> list[Part]:
    reading = Reading(BASE)
    parts = [part for chunk in chunks for part in reading.chunk(ChatCompletionChunk.construct(**chunk))]
    return [*parts, reading.done()]


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def in_one_frame() -> list[Part]:
    reply = twenty_seven_days()
    context = {"citations": reply.citations, "intent": '["leave"]', "grounding": reply.grounding}
    delta = {"role": "assistant", "content": reply.text, "annotations": reply.annotations, "context": context}
    return streamed([{**chunk(delta, "stop"), "usage": USAGE}])


@given(cuts=st.sets(st.integers(1, len(twenty_seven_days().text) - 1)))
def test_where_the_text_is_cut_does_not_matter(cuts: set[int]) -> None:
    reply = twenty_seven_days()
    edges = [0, *sorted(cuts), len(reply.text)]
    reply.pieces = [reply.text[start:end] for start, end in pairwise(edges)]

    first, *deltas, last = streamed(list(frames(reply)))

    assert [first, Delta(reply.text), last] == in_one_frame()
    assert [part.text for part in deltas if isinstance(part, Delta)] == reply.pieces


def test_the_sources_may_come_after_the_role_and_in_several_frames() -> None:
    sources = [passage(at=0), passage(at=500)]

    first, *_ = streamed(
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"context": {"citations": sources}}),
            chunk({"content": "Yes."}),
            chunk({"context": {"grounding": grounding("unsupported", supported=0)}}, "stop"),
        ]
    )

    assert isinstance(first, Sources)
    assert [(source.number, source.start_char) for source in first.sources] == [(1, 0), (2, 500)]


def test_annotations_may_come_one_frame_each() -> None:
    source = passage()
    text = "30 days. [1] 27 days. [1]"
    marks = [
        annotation(text, "30 days. [1]", source, quote="Trainees have 30 days."),
        annotation(text, "27 days. [1]", source, quote="Full-time staff receive 27 working days of leave.", index=1),
    ]

    *_, last = streamed(
        [
            chunk({"role": "assistant", "content": text, "context": {"citations": [source]}}),
            *(chunk({"annotations": [mark]}) for mark in marks),
            chunk({"context": {"grounding": grounding(sentences=2, supported=2)}}, "stop"),
        ]
    )

    assert isinstance(last, Done)
    assert [citation.quote[:8] for citation in last.answer.citations] == ["Trainees", "Full-tim"]
