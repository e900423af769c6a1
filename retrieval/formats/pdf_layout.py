"""Lines of a page back to the paragraphs that they were broken from. It knows lines and their geometry alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from retrieval.formats.pdf_lines import HYPHEN, Line

# A gap this much of a line's height wider than the usual one separates paragraphs.
_WIDER = 0.35
# A line that ends this far from the right edge was ended by its writer.
_SHORT = 0.8
_ITEM = re.compile(r"[•●▪‣◦–—*-]\s|\(?\d{1,3}[.)]\s|\(?[a-zA-Z][.)]\s")
_SENTENCE_ENDS = (".", ":", "!", "?", ".”", '."', ".)")


@dataclass(slots=True)
class Paragraph:
    """Text and the size that it is set in, in points."""

    text: str
    size: float


def paragraphs(lines: Sequence[Line]) -> list[Paragraph]:
    """Join the lines of one page that belong together."""
    if not lines:
        return []
    usual = _usual_gap(lines)
    edge = max(line.right for line in lines)
    start = min(line.left for line in lines)
    found = [Paragraph(lines[0].text, lines[0].size)]
    for above, line in pairwise(lines):
        was_short = above.right - start < _SHORT * (edge - start)
        if _is_apart(above, line, usual) or (was_short and above.text.endswith(_SENTENCE_ENDS)):
            _close(found[-1])
            found.append(Paragraph(line.text, line.size))
        elif _ITEM.match(line.text) or (was_short and not line.text[:1].islower() and not above.text.endswith(HYPHEN)):
            found[-1].text = f"{found[-1].text.rstrip(HYPHEN)}\n{line.text}"
        else:
            found[-1].text = _joined(found[-1].text, line.text)
    _close(found[-1])
    return [paragraph for paragraph in found if paragraph.text]


def _usual_gap(lines: Sequence[Line]) -> float:
    gaps = [
        above.bottom - line.top
        for above, line in pairwise(lines)
        if above.size == line.size and abs(above.bottom - line.top) < 2 * (line.top - line.bottom)
    ]
    return median(gaps) if gaps else 0.0


def _is_apart(above: Line, line: Line, usual: float) -> bool:
    height = max(line.top - line.bottom, 1.0)
    gap = above.bottom - line.top
    # Upwards is the next column; then only the words say whether a sentence goes on.
    is_next_column = line.bottom > above.top
    return abs(above.size - line.size) > 0.1 * above.size or (not is_next_column and gap > usual + _WIDER * height)


def _joined(text: str, following: str) -> str:
    if text.endswith(HYPHEN):
        return text.rstrip(HYPHEN) + following
    if text.endswith("-") and text[-2:-1].isalpha() and following[:1].islower():
        return text[:-1] + following
    return f"{text} {following}"


def _close(paragraph: Paragraph) -> None:
    # Where pdfium joined a word it leaves its mark in the middle of the line.
    is_cut = paragraph.text.endswith(HYPHEN)
    paragraph.text = paragraph.text.replace(HYPHEN, "").strip() + "-" * is_cut
