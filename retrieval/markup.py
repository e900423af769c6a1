"""HTML to the text that a reader sees, with its headings. It knows no files."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_UNSHOWN = frozenset({"script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "select"})
_VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_TAGS.split())
_BLOCK_TAGS = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody tfoot thead title tr ul"
)
_BLOCK = frozenset(_BLOCK_TAGS.split())
_TIGHT = frozenset({"li", "tr", "dt", "dd"})  # lines of one block rather than blocks of their own
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
_HEADING = re.compile(r"h[1-6]")
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading's place in the stored text, and its rank: 1 is the highest."""

    start: int
    end: int
    level: int


def read_html(source: str) -> tuple[str, str, tuple[Heading, ...]]:
    """Return title, text and headings; the title is <title>, else the first heading, else empty."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    reader.end_block()
    text = "".join(reader.parts)
    first = text[reader.headings[0].start : reader.headings[0].end] if reader.headings else ""
    return " ".join(reader.title.split()) or first, text, tuple(reader.headings)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self.title = ""
        self._length = 0
        self._line = ""
        self._gap = "\n\n"
        self._open: list[tuple[str, bool]] = []  # tag, and whether it hides what is in it

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._close_implied(tag)
        if tag in _BLOCK:
            self.end_block(tag)
        if tag == "br":
            self._line += "\n"
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in _CELL and self._line.strip():
            self._line += " | "
        if tag not in _VOID:
            self._open.append((tag, tag in _UNSHOWN or _hides(dict(attrs))))
        if tag == "li" and not self._is_hidden:
            self._line = "- "

    def handle_endtag(self, tag: str) -> None:
        names = [name for name, _ in self._open]
        if tag not in names:
            return
        if tag in _BLOCK:
            self.end_block(tag)
        del self._open[len(names) - 1 - names[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        names = [name for name, _ in self._open]
        if "title" in names and "svg" not in names:
            self.title += data
        elif not self._is_hidden:
            self._line += data if "pre" in names else re.sub(r"\s+", " ", data)

    def end_block(self, tag: str = "") -> None:
        """Put the line that was being read to the text."""
        is_code = any(name == "pre" for name, _ in self._open)
        line = self._line.strip("\n") if is_code else "\n".join(part.strip() for part in self._line.split("\n"))
        line = line if is_code else re.sub(r"[^\S\n]+", " ", line).strip()
        self._line = ""
        if line.strip(" |-"):
            level = next((int(name[1]) for name, _ in self._open if _HEADING.fullmatch(name)), 0)
            # A heading is one line, whatever breaks stand in it.
            self._put(" ".join(line.split()) if level else line, level)
            self._gap = "\n" if tag in _TIGHT else "\n\n"
        elif tag not in _TIGHT:
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
        for name in _CLOSED_BY.get(tag, ()):
            # Only within the innermost list or table: an item may hold a list of its own.
            inner = [opened for opened, _ in self._open]
            borders = [at for at, opened in enumerate(inner) if opened in ("ul", "ol", "dl", "table", "select")]
            if name in inner[borders[-1] + 1 if borders else 0 :]:
                self.handle_endtag(name)

    @property
    def _is_hidden(self) -> bool:
        return any(hides for _, hides in self._open)


def _hides(attributes: dict[str, str | None]) -> bool:
    return (
        "hidden" in attributes
        or (attributes.get("aria-hidden") or "").lower() == "true"
        or bool(_HIDING.search(attributes.get("style") or ""))
    )
