"""Word documents: paragraphs, headings and tables in reading order, with the pages that Word last laid out.

The tree is walked instead of asking `Document.paragraphs`, which omits content controls, insertions and text boxes.
"""

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import BadZipFile

from docx import Document
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from lxml.etree import XMLSyntaxError, _Element

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.formats import equations, rows
from retrieval.formats.archive import refuse_unfit
from retrieval.formats.damage import reason_of
from retrieval.formats.office_xml import refined
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.visible import one_line

_P, _R, _T, _TBL, _TR, _TC = (qn(f"w:{name}") for name in ("p", "r", "t", "tbl", "tr", "tc"))
_BREAKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_LAID_OUT = qn("w:lastRenderedPageBreak")
# Deleted and moved text, properties, fields' instructions, and the copy of each drawing for older programs.
_LEFT_OUT = frozenset(
    {qn(f"w:{name}") for name in ("del", "moveFrom", "pPr", "rPr", "instrText", "delText", "tblPr", "sectPr")}
    | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
)
_HEADING = re.compile(r"heading (\d)")


def read_word(path: Path, data: bytes, limits: Limits) -> Parsed:
    """The document as its reader sees it, tracked changes accepted, hidden text left out and counted.

    Raises:
        DocumentRefused: it cannot be opened, or holds too much.
    """
    refuse_unfit(path, data, "Word", limits)
    try:
        document = Document(io.BytesIO(data))
    except (OpcError, BadZipFile, KeyError, ValueError, XMLSyntaxError) as error:
        raise DocumentRefused(path, reason_of(error, "Word")) from error
    reader = _Reader(document, Composer(path, limits))
    refined(document.element)
    reader.read(document.element.body)
    for part in document.part.package.iter_parts():
        if str(part.partname) in ("/word/footnotes.xml", "/word/endnotes.xml"):
            reader.read_notes(refined(parse_xml(part.blob)))
    return reader.composer.parsed(document.core_properties.title or "")


class _Reader:
    def __init__(self, document: WordDocument, composer: Composer) -> None:
        self.composer = composer
        self._page = 1
        # Word writes where pages began when it last showed the document; other programs do not.
        self._has_pages = next(document.element.body.iter(_LAID_OUT), None) is not None
        self._levels: dict[str, int] = {}
        self._hidden: set[str]
        self._style(document)

    def read(self, parent: _Element) -> None:
        """Add all blocks below an element."""
        for child in parent:
            if child.tag == _P:
                self._paragraph(child)
            elif child.tag == _TBL:
                self._table(child)
            elif child.tag not in _LEFT_OUT:
                self.read(child)

    def read_notes(self, notes: _Element) -> None:
        """Add foot- or endnotes, after the text."""
        self._has_pages = False
        self.read(notes)

    def _style(self, document: WordDocument) -> None:
        vanish: dict[str, bool | str] = {}  # what a style says, or whom it leaves that to
        for style in document.styles.element.iter(qn("w:style")):
            style_id = style.get(qn("w:styleId"), "")
            name = style.find(qn("w:name"))
            called = "" if name is None else name.get(qn("w:val"), "").casefold()
            outline = style.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
            if found := _HEADING.fullmatch(called):
                self._levels[style_id] = int(found[1])
            elif called == "title":
                self._levels[style_id] = 1
            elif outline is not None and outline.get(qn("w:val"), "9") in tuple("012345"):
                self._levels[style_id] = int(outline.get(qn("w:val"), "0")) + 1
            switch, base = style.find(f"{qn('w:rPr')}/{qn('w:vanish')}"), style.find(qn("w:basedOn"))
            if switch is not None:
                vanish[style_id] = equations.is_on(switch)
            elif base is not None:
                vanish[style_id] = base.get(qn("w:val"), "")
        self._hidden = {style_id for style_id in vanish if _resolved(vanish, style_id)}

    def _paragraph(self, paragraph: _Element) -> None:
        self._place()
        style = _style_of(paragraph)
        is_item = paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None
        pieces: list[str] = []
        boxes: list[_Element] = []
        for piece in self._pieces(paragraph, style in self._hidden, boxes):
            if piece is None:
                self._page += 1
                if not "".join(pieces).strip():
                    self._place()
            else:
                pieces.append(piece)
        text = "".join(pieces)
        level = self._levels.get(style, 0)
        if is_item and text.strip() and not level:
            self.composer.add(f"- {text.strip()}", joint="\n")
        else:
            self.composer.add(text, level=level)
        for box in boxes:
            self.read(box)

    def _place(self) -> None:
        if self._has_pages:
            self.composer.place(self._page, "page", self._page)

    def _pieces(self, parent: _Element, hidden: bool, boxes: list[_Element]) -> Iterator[str | None]:
        """The text of the runs below; None: a page begins here. Text boxes that are shown are put aside."""
        for child in parent:
            tag = child.tag
            if tag in _LEFT_OUT:
                continue
            if tag == _LAID_OUT:
                yield None
            elif tag == qn("w:txbxContent") and not hidden:
                boxes.append(child)
            elif tag in (_T, equations.EQUATION):
                text = equations.line(child) if tag == equations.EQUATION else child.text or ""
                if hidden:
                    self.composer.strip(len(one_line(text)))
                else:
                    yield text
            elif tag in _BREAKS:
                if not hidden:
                    yield _BREAKS[tag]
            else:
                yield from self._pieces(child, hidden or (tag == _R and self._is_hidden(child)), boxes)

    def _is_hidden(self, run: _Element) -> bool:
        properties = run.find(qn("w:rPr"))
        if properties is None:
            return False
        style = properties.find(qn("w:rStyle"))
        vanish = properties.find(qn("w:vanish"))
        if vanish is not None:
            return equations.is_on(vanish)
        return style is not None and style.get(qn("w:val"), "") in self._hidden

    def _table(self, table: _Element) -> None:
        cells = [
            [self._cell(cell) for cell in row.iter(_TC) if _row_of(cell) is row and not _is_deleted(cell)]
            for row in table.iter(_TR)
            if _table_of(row) is table and not _is_deleted(row)
        ]
        self._place()
        rows.add(self.composer, [row for row in cells if any(row)])

    def _cell(self, cell: _Element) -> str:
        return one_line(" ".join(self._lines(cell)))

    def _lines(self, parent: _Element) -> Iterator[str]:
        """The paragraphs of a cell, with those of text boxes and of tables in it."""
        for child in parent:
            if child.tag == _P:
                boxes: list[_Element] = []
                pieces = list(self._pieces(child, _style_of(child) in self._hidden, boxes))
                # A page break inside a table moves the page on; rows are placed with what stands before the table.
                self._page += pieces.count(None)
                yield "".join(piece for piece in pieces if piece is not None)
                for box in boxes:
                    yield from self._lines(box)
            elif child.tag not in _LEFT_OUT and not _is_deleted(child):
                yield from self._lines(child)


def _resolved(vanish: Mapping[str, bool | str], style_id: str) -> bool:
    """Whether a style hides text, by itself or by those it is based on, which may lead back to it."""
    asked: set[str] = set()
    said: bool | str = style_id
    while isinstance(said, str) and said not in asked:
        asked.add(said)
        said = vanish.get(said, False)
    return said is True


def _style_of(paragraph: _Element) -> str:
    named = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return "" if named is None else named.get(qn("w:val"), "")


def _is_deleted(part: _Element) -> bool:
    """Whether a tracked change has taken away a row or cell."""
    return any(
        part.find(f"{qn(properties)}/{qn(change)}") is not None
        for properties, change in (("w:trPr", "w:del"), ("w:tcPr", "w:cellDel"))
    )


def _row_of(cell: _Element) -> _Element | None:
    return next(cell.iterancestors(_TR), None)


def _table_of(row: _Element) -> _Element | None:
    return next(row.iterancestors(_TBL), None)
