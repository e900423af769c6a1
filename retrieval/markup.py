"""HTML to the text that a reader sees, with its headings. It knows no files."""

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import takewhile

from retrieval.parsed import Heading, Parsed
from retrieval.visible import clean

_UNSHOWN = frozenset({"script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "select"})
_VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_TAGS.split())
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
# What an opening tag closes by itself, since HTML lets its end tag be left out.
_CLOSED_BY = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": frozenset({"tr", "td", "th"}),
    "td": _CELL,
    "th": _CELL,
    "option": frozenset({"option"}),
}
_BORDERS = frozenset({"ul", "ol", "dl", "table", "select"})
_NEAR = 64  # how far up an item is looked for that a new one closes
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])"
    r"|(text-indent|left|top)\s*:\s*-\d{3,}",  # beside the page
    re.IGNORECASE,
)


def read_html(source: str) -> Parsed:
    """Read a page; its title is <title>, else the first heading, else empty."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    reader.end_block()
    text = "".join(reader.parts)
    first = text[reader.headings[0].start : reader.headings[0].end] if reader.headings else ""
    return Parsed(" ".join(reader.title.split()) or first, text, tuple(reader.headings), stripped=reader.stripped)


class _Reader(HTMLParser):
    """Work per tag does not grow with nesting: pages with a million open tags exist, and are fed to servers."""

    def __init__(self) -> None:
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
        self._open: list[tuple[str, bool]] = []  # tag, and whether it hides what is in it
        self._depth: Counter[str] = Counter()  # how many of each tag are open
        self._hiding = 0
        self._counts: list[int | None] = []  # of the open lists: the next item's number; None: unnumbered

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._close_implied(tag)
        if tag in _BLOCK and self._line != [self._bullet]:  # <li><p>: the paragraph follows its bullet
            self.end_block(tag)
        if tag == "br":
            self._line.append("\n")
        elif tag == "img":
            self.handle_data(attributes.get("alt") or "")
        elif tag in _CELL and self._has_words:
            self._line.append(" | ")
        if tag not in _VOID:
            hides = tag in _UNSHOWN or _hides(attributes)
            self._open.append((tag, hides))
            self._depth[tag] += 1
            self._hiding += hides
        if tag in _LISTS:
            first = attributes.get("start") or "1"
            self._counts.append(int(first) if tag == "ol" and re.fullmatch("[0-9]{1,9}", first) else None)
        if tag == "li" and not self._hiding:
            self._bullet = self._next_bullet()
            self._line = [self._bullet]

    def handle_endtag(self, tag: str) -> None:
        if not self._depth[tag]:
            return
        if tag in _BLOCK:
            self.end_block(tag)
        closed = ""
        while closed != tag:
            closed, hides = self._open.pop()
            self._depth[closed] -= 1
            self._hiding -= hides
            if closed in _LISTS:
                self._counts.pop()

    def handle_data(self, data: str) -> None:
        data, unseen = clean(data)  # character references are text by now
        self.stripped += unseen
        if self._depth["title"] and not self._depth["svg"]:
            self.title += data
        elif self._hiding:
            if not any(self._depth[tag] for tag in _UNSHOWN):
                self.stripped += len(" ".join(data.split()))
        elif self._has_words or data.strip():
            self._line.append(data if self._depth["pre"] else re.sub(r"\s+", " ", data))
            self._has_words = True

    def end_block(self, tag: str = "") -> None:
        """Put the line that was being read to the text."""
        is_code = self._depth["pre"] > 0
        is_tight = tag in _TIGHT or (tag in _LISTS and self._depth["li"] > 0)
        line = "".join(self._line)
        line = line.strip("\n") if is_code else re.sub(r" *\n *", "\n", re.sub(r"[^\S\n]+", " ", line)).strip()
        has_words, self._line, self._has_words = self._has_words, [], False
        if has_words and line.strip(" |"):  # neither a row nor an item without content
            level = next((level for level in range(1, 7) if self._depth[f"h{level}"]), 0)
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

    def _close_implied(self, tag: str) -> None:
        if tag in _BLOCK and self._open and self._open[-1][0] == "p":
            self.handle_endtag("p")
        closed = _CLOSED_BY.get(tag, frozenset())
        # Only within the innermost list or table: an item may hold a list of its own.
        inner = list(takewhile(lambda opened: opened not in _BORDERS, (name for name, _ in self._open[:-_NEAR:-1])))
        for name in closed & set(inner):
            self.handle_endtag(name)

    def _next_bullet(self) -> str:
        number = self._counts[-1] if self._counts else None
        if number is None:
            return "- "
        self._counts[-1] = number + 1
        return f"{number}. "


def _hides(attributes: dict[str, str | None]) -> bool:
    return (
        "hidden" in attributes
        or (attributes.get("aria-hidden") or "").lower() == "true"
        or bool(_HIDING.search(attributes.get("style") or ""))
    )
