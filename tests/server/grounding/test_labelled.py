"""The labelled answers of tests/bench/grounding: how many markers are right, and how many are missing."""

import pytest

from retrieval.embedder import MiniLM
from server.grounding.likeness import Likeness
from tests.bench.grounding.pairs import Half, load, score


@pytest.mark.parametrize("half", ["tune", "report"])
def test_markers_are_right_and_few_are_missing(half: Half, embedder: MiniLM) -> None:
    total = score(load(half), Likeness(lambda: embedder))

    assert total.precision >= 0.95, total.notes
    assert total.recall >= 0.85, total.notes


def test_no_document_is_in_both_halves() -> None:
    passages = [{text for pair in load(half) for text in pair.passages} for half in ("tune", "report")]

    assert passages[0].isdisjoint(passages[1])
    assert sum(len(load(half)) for half in ("tune", "report")) >= 200
