"""What can be told of a file without reading its text: kind, size, emptiness."""

import re
from pathlib import Path

from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.types import Fault
from retrieval.visible import clean

PLAIN = frozenset({".txt"})
MARKDOWN = frozenset({".md", ".markdown"})
HTML = frozenset({".html", ".htm"})
TABLES = frozenset({".csv", ".tsv"})
RECORDS = frozenset({".json"})
MAIL = frozenset({".eml"})
PDF = frozenset({".pdf"})
OFFICE = {".docx": "Word", ".pptx": "PowerPoint", ".xlsx": "Excel"}
SUPPORTED = PLAIN | MARKDOWN | HTML | TABLES | RECORDS | MAIL | PDF | OFFICE.keys()
SUPPORTED_WORDS = "supported are txt, md, html, pdf, docx, pptx, xlsx, csv, tsv, json and eml"

# What to do with formats that people hand in all the same.
_ADVICE = {
    ".doc": "Word of before 2007; save it as docx",
    ".docm": "Word with macros; save it as docx",
    ".dot": "Word template; save it as docx",
    ".dotx": "Word template; save it as docx",
    ".odt": "OpenDocument text; save it as docx or PDF",
    ".rtf": "RTF; save it as docx or PDF",
    ".pages": "Apple Pages; export it as docx or PDF",
    ".ppt": "PowerPoint of before 2007; save it as pptx",
    ".pptm": "PowerPoint with macros; save it as pptx",
    ".odp": "OpenDocument presentation; save it as pptx or PDF",
    ".key": "Apple Keynote; export it as pptx or PDF",
    ".xls": "Excel of before 2007; save it as xlsx",
    ".xlsm": "Excel with macros; save it as xlsx",
    ".xlsb": "Excel binary workbook; save it as xlsx",
    ".ods": "OpenDocument spreadsheet; save it as xlsx or csv",
    ".xml": "XML; save it as one of the supported formats",
    ".msg": "Outlook message; save it as eml",
    ".epub": "EPUB; convert it to PDF or html",
    ".zip": "ZIP archive; unpack it",
    ".gz": "gzip archive; unpack it",
    ".7z": "7-Zip archive; unpack it",
    ".tar": "tar archive; unpack it",
    ".png": "PNG image; make a PDF with text of it (OCR)",
    ".jpg": "JPEG image; make a PDF with text of it (OCR)",
    ".jpeg": "JPEG image; make a PDF with text of it (OCR)",
    ".tif": "TIFF image; make a PDF with text of it (OCR)",
    ".tiff": "TIFF image; make a PDF with text of it (OCR)",
}
_UNSUPPORTED: Fault = "unsupported_file"
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# How files of other kinds begin, so that a renamed one is called by its name rather than "not UTF-8".
_BEGINNINGS = (
    (b"%PDF-", "PDF"),
    (_ZIP, "ZIP or Office file"),
    (_OLE, "Office file of before 2007"),
    (b"{\\rtf", "RTF file"),
    (b"\x89PNG", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"II*\0", "TIFF image"),
    (b"GIF8", "GIF image"),
    (b"\x1f\x8b", "gzip archive"),
    (b"7z\xbc\xaf", "7-Zip archive"),
    (b"Rar!", "RAR archive"),
    (b"\x7fELF", "program"),
    (b"MZ\x90", "program"),
    (b"SQLite format 3", "SQLite database"),
)
# PDF readers look for the mark this far into the file, as some programs write a line before it.
_PDF_WITHIN = 1024


def title_of(path: Path) -> str:
    """What a document without a title is called: its name in words."""
    return re.sub(r"[-_\s]+", " ", clean(path.stem)[0]).strip() or path.name


def refuse_unreadable(path: Path, data: bytes, limits: Limits) -> None:
    """Raise DocumentRefused for what can be told without reading the text: kind, size, emptiness."""
    suffix = path.suffix.lower()
    kind = next((name for beginning, name in _BEGINNINGS if data.startswith(beginning)), None)
    if suffix not in SUPPORTED:
        if kind and suffix not in _ADVICE:
            raise DocumentRefused(
                path, f"its content is a {kind}, its name says otherwise; {SUPPORTED_WORDS}", _UNSUPPORTED
            )
        name = _ADVICE.get(suffix, f"'{suffix}'" if suffix else "no extension")
        raise DocumentRefused(path, f"the format ({name}) is not supported; {SUPPORTED_WORDS}", _UNSUPPORTED)
    refuse_too_large(path, len(data), limits)
    if not data.strip():
        raise DocumentRefused(path, "it is empty")
    if suffix in PDF:
        if b"%PDF-" not in data[:_PDF_WITHIN]:
            raise DocumentRefused(path, f"its name says PDF, its content is {_called(kind)}", _UNSUPPORTED)
    elif suffix in OFFICE:
        _refuse_other_office(path, data, OFFICE[suffix], kind)
    elif kind:
        raise DocumentRefused(
            path, f"its content is a {kind}, its name says otherwise; rename or convert it", _UNSUPPORTED
        )


def refuse_too_large(path: Path, size: int, limits: Limits) -> None:
    """Raise DocumentRefused for a file of that many bytes, if they are too many; asked before it is read as well."""
    if size > limits.file_bytes:
        raise DocumentRefused(
            path,
            f"it has {size:,} bytes; at most {limits.file_bytes:,} are read; split it, or raise HRM_PARSE_BYTES",
        )


def _refuse_other_office(path: Path, data: bytes, program: str, kind: str | None) -> None:
    if data.startswith(_ZIP):
        return
    if data.startswith(_OLE):
        # A password turns the archive into a stream of this name in a container of the old format.
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise DocumentRefused(path, f"it is encrypted; open it in {program} and save it without a password")
        extension = path.suffix.lower().removeprefix(".")
        raise DocumentRefused(path, f"it is a {program} file of before 2007; save it as {extension}", _UNSUPPORTED)
    raise DocumentRefused(path, f"its name says {program}, its content is {_called(kind)}", _UNSUPPORTED)


def _called(kind: str | None) -> str:
    return f"a {kind}" if kind else "something else; open it in the program it comes from and save it again"
