"""PowerPoint presentations: the slides in order, their tables and notes; hidden slides and shapes are left out."""

import io
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile

from lxml.etree import XMLSyntaxError, _Element
from pptx import Presentation
from pptx.exc import PythonPptxError
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.formats import rows
from retrieval.formats.archive import refuse_unfit
from retrieval.formats.damage import reason_of
from retrieval.formats.office_xml import refined
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.visible import one_line


def read_slides(path: Path, data: bytes, limits: Limits) -> Parsed:
    """A heading and paragraphs for each slide that is shown.

    Raises:
        DocumentRefused: it cannot be opened, or holds too much.
    """
    refuse_unfit(path, data, "PowerPoint", limits)
    try:
        presentation = Presentation(io.BytesIO(data))
        slides = list(presentation.slides)
    except (PythonPptxError, BadZipFile, KeyError, ValueError, XMLSyntaxError) as error:
        raise DocumentRefused(path, reason_of(error, "PowerPoint")) from error
    composer = Composer(path, limits)
    for number, slide in enumerate(slides, start=1):
        refined(slide.element)
        if slide.has_notes_slide:
            refined(slide.notes_slide.element)
        if slide.element.get("show") in ("0", "false"):
            _strip(composer, slide.element)
            continue
        composer.place(number, "slide", number)
        _slide(composer, slide)
    return composer.parsed(presentation.core_properties.title or "")


def _slide(composer: Composer, slide: Slide) -> None:
    title = slide.shapes.title
    if title is not None and _is_hidden(title):
        title = None
    if title is not None:
        composer.add(title.text_frame.text, level=2)
    # Not by their numbers, which other programs give twice.
    _shapes(composer, [shape for shape in slide.shapes if title is None or shape.element is not title.element])
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            composer.add(f"Notes: {notes}")


def _shapes(composer: Composer, shapes: Iterable[BaseShape]) -> None:
    for shape in shapes:
        if _is_hidden(shape):
            _strip(composer, shape.element)
        elif isinstance(shape, GroupShape):
            _shapes(composer, shape.shapes)
        elif isinstance(shape, GraphicFrame):
            if shape.has_table:
                rows.add(composer, [[one_line(cell.text) for cell in row.cells] for row in shape.table.rows])
        elif shape.has_text_frame:
            for number, paragraph in enumerate(shape.text_frame.paragraphs):  # type: ignore[attr-defined]  # it has one
                composer.add(paragraph.text.replace("\v", "\n"), joint="\n" if number else "\n\n")


def _strip(composer: Composer, element: _Element) -> None:
    composer.strip(sum(len(one_line(node.text or "")) for node in element.iter("{*}t")))


def _is_hidden(shape: BaseShape) -> bool:
    properties = next(shape.element.iter("{*}cNvPr"), None)
    return properties is not None and properties.get("hidden") in ("1", "true")
