"""A page of a PDF as lines with their geometry, without what cannot be seen on it."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from math import hypot

import pypdfium2
import pypdfium2.raw as pdfium

HYPHEN = "\x02"  # how pdfium spells the hyphen of a word cut at a line's end

_INVISIBLE = frozenset({pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP})
_OPAQUE = 13  # of 255: 5 %; text below it is not seen
_LIGHT = 215  # of 255 in each colour: such text is seen on a dark ground only, so the page is looked at
_CONTRAST = 24  # of 255, between the darkest and the lightest dot where a character stands
_SCALE = 2.0  # dots a point; the strokes of 6 pt text are a dot wide
_WIDEST = 4000.0  # dots; a poster is looked at more coarsely
_SMALLEST = 1.5  # points; smaller text is no text to a reader
_SCAN = 0.5  # share of the page that a picture covers where invisible text is what OCR read from it

Box = tuple[float, float, float, float]  # left, right, bottom, top: points, y rising


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
    hidden: int = 0


def read_lines(page: pypdfium2.PdfPage) -> tuple[list[Line], int]:
    """The page's lines in the order of its content, and how many characters on it cannot be seen."""
    text = page.get_textpage()
    is_hidden, is_beside = _sight(page, text), _frame(page)
    reading = _Reading()
    for at in range(pdfium.FPDFText_CountChars(text.raw)):
        code = pdfium.FPDFText_GetUnicode(text.raw, at)
        if code == 0x0A:
            _end_line(reading, text, is_beside)
        elif code == 0x0D or code == 0:
            continue
        elif is_hidden is not None and code > 0x20 and is_hidden(at):
            reading.hidden += 1
        else:
            if code > 0x20:
                reading.first = at if reading.first < 0 else reading.first
                reading.last = at
            reading.codes.append(0x02 if code in (0xFFFE, 0xAD) else code)
    _end_line(reading, text, is_beside)
    text.close()
    return reading.lines, reading.hidden


def _end_line(reading: _Reading, text: pypdfium2.PdfTextPage, is_beside: Callable[[Box], bool]) -> None:
    codes, first, last = reading.codes, reading.first, reading.last
    reading.codes, reading.first, reading.last = [], -1, -1
    if first < 0:
        return
    # Characters beyond the first 65,536 may come as the two halves of UTF-16.
    said = "".join(map(chr, codes)).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip(" ")
    left, _, bottom, top = _box(text, first)
    _, right, _, _ = _box(text, last)
    size = _size(text, first)
    if size < _SMALLEST or is_beside((left, right, bottom, top)):
        reading.hidden += sum(code > 0x20 for code in codes)
        return
    reading.lines.append(Line(said, round(size, 1), left, right, top, bottom))


def _sight(page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> Callable[[int], bool] | None:
    """What says of a character whether it is painted so that nobody sees it; None: none is."""
    unseen, faint, seen = set(), set(), 0
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    colours = [ctypes.byref(colour) for colour in (red, green, blue, alpha)]
    for found in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT]):
        address = ctypes.cast(found.raw, ctypes.c_void_p).value
        has_colour = pdfium.FPDFPageObj_GetFillColor(found.raw, *colours)
        if pdfium.FPDFTextObj_GetTextRenderMode(found.raw) in _INVISIBLE or (has_colour and alpha.value < _OPAQUE):
            unseen.add(address)
            continue
        seen += 1
        if has_colour and min(red.value, green.value, blue.value) > _LIGHT:
            faint.add(address)
    if unseen and not seen and _is_scan(page):
        unseen = set()
    if not unseen and not faint:
        return None
    shot: _Shot | None = _Shot(page) if faint else None

    def is_hidden(at: int) -> bool:
        address = ctypes.cast(pdfium.FPDFText_GetTextObject(text.raw, at), ctypes.c_void_p).value
        return address in unseen or (address in faint and shot is not None and shot.is_blank(_box(text, at)))

    return is_hidden


def _frame(page: pypdfium2.PdfPage) -> Callable[[Box], bool]:
    """What says of a box whether all of it lies beside the page."""
    width, height = page.get_size()
    corner = _to_device(page, 1.0)

    def is_beside(box: Box) -> bool:
        left, right, bottom, top = box
        (x0, y0), (x1, y1) = corner(left, top), corner(right, bottom)
        return max(x0, x1) < 0 or max(y0, y1) < 0 or min(x0, x1) > int(width) or min(y0, y1) > int(height)

    return is_beside


def _is_scan(page: pypdfium2.PdfPage) -> bool:
    width, height = page.get_size()
    area = float(width * height)
    covered = 0.0
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        covered = max(covered, (right - left) * (top - bottom))
    return covered >= _SCAN * area


class _Shot:
    """The page as it is shown, in grey."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        scale = min(_SCALE, _WIDEST / max(page.get_size()))
        bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
        self._dots = bytes(bitmap.buffer)
        self._width, self._height, self._stride = bitmap.width, bitmap.height, bitmap.stride
        self._corner = _to_device(page, scale)
        bitmap.close()

    def is_blank(self, box: Box) -> bool:
        """Say whether nothing stands out in a box of the page."""
        left, right, bottom, top = box
        (x0, y0), (x1, y1) = self._corner(left, top), self._corner(right, bottom)
        columns = range(max(0, int(min(x0, x1))), min(self._width, int(max(x0, x1)) + 1))
        lines = range(max(0, int(min(y0, y1))), min(self._height, int(max(y0, y1)) + 1))
        if not columns or not lines:
            return True
        dots = b"".join(
            self._dots[line * self._stride + columns.start : line * self._stride + columns.stop] for line in lines
        )
        return max(dots) - min(dots) < _CONTRAST


def _to_device(page: pypdfium2.PdfPage, scale: float) -> Callable[[float, float], tuple[int, int]]:
    """From a point on the page, whatever its rotation and cropping, to dots from its upper left corner."""
    width, height = (round(side * scale) for side in page.get_size())
    x, y = ctypes.c_int(), ctypes.c_int()

    def corner(across: float, up: float) -> tuple[int, int]:
        pdfium.FPDF_PageToDevice(page.raw, 0, 0, width, height, 0, across, up, ctypes.byref(x), ctypes.byref(y))
        return x.value, y.value

    return corner


def _box(text: pypdfium2.PdfTextPage, at: int) -> Box:
    """The space that a character takes up."""
    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text.raw, at, ctypes.byref(box))
    return box.left, box.right, box.bottom, box.top


def _size(text: pypdfium2.PdfTextPage, at: int) -> float:
    matrix = pdfium.FS_MATRIX()
    scale = hypot(matrix.b, matrix.d) if pdfium.FPDFText_GetMatrix(text.raw, at, ctypes.byref(matrix)) else 1.0
    return float(pdfium.FPDFText_GetFontSize(text.raw, at)) * scale
