"""PDF documents: the text that a reader sees, page by page, put back into paragraphs and headings."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from retrieval.composer import Composer, too_long
from retrieval.errors import DocumentRefused
from retrieval.formats.pdf_layout import Paragraph, paragraphs
from retrieval.formats.pdf_lines import read_lines
from retrieval.limits import Limits
from retrieval.parsed import Parsed

# A heading is set this much larger than the text, and is no longer than this.
_LARGER = 1.15
_HEADING_CHARACTERS = 150
_LEVELS = 6
# Titles that programs fill in by themselves.
_NO_TITLE = re.compile(r"(?i)^$|untitled|^microsoft |anonymous|\.(docx?|pptx?|xlsx?|pdf|indd|tex|dvi)$")


def read_pdf(path: Path, data: bytes, limits: Limits) -> Parsed:
    """The document, with a place for each page that has text.

    Raises:
        DocumentRefused: it is encrypted, damaged, all pictures, or holds too much.
    """
    try:
        document = pypdfium2.PdfDocument(data)
        count = len(document)
        if count > limits.pages:
            raise DocumentRefused(
                path, f"it has {count:,} pages; at most {limits.pages:,} are read; split it, or raise HRM_PARSE_PAGES"
            )
        pages: list[list[Paragraph]] = []
        hidden = characters = 0
        for index in range(count):
            page = document[index]
            lines, unseen = read_lines(page)
            page.close()
            hidden += unseen
            characters += sum(len(line.text) for line in lines)
            if characters > limits.characters:
                raise DocumentRefused(path, too_long(limits))
            pages.append(paragraphs(lines))
        title = document.get_metadata_value("Title").strip()
        document.close()
    except pypdfium2.PdfiumError as error:
        raise DocumentRefused(path, _reason(error)) from error
    if not characters:
        raise DocumentRefused(path, _no_text(count, hidden))
    composer = Composer(path, limits)
    composer.strip(hidden)
    _compose(composer, pages)
    return composer.parsed("" if _NO_TITLE.search(title) else title)


def _compose(composer: Composer, pages: Sequence[list[Paragraph]]) -> None:
    levels = _levels(pages)
    is_open = False  # the page before ended in the middle of a sentence
    for number, page in enumerate(pages, start=1):
        composer.place(number, "page", number)
        for at, paragraph in enumerate(page):
            level = levels.get(paragraph.size, 0) if _may_be_heading(paragraph) else 0
            goes_on = at == 0 and is_open and not level and paragraph.text[:1].islower()
            composer.add(paragraph.text, level=level, joint=" " if goes_on else "\n\n")
            is_open = not level and paragraph.text[-1:] not in ".:!?…\"')”»"


def _levels(pages: Sequence[list[Paragraph]]) -> dict[float, int]:
    """The rank of each size that headings are set in: the largest is 1."""
    weight: Counter[float] = Counter()
    for page in pages:
        for paragraph in page:
            weight[paragraph.size] += len(paragraph.text)
    if not weight:
        return {}
    body = weight.most_common(1)[0][0]
    larger = sorted((size for size in weight if size >= _LARGER * body), reverse=True)
    return {size: min(rank, _LEVELS) for rank, size in enumerate(larger, start=1)}


def _may_be_heading(paragraph: Paragraph) -> bool:
    return len(paragraph.text) <= _HEADING_CHARACTERS and any(map(str.isalpha, paragraph.text))


def _reason(error: pypdfium2.PdfiumError) -> str:
    if error.err_code == pdfium.FPDF_ERR_PASSWORD:
        return "it is encrypted with a password; save it without one"
    if error.err_code == pdfium.FPDF_ERR_SECURITY:
        return "it is encrypted in a way that cannot be read; save it without protection"
    return f"it is damaged ({error}); open it in a PDF program and save it again"


def _no_text(pages: int, hidden: int) -> str:
    if hidden:
        return f"all of its text ({hidden:,} characters) is invisible to its readers"
    where = "its page, which is a picture" if pages == 1 else f"its {pages:,} pages, which are pictures"
    return f"there is no text on {where}; run text recognition on it (OCR, as ocrmypdf does) and hand in the result"
