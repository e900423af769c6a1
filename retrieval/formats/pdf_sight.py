"""Which characters of a PDF's page a reader sees: it is drawn with its text and without, and the two are compared.

So it does not matter how a text is hidden: painted in the colour of its ground, covered, clipped, in a layer that is
off, transparent, or beside the page. It knows no words.
"""

import ctypes
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, hypot
from operator import sub
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

_DEPTH = 64  # of forms in forms; pdfium reads 40
_CONTRAST = 24  # of 255, in red, green or blue; less is not seen
_SHARE = (
    0.05  # of a text's contrast to its ground; what shows less of it is too transparent, the finest strokes show more
)
_SCALE = 2.0  # dots a point; the strokes of 6 pt text are a dot wide
_WIDEST = 4000.0  # dots; a poster is looked at more coarsely
_SMALLEST = 1.5  # points; smaller text is no text to a reader
_SCAN = 0.5  # share of the page that a picture covers where invisible text is what OCR read from it
_LATIN = 0x24F  # the last letter that pdfium draws for certain where the font is not in the file
# What lies on a page until it is opened or moved; other annotations are part of what is seen.
_NOTES = frozenset({pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_POPUP, pdfium.FPDF_ANNOT_FILEATTACHMENT})
_STROKED = frozenset({pdfium.FPDF_TEXTRENDERMODE_STROKE, pdfium.FPDF_TEXTRENDERMODE_STROKE_CLIP})
_FILLED = frozenset({pdfium.FPDF_TEXTRENDERMODE_FILL, pdfium.FPDF_TEXTRENDERMODE_FILL_CLIP})

_Colour = tuple[int, int, int]


@dataclass(slots=True)
class _Paint:
    """What the characters of a text object have in common."""

    colour: _Colour | None  # None: none, more than one, or a pattern
    is_invisible: bool
    has_font: bool
    size: float = 0.0  # points


def unseen(page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> set[int]:
    """The characters of a page, blanks aside, that nobody sees.

    Where no text is seen and a picture fills the page, the text is what was recognised in the picture, and unseen is
    only what is tiny or beside the page.

    Side effects: takes notes off the page.
    """
    paints, objects = _paints(page)
    if not paints:
        return set()
    is_scan = _is_scan(page)
    shots = _Shots(page, text)
    # Pictures of whole pages take long to draw, and of most scans all text is invisible.
    is_drawn = not (is_scan and all(paint.is_invisible for paint in paints.values()))
    if is_drawn:
        shots.draw(page)
        shots.take_away(page, objects.values())
    lost, covered, seen = set(), set(), 0
    for at, code in _inked(text):
        area = shots.area(at)
        if area is not None and area.is_large and is_drawn and shots.stands_out(area):
            seen += 1
            continue
        paint = paints.get(_owner(text, at))
        if paint is None:
            continue
        paint.size = paint.size or size_of(text, at)
        if paint.size < _SMALLEST or area is None:
            lost.add(at)
        elif not is_drawn:
            continue
        elif shots.shows(area, paint):
            seen += 1
        elif not shots.may_show(area, paint, code):
            covered.add(at)
    if is_scan and not seen:
        return lost
    if covered and seen:
        covered |= _written_over(page, text, shots, paints, objects, lost | covered)
    return lost | covered


def _written_over(
    page: pypdfium2.PdfPage,
    text: pypdfium2.PdfTextPage,
    shots: "_Shots",
    paints: Mapping[int, _Paint],
    objects: Mapping[int, pypdfium2.PdfObject],
    hidden: set[int],
) -> set[int]:
    """What only seemed to be seen of texts that are partly hidden, since other text, as a label, is where they are."""
    owners = {at: _owner(text, at) for at in range(pdfium.FPDFText_CountChars(text.raw))}
    broken = {owners[at] for at in hidden}
    # pdfium names one of two texts that are struck upon each other; the other one shows the same.
    whole = set(owners.values()) - broken
    shots.take_away(page, [found for address, found in objects.items() if address not in whole])
    behind = set()
    for at, code in _inked(text):
        if owners[at] in broken and at not in hidden:
            area = shots.area(at)
            if area is not None and not shots.may_show(area, paints[owners[at]], code):
                behind.add(at)
    return behind


def _inked(text: pypdfium2.PdfTextPage) -> Iterator[tuple[int, int]]:
    """The characters that are no blanks, with their codes."""
    for at in range(pdfium.FPDFText_CountChars(text.raw)):
        code = pdfium.FPDFText_GetUnicode(text.raw, at)
        if code > 0x20 and (code <= 0x7F or not chr(code).isspace()):
            yield at, code


def _owner(text: pypdfium2.PdfTextPage, at: int) -> int:
    """The address of the text object that a character belongs to; 0: pdfium has put it in."""
    return ctypes.cast(pdfium.FPDFText_GetTextObject(text.raw, at), ctypes.c_void_p).value or 0


def _paints(page: pypdfium2.PdfPage) -> tuple[dict[int, _Paint], dict[int, pypdfium2.PdfObject]]:
    """The paints of a page's text objects, in forms too, and these, by address."""
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    colours = [ctypes.byref(colour) for colour in (red, green, blue, alpha)]
    paints, objects = {}, {}
    for found in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT], max_depth=_DEPTH):
        mode = pdfium.FPDFTextObj_GetTextRenderMode(found.raw)
        is_plain = (mode in _FILLED and pdfium.FPDFPageObj_GetFillColor(found.raw, *colours)) or (
            mode in _STROKED and pdfium.FPDFPageObj_GetStrokeColor(found.raw, *colours)
        )
        font = pdfium.FPDFTextObj_GetFont(found.raw)
        address = ctypes.cast(found.raw, ctypes.c_void_p).value or 0
        paints[address] = _Paint(
            (red.value, green.value, blue.value) if is_plain else None,
            mode == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE,
            pdfium.FPDFFont_GetIsEmbedded(font) == 1,
        )
        objects[address] = found
    return paints, objects


def _is_scan(page: pypdfium2.PdfPage) -> bool:
    width, height = page.get_size()
    area = float(width * height)
    covered = 0.0
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        covered = max(covered, (right - left) * (top - bottom))
    return covered >= _SCAN * area


class _Area(NamedTuple):
    """A rectangle of dots."""

    left: int
    right: int
    upper: int
    lower: int
    is_large: bool  # its text is not tiny


class _Shots:
    """The page as it is shown, and as it would be without its text."""

    def __init__(self, page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> None:
        self._scale = min(_SCALE, _WIDEST / max(page.get_size()))
        self._width, self._height = (ceil(side * self._scale) for side in page.get_size())
        self._origin, self._across, self._up = _axes(page, self._width, self._height)
        # What shows of a full stop shrinks with its area.
        self._share = _SHARE * min(1.0, self._scale) ** 2
        self._text = text.raw
        self._edges = [ctypes.c_double() for _ in range(4)]  # left, right, bottom, top
        self._edges_filled = [ctypes.byref(edge) for edge in self._edges]

    def draw(self, page: pypdfium2.PdfPage) -> None:
        """Take the picture of the page as it is shown."""
        for at in reversed(range(pdfium.FPDFPage_GetAnnotCount(page.raw))):
            note = pdfium.FPDFPage_GetAnnot(page.raw, at)
            if pdfium.FPDFAnnot_GetSubtype(note) in _NOTES:
                pdfium.FPDFPage_RemoveAnnot(page.raw, at)
            pdfium.FPDFPage_CloseAnnot(note)
        self._full = self._drawn(page)

    def take_away(self, page: pypdfium2.PdfPage, objects: Collection[pypdfium2.PdfObject]) -> None:
        """Take the picture without some of its text, which all that is asked of afterwards is compared with."""
        for found in objects:
            pdfium.FPDFPageObj_SetIsActive(found.raw, False)
        self._bare = self._drawn(page)
        for found in objects:
            pdfium.FPDFPageObj_SetIsActive(found.raw, True)

    def _drawn(self, page: pypdfium2.PdfPage) -> memoryview:
        bitmap = page.render(scale=self._scale, rev_byteorder=True, may_draw_forms=False)
        self._stride, self._deep = bitmap.stride, bitmap.n_channels
        dots = memoryview(bitmap.buffer).cast("B")  # it is Python's, and outlives the bitmap
        bitmap.close()
        return dots

    def area(self, at: int) -> _Area | None:
        """The dots of a character and those around it, as pdfium moves letters to whole dots; None: beside the page."""
        pdfium.FPDFText_GetCharBox(self._text, at, *self._edges_filled)
        edges = self._edges
        left, right, bottom, top = edges[0].value, edges[1].value, edges[2].value, edges[3].value
        (x, y), (across_x, across_y), (up_x, up_y) = self._origin, self._across, self._up
        x0, x1 = x + left * across_x + top * up_x, x + right * across_x + bottom * up_x
        y0, y1 = y + left * across_y + top * up_y, y + right * across_y + bottom * up_y
        x0, x1 = (x0, x1) if x0 < x1 else (x1, x0)
        y0, y1 = (y0, y1) if y0 < y1 else (y1, y0)
        if x1 < -1 or y1 < -1 or x0 > self._width or y0 > self._height:
            return None
        return _Area(
            max(0, int(x0) - 1),
            min(self._width, int(x1) + 2),
            max(0, int(y0) - 1),
            min(self._height, int(y1) + 2),
            top - bottom > 2 * _SMALLEST,
        )

    def stands_out(self, area: _Area) -> bool:
        """Say at a glance whether text is surely seen: darker or lighter in the middle than anything is without it."""
        line = (area.upper + area.lower) // 2 * self._stride
        start, stop = line + area.left * self._deep, line + area.right * self._deep
        full, bare = bytes(self._full[start:stop]), bytes(self._bare[start:stop])
        return min(bare) - min(full) >= _CONTRAST or max(full) - max(bare) >= _CONTRAST

    def shows(self, area: _Area, paint: _Paint) -> bool:
        """Say whether a text's paint makes a difference that is seen."""
        most, where = 0, 0
        for line in range(area.upper, area.lower):
            start, stop = (line * self._stride + column * self._deep for column in (area.left, area.right))
            full, bare = bytes(self._full[start:stop]), bytes(self._bare[start:stop])
            if full == bare:
                continue
            differences = list(map(abs, map(sub, full, bare)))
            if (strongest := max(differences)) > most:
                most, where = strongest, start + differences.index(strongest)
                if most >= _CONTRAST:
                    return True
        contrast = self._contrast(where, paint)
        return contrast >= _CONTRAST and most >= self._share * contrast

    def may_show(self, area: _Area, paint: _Paint, code: int) -> bool:
        """The same; where pdfium may be unable to draw a letter, say whether its colour stands out from its ground."""
        if self.shows(area, paint):
            return True
        if paint.has_font or code <= _LATIN or paint.colour is None:
            return False
        middle = (area.upper + area.lower) // 2 * self._stride + (area.left + area.right) // 2 * self._deep
        return self._contrast(middle, paint) >= _CONTRAST

    def _contrast(self, where: int, paint: _Paint) -> int:
        """Between a text's colour and its ground, where the strokes are wide enough."""
        if paint.colour is None:
            return 255
        dot = where - where % self._stride % self._deep
        return max(abs(own - ground) for own, ground in zip(paint.colour, self._bare[dot : dot + 3], strict=True))


def _axes(page: pypdfium2.PdfPage, width: int, height: int) -> list[tuple[float, float]]:
    """Where the page's origin is in dots from the upper left corner, and how far a point across and a point up go.

    However it is turned and cropped.
    """
    fine, far = 64, 1000  # pdfium answers in whole dots
    x, y = ctypes.c_int(), ctypes.c_int()
    corners = []
    for across, up in ((0, 0), (far, 0), (0, far)):
        pdfium.FPDF_PageToDevice(
            page.raw, 0, 0, width * fine, height * fine, 0, across, up, ctypes.byref(x), ctypes.byref(y)
        )
        corners.append((x.value / fine, y.value / fine))
    origin = corners[0]
    return [origin, *(((right - origin[0]) / far, (down - origin[1]) / far) for right, down in corners[1:])]


def size_of(text: pypdfium2.PdfTextPage, at: int) -> float:
    """The size that a character is set in, in points."""
    matrix = pdfium.FS_MATRIX()
    scale = hypot(matrix.b, matrix.d) if pdfium.FPDFText_GetMatrix(text.raw, at, ctypes.byref(matrix)) else 1.0
    return float(pdfium.FPDFText_GetFontSize(text.raw, at)) * scale
