"""Stored text to chunks: exact spans of it, cut where a reader would pause. It knows no files and no model.

Every character that is not blank lies in a chunk, or in a heading that stands in the title of the chunks below it.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from retrieval.parsed import Heading, Parsed

# MiniLM reads 254 tokens; the rest is for the title, which is embedded with the text.
MAX_TOKENS = 220
# Short paragraphs are merged up to here: the bundled model reads passages of a few sentences best, and a vector
# of one subject is found more easily than one of three.
TARGET_TOKENS = 90

# An embedder takes a long run of letters and digits for one unknown word, however long it is. Texts that it knows have
# fewer characters a token than this.
MAX_CHARS_A_TOKEN = 16

_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n")
# A sentence ends at its mark and closing quotes, before a blank; not after a single letter ("e.g. this", "J. Smith")
# or a common abbreviation, and not before a small letter.
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Za-z])(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bNo)(?<!\bSt)(?<!\bvs)[.!?…]['\")\]»”’]*\s+(?![a-z])"
    r"|[。！？]|\n"
)
_WORD_END = re.compile(r"\s+")

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of the stored text, with the title that it is found and read under, and where in the file it stands."""

    start: int
    end: int
    title: str
    page: int | None = None  # the one it begins on
    locator: str = ""


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    tokens: int


def cut(
    parsed: Parsed, count: Count, *, max_tokens: int = MAX_TOKENS, target_tokens: int = TARGET_TOKENS
) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens`, and about MAX_CHARS_A_TOKEN times as many characters.

    Paragraphs stay whole unless they are longer; shorter ones under one heading and on one page are merged up to
    `target_tokens`.

    Args:
        count: tokens of each text, in the embedder's measure; never more for a part than for the whole, and
            no more for two parts with a blank between them than for both added up.
    """
    sections = [section for section in _paged(parsed) if parsed.text[section[1] : section[2]].strip()]
    # A document of its title alone has none: then the title is the text.
    chunks: list[Chunk] = []
    for title, start, end in sections or [(parsed.title, 0, len(parsed.text))]:
        pieces = [
            piece
            for paragraph in _measured(parsed.text, _split(parsed.text, start, end, _PARAGRAPH_END), count)
            for piece in _fitting(parsed.text, paragraph, count, max_tokens)
        ]
        chunks += [
            Chunk(piece.start, piece.end, title, parsed.page_at(piece.start), parsed.locator(piece.start, piece.end))
            for piece in _merged(pieces, min(target_tokens, max_tokens))
        ]
    return chunks


def _paged(parsed: Parsed) -> Iterator[tuple[str, int, int]]:
    """The sections, cut where a page begins, so that a chunk can be cited with its page."""
    borders = parsed.page_borders()
    for title, start, end in _sections(parsed):
        inner = borders[bisect_right(borders, start) : bisect_left(borders, end)]
        yield from ((title, left, right) for left, right in pairwise([start, *inner, end]))


def _sections(parsed: Parsed) -> Iterator[tuple[str, int, int]]:
    """(title, start, end) of what stands under each heading; a heading without anything below it is its own section."""
    if not parsed.headings:
        yield parsed.title, 0, len(parsed.text)
        return
    yield parsed.title, 0, parsed.headings[0].start
    bare: list[Heading] = []  # headings above this one that have no text of their own, so that its title carries them
    for heading, following in zip(parsed.headings, [*parsed.headings[1:], None], strict=True):
        end = following.start if following else len(parsed.text)
        bare = [above for above in bare if above.level < heading.level]
        names = [parsed.text[above.start : above.end] for above in (*bare, heading)]
        if parsed.text[heading.end : end].strip():
            yield _title(parsed.title, names), heading.end, end
        elif following and following.level > heading.level:
            bare.append(heading)
        elif bare or names[-1] != parsed.title:
            yield _title(parsed.title, names[:-1]), heading.start, heading.end


def _title(document: str, headings: list[str]) -> str:
    return ": ".join([document, *(name for name in headings if name != document)])


def _measured(text: str, spans: list[tuple[int, int]], count: Count) -> list[_Piece]:
    tokens = count([text[start:end] for start, end in spans])
    return [
        _Piece(start, end, max(size, (end - start) // MAX_CHARS_A_TOKEN))
        for (start, end), size in zip(spans, tokens, strict=True)
    ]


def _fitting(text: str, piece: _Piece, count: Count, limit: int) -> list[_Piece]:
    """The piece itself if it fits; else its sentences, or its words, or at last its characters, in even portions."""
    if piece.tokens <= limit:
        return [piece]
    for boundary in (_SENTENCE_END, _WORD_END):
        spans = _split(text, piece.start, piece.end, boundary)
        if len(spans) > 1:
            parts = [
                part for sentence in _measured(text, spans, count) for part in _fitting(text, sentence, count, limit)
            ]
            portions = -(-piece.tokens // limit)
            return _merged(parts, limit, aim=-(-piece.tokens // portions))
    middle = (piece.start + piece.end) // 2
    if middle == piece.start:
        return [piece]
    halves = _measured(text, [(piece.start, middle), (middle, piece.end)], count)
    return [part for half in halves for part in _fitting(text, half, count, limit)]


def _split(text: str, start: int, end: int, boundary: re.Pattern[str]) -> list[tuple[int, int]]:
    """What stands between the boundaries, without blanks around it; empty parts are left out."""
    borders = [start, *(found.end() for found in boundary.finditer(text, start, end)), end]
    spans = [_trimmed(text, left, right) for left, right in pairwise(borders)]
    return [(left, right) for left, right in spans if left < right]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _merged(pieces: list[_Piece], limit: int, aim: int | None = None) -> list[_Piece]:
    """Join neighbours while together they stay within `limit`, and stop joining one that has reached `aim`."""
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and last.tokens + piece.tokens <= limit and (aim is None or last.tokens < aim):
            merged[-1] = _Piece(last.start, piece.end, last.tokens + piece.tokens)
        else:
            merged.append(piece)
    return merged
