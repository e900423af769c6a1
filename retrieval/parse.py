"""Files to text: what is stored, and what every offset refers to. Refuses by name what it cannot read."""

import html
import re
import unicodedata
from pathlib import Path

from markdown_it import MarkdownIt

from retrieval.errors import DocumentRefused
from retrieval.markup import read_html
from retrieval.parsed import Parsed

MAX_BYTES = 10_000_000  # a book of 5,000 pages; more is rarely a document, and would hold up the queue behind it
MARKDOWN = frozenset({".md", ".markdown"})
HTML = frozenset({".html", ".htm"})
PLAIN = frozenset({".txt"})
SUPPORTED = PLAIN | MARKDOWN | HTML

_FORMATS = {
    ".pdf": "PDF",
    ".doc": "Word",
    ".docx": "Word",
    ".odt": "OpenDocument text",
    ".rtf": "RTF",
    ".ppt": "PowerPoint",
    ".pptx": "PowerPoint",
    ".xls": "Excel",
    ".xlsx": "Excel",
    ".csv": "CSV",
    ".json": "JSON",
    ".xml": "XML",
    ".eml": "e-mail",
    ".msg": "Outlook message",
    ".epub": "EPUB",
    ".zip": "ZIP archive",
    ".png": "PNG image",
    ".jpg": "JPEG image",
    ".jpeg": "JPEG image",
}
# How files of other kinds begin, so that a renamed one is called by its name rather than "not UTF-8".
_BEGINNINGS = (
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP or Office file"),
    (b"\xd0\xcf\x11\xe0", "old Office file"),
    (b"{\\rtf", "RTF"),
    (b"\x89PNG", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"\x1f\x8b", "gzip archive"),
)

# Characters that a reader never sees, but a model would: zero-width ones, direction marks, tags (U+E0000 and on).
# The two joiners go unless they stand alone between letters beyond Latin, whose shape they change.
_UNSEEN = re.compile(
    "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
    "|(?<![\u0250-\u1fff\u2c00-\U0001ffff])[\u200c\u200d]+|[\u200c\u200d]{2,}"
    "|[\u200c\u200d]+(?![\u0250-\u1fff\u2c00-\U0001ffff])"
)
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1f\x7f]")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)


def refuse_unreadable(path: Path, data: bytes) -> None:
    """Raise DocumentRefused for what can be told without reading the text: kind, size, emptiness."""
    supported = "supported are txt, md and html"
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            raise DocumentRefused(path, f"its content is a {name}; {supported}", "unsupported_file")
    suffix = path.suffix.lower()
    if suffix not in SUPPORTED:
        name = _FORMATS.get(suffix, f"'{suffix}'" if suffix else "no extension")
        raise DocumentRefused(path, f"the format ({name}) is not supported; {supported}", "unsupported_file")
    refuse_too_large(path, len(data))
    if not data.strip():
        raise DocumentRefused(path, "it is empty")


def refuse_too_large(path: Path, size: int) -> None:
    """Raise DocumentRefused for a file of that many bytes, if they are too many; asked before it is read as well."""
    if size > MAX_BYTES:
        raise DocumentRefused(path, f"it has {size:,} bytes; at most {MAX_BYTES:,} are read")


def parse(path: Path, data: bytes) -> Parsed:
    """Turn a file's bytes into its stored text.

    Args:
        path: its name says the format and, for want of a better one, the title.

    Raises:
        DocumentRefused: not a supported format, too large, not UTF-8 text, or nothing in it.
    """
    refuse_unreadable(path, data)
    source = clean(_decoded(path, data))
    suffix = path.suffix.lower()
    if suffix in MARKDOWN:
        parsed = _markdown(source)
    elif suffix in HTML:
        parsed = Parsed(*read_html(source))
    else:
        parsed = Parsed("", source.strip())
    if not parsed.text:
        raise DocumentRefused(path, "there is no text in it that a reader would see")
    return Parsed(parsed.title or re.sub(r"[-_\s]+", " ", path.stem).strip() or path.name, parsed.text, parsed.headings)


def clean(text: str) -> str:
    """Normalise line ends and composed characters, and strip what no reader sees."""
    text = re.sub(r"\r\n?|[\f\v\x85\u2028\u2029]", "\n", text)
    return unicodedata.normalize("NFC", _CONTROLS.sub("", _UNSEEN.sub("", text)))


def _decoded(path: Path, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DocumentRefused(path, "it is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentRefused(path, f"it is not UTF-8: byte {error.start} cannot be read; save it as UTF-8") from error
    if "\0" in text:
        raise DocumentRefused(path, "it contains NUL characters, so it is not text")
    return text


def _markdown(source: str) -> Parsed:
    # Rendered and read back: one notion of headings, tables and hidden text for both formats.
    title = ""
    if front := _FRONT_MATTER.match(source):
        source = source[front.end() :]
        if named := _FRONT_TITLE.search(front.group(1) or ""):
            title = named.group(1).strip("'\"")
    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(source)
    if title:
        rendered = f"<title>{html.escape(title)}</title>{rendered}"
    return Parsed(*read_html(rendered))
