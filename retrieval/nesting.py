"""Which elements of a page are open: HTML lets many tags be left out, and a browser closes by itself what they would.

After "tree construction" of the HTML standard, as far as it bears on where text stands. It knows no text.
"""

from collections import defaultdict

from retrieval.looks import Look

_VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
VOID = frozenset(_VOID_TAGS.split())
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_OF_HEAD = frozenset({"base", "basefont", "bgsound", "link", "meta", "noframes", "noscript", "script", "style"})
_IN_HEAD = _OF_HEAD | {"template", "title", "head", "html"}
_CLOSES_P_TAGS = (
    "address article aside blockquote body center dd details dialog dir div dl dt fieldset figcaption figure footer"
    " form header hgroup hr li main menu nav ol p pre search section summary table ul"
)
_CLOSES_P = _HEADINGS | frozenset(_CLOSES_P_TAGS.split())
_GROUPS = frozenset({"thead", "tbody", "tfoot"})
_ROWS = frozenset({"tr", "td", "th", "caption", "colgroup"})
_OF_TABLE = _GROUPS | _ROWS | {"table"}
# What a start tag closes if it is open, and what that must not lie beyond.
_CLOSED_BY = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": _ROWS,
    "td": frozenset({"td", "th", "caption", "colgroup"}),
    "th": frozenset({"td", "th", "caption", "colgroup"}),
    **dict.fromkeys(_GROUPS, _GROUPS | _ROWS),
    "option": frozenset({"option"}),
    "optgroup": frozenset({"option", "optgroup"}),
    **dict.fromkeys(("input", "textarea", "select"), frozenset({"select"})),
    "a": frozenset({"a"}),
}
_BORDERS = {"li": frozenset({"ul", "ol"}), "dt": frozenset({"dl"}), "dd": frozenset({"dl"})}
_CELLS = frozenset({"td", "th", "caption", "template", "object", "marquee", "applet"})
_RAW = frozenset({"noscript", "iframe"})  # all within is text to a browser that runs scripts
_SCOPES = _CELLS | _RAW | {"table"}
# Their end tags hold, whatever is open in them.
_WHOLE = _RAW | {"template", "script", "style", "svg", "math", "head", "title"}
_DRAWINGS = frozenset({"svg", "math"})
_TEXT_OF_DRAWING = frozenset({"foreignobject", "desc", "title", "annotation-xml", "mi", "mo", "mn", "ms", "mtext"})
# These are no part of a drawing: one that is not closed ends before them.
_MARKS = "b big br code em embed i img nobr s small span strong strike sub sup tt u var"
_ENDS_DRAWING = (_CLOSES_P - {"article", "aside", "section"}) | frozenset(_MARKS.split())


class Nesting:
    """The open elements. Work per tag does not grow with depth: pages with a million open tags are fed to servers."""

    def __init__(self, look: Look) -> None:
        self._outside = look
        self._open: list[tuple[str, Look]] = []
        self._at: defaultdict[str, list[int]] = defaultdict(list)  # by tag, how deep those that are open lie
        self._is_past_head = False

    def __contains__(self, tag: str) -> bool:
        return bool(self._at.get(tag))

    @property
    def innermost(self) -> str:
        return self._open[-1][0] if self._open else ""

    @property
    def look(self) -> Look:
        return self._open[-1][1] if self._open else self._outside

    def open(self, tag: str, look: Look) -> None:
        self._at[tag].append(len(self._open))
        self._open.append((tag, look))

    def close(self, tag: str) -> list[str]:
        """Close the innermost element of this name and all that is in it, which is returned, innermost first."""
        at = self._at[tag][-1]
        closed = [name for name, _ in reversed(self._open[at:])]
        for name in closed:
            self._at[name].pop()
        del self._open[at:]
        return closed

    def before_text(self) -> list[str]:
        """The elements that text closes by standing there: a head."""
        return ["head"] if self.innermost == "head" else []

    def before(self, tag: str) -> list[str]:
        """The elements that a start tag closes by itself, to be closed in this order."""
        if any(raw in self for raw in _RAW) or ("title" in self and not any(drawing in self for drawing in _DRAWINGS)):
            return []  # all is text there
        closed = ["head"] if "head" in self and tag not in _IN_HEAD else []
        if tag in _ENDS_DRAWING:
            closed += [name for name in _DRAWINGS if self._is_near(name, _TEXT_OF_DRAWING)]
        if tag in _OF_TABLE and self._is_near("select", frozenset({"template"})):
            closed.append("select")
        if tag in _CLOSES_P and self._is_near("p", _SCOPES | {"button"}):
            closed.append("p")
        if tag in _HEADINGS and self.innermost in _HEADINGS:
            closed.append(self.innermost)
        borders = _BORDERS.get(tag, frozenset()) | ({"table", "template"} if tag in _OF_TABLE else _SCOPES)
        closed += [name for name in _CLOSED_BY.get(tag, ()) if self._is_near(name, borders - {name})]
        return closed

    def is_ignored(self, tag: str) -> bool:
        """Whether a start tag of this name says nothing here."""
        is_head = tag == "head" and self._is_past_head
        self._is_past_head |= tag not in ("html", "!doctype")
        return is_head or (tag in ("html", "body") and tag in self)

    def ended_by(self, tag: str) -> str:
        """The name of the element that an end tag closes; empty: none."""
        if tag in ("html", "body") and not any(raw in self for raw in _RAW):
            return "head" if "head" in self else ""  # what comes after them is still in the body
        if tag in _HEADINGS:
            tag = max((name for name in _HEADINGS if name in self), key=lambda name: self._at[name][-1], default="")
        borders = _RAW | {"template"} if tag in _OF_TABLE else _SCOPES | _BORDERS.get(tag, frozenset())
        return tag if tag and self._is_near(tag, frozenset() if tag in _WHOLE else borders - {tag}) else ""

    def text_came(self) -> None:
        self._is_past_head = True

    def _is_near(self, tag: str, borders: frozenset[str]) -> bool:
        """Whether an element of this name is open and none of the others is open within it."""
        if tag not in self:
            return False
        at = self._at[tag][-1]
        return not any(self._at[border][-1] > at for border in borders if border in self)
