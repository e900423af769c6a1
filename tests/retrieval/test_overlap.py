"""retrieval.overlap: chunks of the size that was asked for, which share their ends."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from retrieval.overlap import cut_as_asked
from retrieval.parsed import Heading, Parsed
from retrieval.types import Chunking


def count(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


WORDS = " ".join(f"w{number}" for number in range(1000))


@pytest.mark.parametrize(("size", "overlap"), [(100, 0), (100, 1), (100, 50), (300, 60), (4096, 2048)])
def test_no_chunk_is_larger_and_neighbours_share_that_many_words(size: int, overlap: int) -> None:
    chunks = cut_as_asked(Parsed("t", WORDS), count, Chunking(size, overlap))

    texts = [WORDS[chunk.start : chunk.end].split() for chunk in chunks]
    assert max(map(len, texts)) <= size
    assert [len(set(before) & set(after)) for before, after in pairwise(texts)] == [overlap] * (len(texts) - 1)
    assert {word for text in texts for word in text} == set(WORDS.split())
    assert all(chunk.start == 0 or WORDS[chunk.start - 1] == " " for chunk in chunks)


def test_chunks_are_as_large_as_they_may_be() -> None:
    assert len(cut_as_asked(Parsed("t", WORDS), count, Chunking(1000, 0))) == 1


def test_what_stands_under_another_heading_is_not_shared() -> None:
    text = "One\nalpha beta\nTwo\ngamma delta"
    parsed = Parsed("t", text, (Heading(0, 3, 1), Heading(15, 18, 1)))

    chunks = cut_as_asked(parsed, count, Chunking(100, 50))

    assert [text[chunk.start : chunk.end] for chunk in chunks] == ["alpha beta", "gamma delta"]


def test_a_text_of_one_word_has_nothing_to_share() -> None:
    long = "x" * 50
    chunks = cut_as_asked(Parsed("t", long), lambda texts: [len(text) for text in texts], Chunking(20, 10))

    assert [long[chunk.start : chunk.end] for chunk in chunks] != []
    assert max(chunk.end - chunk.start for chunk in chunks) <= 20
