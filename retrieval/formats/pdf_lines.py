"""A page of a PDF as lines with their geometry, without what cannot be seen on it."""

import ctypes
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium

from retrieval.formats.pdf_sight import size_of, unseen
from retrieval.visible import one_line

HYPHEN = "\x02"  # how pdfium spells the hyphen of a word cut at a line's end


@dataclass(slots=True)
class Line:
    """A line of text; sizes in points, y rising."""

    text: str = ""
    size: float = 0.0
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0


@dataclass(slots=True)
class _Reading:
    lines: list[Line] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    first: int = -1  # characters of the line that is being read
    last: int = -1
    is_cut: bool = False  # something of it is left out


def read_lines(page: pypdfium2.PdfPage) -> tuple[list[Line], int]:
    """The page's lines in the order of its content, and how many characters on it cannot be seen.

    Side effects: takes notes off the page.
    """
    text = page.get_textpage()
    hidden, reading = unseen(page, text), _Reading()
    for at in range(pdfium.FPDFText_CountChars(text.raw)):
        code = pdfium.FPDFText_GetUnicode(text.raw, at)
        if code == 0x0A:
            _end_line(reading, text)
        elif code == 0x0D or code == 0:
            continue
        elif at in hidden:
            reading.is_cut = True
        else:
            if code > 0x20:
                reading.first = at if reading.first < 0 else reading.first
                reading.last = at
            reading.codes.append(0x02 if code in (0xFFFE, 0xAD) else code)
    _end_line(reading, text)
    text.close()
    return reading.lines, len(hidden)


def _end_line(reading: _Reading, text: pypdfium2.PdfTextPage) -> None:
    codes, first, last, is_cut = reading.codes, reading.first, reading.last, reading.is_cut
    reading.codes, reading.first, reading.last, reading.is_cut = [], -1, -1, False
    if first < 0:
        return
    # Characters beyond the first 65,536 may come as the two halves of UTF-16.
    said = "".join(map(chr, codes)).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip(" ")
    left, _, bottom, top = _box(text, first)
    _, right, _, _ = _box(text, last)
    said = one_line(said) if is_cut else said
    reading.lines.append(Line(said, round(size_of(text, first), 1), left, right, top, bottom))


def _box(text: pypdfium2.PdfTextPage, at: int) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the space that a character takes up."""
    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text.raw, at, ctypes.byref(box))
    return box.left, box.right, box.bottom, box.top
