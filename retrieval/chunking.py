"""Stored text to chunks: exact spans of it, cut where a reader would pause. It knows no files and no model.

Every character that is not blank lies in a chunk, or in a heading that stands in the title of the chunks below it.
Whatever a text says, each character is measured a few times, and little of it is held at once.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

from retrieval.parsed import Heading, Parsed

# MiniLM reads 254 tokens; the rest is for the title, which is embedded with the text.
MAX_TOKENS = 220
# Short paragraphs are merged up to here: the bundled model reads passages of a few sentences best, and a vector
# of one subject is found more easily than one of three.
TARGET_TOKENS = 90

# An embedder takes a long run of letters and digits for one unknown word, however long it is. Texts that it knows have
# fewer characters a token than this.
MAX_CHARS_A_TOKEN = 16

# A heading is said again with each chunk below it, so a longer one counts as text; and no more than this of headings
# above it stands before it.
HEADING_CHARS = 300
# Half of what a chunk of prose has; with a heading over every word they have less, and each its title.
CHARS_A_CHUNK = 200
MOST_CHUNKS = 50_000
# Characters that are measured at once, and spans. A text with more is not measured as a whole: no limit is so wide.
_AT_ONCE = 1 << 16
_SPANS_AT_ONCE = 1 << 10

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


class TooManyChunks(Exception):
    """A text falls into more chunks than it may."""

    def __init__(self, most: int) -> None:
        super().__init__(f"it falls into more than {most:,} passages")
        self.most = most


def cut(
    parsed: Parsed,
    count: Count,
    *,
    max_tokens: int = MAX_TOKENS,
    target_tokens: int = TARGET_TOKENS,
    most: int = MOST_CHUNKS,
) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens`, and about MAX_CHARS_A_TOKEN times as many characters.

    Paragraphs stay whole unless they are longer; shorter ones under one heading and on one page are merged up to
    `target_tokens`.

    Args:
        count: tokens of each text, in the embedder's measure; never more for a part than for the whole, and
            no more for two parts with a blank between them than for both added up. Called for a few pages at a time,
            so it may also raise, to give up.

    Raises:
        TooManyChunks: there would be more than `most`; noticed as soon as there are.
    """
    sections = [section for section in _paged(parsed) if parsed.text[section[1] : section[2]].strip()]
    # A document of its title alone has none: then the title is the text.
    chunks: list[Chunk] = []
    for title, start, end in sections or [(_short(parsed.title), 0, len(parsed.text))]:
        paragraphs = _measured(parsed.text, _split(parsed.text, start, end, _PARAGRAPH_END), count, max_tokens)
        pieces = (piece for paragraph in paragraphs for piece in _fitting(parsed.text, paragraph, count, max_tokens))
        for piece in _merged(pieces, min(target_tokens, max_tokens)):
            if len(chunks) == most:
                raise TooManyChunks(most)
            page, locator = parsed.page_at(piece.start), parsed.locator(piece.start, piece.end)
            chunks.append(Chunk(piece.start, piece.end, title, page, locator))
    return chunks


def _paged(parsed: Parsed) -> Iterator[tuple[str, int, int]]:
    """The sections, cut where a page begins, so that a chunk can be cited with its page."""
    borders = parsed.page_borders()
    for title, start, end in _sections(parsed):
        inner = borders[bisect_right(borders, start) : bisect_left(borders, end)]
        yield from ((title, left, right) for left, right in pairwise([start, *inner, end]))


def _sections(parsed: Parsed) -> Iterator[tuple[str, int, int]]:
    """(title, start, end) of what stands under each heading; a heading without anything below it is its own section."""
    headings = [heading for heading in parsed.headings if heading.end - heading.start <= HEADING_CHARS]
    if not headings:
        yield _short(parsed.title), 0, len(parsed.text)
        return
    yield _short(parsed.title), 0, headings[0].start
    bare: list[Heading] = []  # headings above this one that have no text of their own, so that its title carries them
    for at, heading in enumerate(headings):
        following = headings[at + 1] if at + 1 < len(headings) else None
        end = following.start if following else len(parsed.text)
        bare = [above for above in bare if above.level < heading.level]
        names = [parsed.text[above.start : above.end] for above in (*bare, heading)]
        if parsed.text[heading.end : end].strip():
            yield _title(parsed.title, names), heading.end, end
        elif following and following.level > heading.level and sum(map(len, names)) <= HEADING_CHARS:
            bare.append(heading)
        elif bare or names[-1] != parsed.title:
            yield _title(parsed.title, names[:-1]), heading.start, heading.end


def _title(document: str, headings: list[str]) -> str:
    return ": ".join([_short(document), *(name for name in headings if name != document)])


def _short(title: str) -> str:
    return title[:HEADING_CHARS]


def _measured(text: str, spans: Iterable[tuple[int, int]], count: Count, limit: int) -> Iterator[_Piece]:
    """The spans with their tokens; of what cannot be within the limit, more than the limit is all that is said."""
    for some in _few(spans):
        short = [(start, end) for start, end in some if not _is_long(start, end)]
        sizes = iter(count([text[start:end] for start, end in short]) if short else [])
        for start, end in some:
            tokens = limit + 1 if _is_long(start, end) else next(sizes)
            yield _Piece(start, end, max(tokens, (end - start) // MAX_CHARS_A_TOKEN))


def _few(spans: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    some: list[tuple[int, int]] = []
    characters = 0
    for start, end in spans:
        some.append((start, end))
        characters += 0 if _is_long(start, end) else end - start
        if characters >= _AT_ONCE or len(some) == _SPANS_AT_ONCE:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _is_long(start: int, end: int) -> bool:
    return end - start > _AT_ONCE


def _fitting(text: str, piece: _Piece, count: Count, limit: int) -> Iterator[_Piece]:
    """The piece itself if it fits; else its sentences, or its words, or at last its characters, in even portions."""
    if piece.tokens <= limit:
        yield piece
        return
    is_long = _is_long(piece.start, piece.end)
    portions = -(-(piece.end - piece.start) // _AT_ONCE) if is_long else -(-piece.tokens // limit)
    for boundary in (_SENTENCE_END, _WORD_END):
        spans = _split(text, piece.start, piece.end, boundary)
        if len(two := list(islice(spans, 2))) > 1:
            measured = _measured(text, chain(two, spans), count, limit)
            parts = (part for sentence in measured for part in _fitting(text, sentence, count, limit))
            # Of hundreds of portions, nobody notices that the last one is shorter.
            yield from _merged(parts, limit, aim=limit if is_long else -(-piece.tokens // portions))
            return
    length = piece.end - piece.start
    portions = min(portions, length)
    if portions == 1:
        yield piece
        return
    borders = (piece.start + length * number // portions for number in range(portions + 1))
    for portion in _measured(text, pairwise(borders), count, limit):
        yield from _fitting(text, portion, count, limit)


def _split(text: str, start: int, end: int, boundary: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """What stands between the boundaries, without blanks around it; empty parts are left out."""
    ends = chain((found.end() for found in boundary.finditer(text, start, end)), [end])
    for left, right in pairwise(chain([start], ends)):
        trimmed = _trimmed(text, left, right)
        if trimmed[0] < trimmed[1]:
            yield trimmed


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _merged(pieces: Iterable[_Piece], limit: int, aim: int | None = None) -> Iterator[_Piece]:
    """Join neighbours while together they stay within `limit`, and stop joining one that has reached `aim`."""
    last: _Piece | None = None
    for piece in pieces:
        if last and last.tokens + piece.tokens <= limit and (aim is None or last.tokens < aim):
            last = _Piece(last.start, piece.end, last.tokens + piece.tokens)
            continue
        if last:
            yield last
        last = piece
    if last:
        yield last
