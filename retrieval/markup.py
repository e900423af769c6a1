"""HTML to the text that a reader sees, with its headings. It knows no files."""

import re
from html.parser import HTMLParser

from retrieval.looks import inside
from retrieval.nesting import VOID, Nesting
from retrieval.page_styles import PageStyles, read_styles
from retrieval.parsed import Heading, Parsed
from retrieval.styles import Attributes
from retrieval.visible import clean

_BLOCK_TAGS = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody tfoot thead title tr ul"
)
_BLOCK = frozenset(_BLOCK_TAGS.split())
_TIGHT = frozenset(
    {"li", "tr", "thead", "tbody", "tfoot", "dt", "dd"}
)  # lines of one block rather than blocks of their own
_LISTS = frozenset({"ul", "ol"})
_CELL = frozenset({"td", "th"})


def read_html(source: str, *, is_page: bool = True) -> Parsed:
    """Read a page; its title is <title>, else the first heading, else empty.

    Args:
        is_page: a browser shows it as it is, on white; otherwise it is a part of some other page.
    """
    reader = _Reader(read_styles(source, is_page=is_page))
    reader.feed(source)
    reader.close()
    reader.end_block()
    text = "".join(reader.parts)
    first = text[reader.headings[0].start : reader.headings[0].end] if reader.headings else ""
    return Parsed(" ".join(reader.title.split()) or first, text, tuple(reader.headings), stripped=reader.stripped)


class _Reader(HTMLParser):
    def __init__(self, page: PageStyles) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self.title = ""
        self.stripped = 0  # characters of text that is written down and not shown; code is no text
        self._length = 0
        self._line: list[str] = []
        self._has_words = False  # in the line, beside its bullet
        self._bullet = "- "
        self._gap = "\n\n"
        self._page = page
        self._nesting = Nesting(page.look)
        self._counts: list[int | None] = []  # of the open lists: the next item's number; None: unnumbered

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(reversed(attrs))  # of two of a name the first counts
        for name in self._nesting.before(tag):
            self._close(name)
        if self._nesting.is_ignored(tag):
            return
        if tag in _BLOCK and self._line != [self._bullet]:  # <li><p>: the paragraph follows its bullet
            self.end_block(tag)
        if tag == "br":
            self._line.append("\n")
        elif tag == "img":
            self._open(tag, attributes)
            self.handle_data(attributes.get("alt") or "")
            self._nesting.close(tag)
        if tag not in VOID:
            self._open(tag, attributes)
        if tag in _CELL and self._has_words and self._nesting.look.is_seen:
            self._line.append(" | ")
        if tag in _LISTS:
            first = attributes.get("start") or "1"
            self._counts.append(int(first) if tag == "ol" and re.fullmatch("[0-9]{1,9}", first) else None)
        if tag == "li" and self._nesting.look.is_seen:
            self._bullet = self._next_bullet()
            self._line = [self._bullet]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag like <br/>; where it is no empty one, browsers do not see the slash, but in drawings."""
        self.handle_starttag(tag, attrs)
        if any(name in self._nesting for name in ("svg", "math")):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCK and tag in self._nesting:
            self.end_block(tag)
        if name := self._nesting.ended_by(tag):
            self._close(name)

    def handle_data(self, data: str) -> None:
        data, unseen = clean(data)  # character references are text by now
        self.stripped += unseen
        if data.strip():
            for name in self._nesting.before_text():
                self._close(name)
            self._nesting.text_came()
        look = self._nesting.look
        if "title" in self._nesting and "svg" not in self._nesting:
            self.title += data
        elif not look.is_seen:
            if not look.is_code:
                self.stripped += len(" ".join(data.split()))
        elif self._has_words or data.strip():
            self._line.append(data if "pre" in self._nesting else re.sub(r"\s+", " ", data))
            self._has_words = True

    def end_block(self, tag: str = "") -> None:
        """Put the line that was being read to the text."""
        is_code = "pre" in self._nesting
        is_tight = tag in _TIGHT or (tag in _LISTS and "li" in self._nesting)
        line = "".join(self._line)
        line = line.strip("\n") if is_code else re.sub(r" *\n *", "\n", re.sub(r"[^\S\n]+", " ", line)).strip()
        has_words, self._line, self._has_words = self._has_words, [], False
        if has_words and line.strip(" |"):  # neither a row nor an item without content
            level = next((level for level in range(1, 7) if f"h{level}" in self._nesting), 0)
            # A heading is one line, whatever breaks stand in it.
            self._put(" ".join(line.split()) if level else line, level)
            self._gap = "\n" if is_tight else "\n\n"
        elif not is_tight:
            self._gap = "\n\n"

    def _put(self, line: str, level: int) -> None:
        gap = self._gap if self.parts else ""
        self.parts += [gap, line]
        start = self._length + len(gap)
        self._length = start + len(line)
        if level:
            self.headings.append(Heading(start, self._length, level))
            self._gap = "\n\n"

    def _open(self, tag: str, attributes: Attributes) -> None:
        styles, is_flat = self._page.styles, self._page.is_flat
        self._nesting.open(tag, inside(self._nesting.look, tag, attributes, styles, is_flat=is_flat))

    def _close(self, tag: str) -> None:
        if tag not in self._nesting:  # it went with another
            return
        if tag in _BLOCK:
            self.end_block(tag)
        for closed in self._nesting.close(tag):
            if closed in _LISTS:
                self._counts.pop()

    def _next_bullet(self) -> str:
        number = self._counts[-1] if self._counts else None
        if number is None:
            return "- "
        self._counts[-1] = number + 1
        return f"{number}. "
