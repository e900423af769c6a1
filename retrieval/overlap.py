"""Chunks of a size that was asked for, each beginning with the end of the one before."""

import re
from dataclasses import replace
from itertools import pairwise

from retrieval.chunking import MOST_CHUNKS, Chunk, Count, cut
from retrieval.parsed import Parsed
from retrieval.types import Chunking

_WORD_START = re.compile(r"(?<!\S)\S")


def cut_as_asked(parsed: Parsed, count: Count, chunking: Chunking, *, most: int = MOST_CHUNKS) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens`, as long as they can be.

    Neighbours under one heading share up to `overlap_tokens`, in whole words.

    Args:
        count, most: as in `retrieval.chunking.cut`, and it raises the same.
    """
    fresh = chunking.max_tokens - chunking.overlap_tokens
    chunks = cut(parsed, count, max_tokens=fresh, target_tokens=fresh, most=most)
    if not chunking.overlap_tokens:
        return chunks
    return [
        chunks[0],
        *(
            _begun_earlier(parsed, before, chunk, count, chunking.overlap_tokens)
            if chunk.title == before.title
            else chunk
            for before, chunk in pairwise(chunks)
        ),
    ]


def _begun_earlier(parsed: Parsed, before: Chunk, chunk: Chunk, count: Count, limit: int) -> Chunk:
    start = _overlapping(parsed.text, before, chunk, count, limit)
    return replace(chunk, start=start, page=parsed.page_at(start), locator=parsed.locator(start, chunk.end))


def _overlapping(text: str, before: Chunk, chunk: Chunk, count: Count, limit: int) -> int:
    """The first word of `before` from which on no more than `limit` tokens lie in front of `chunk`."""
    starts = [found.start() for found in _WORD_START.finditer(text, before.start, chunk.start)]
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) // 2
        if count([text[starts[middle] : chunk.start]])[0] <= limit:
            high = middle
        else:
            low = middle + 1
    return starts[low] if low < len(starts) else chunk.start
