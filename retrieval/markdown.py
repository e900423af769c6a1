"""Markdown to the text that a reader sees, by way of the page that it is rendered to."""

import html
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, reference

from retrieval.errors import DocumentRefused
from retrieval.markup import read_html
from retrieval.parsed import Parsed

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
# A list counts twice. Each level takes frames of the stack of Python, which has a thousand.
_LISTS = 100
_DEEPEST = 2 * _LISTS
_LIMIT = _DEEPEST + 3  # out of reach: a level more is at most two beyond


class _TooDeep(Exception):
    """Blocks lie in blocks beyond the limit."""


def read_markdown(path: Path, source: str) -> Parsed:
    """Read a file; its title is the front matter's, else that of the page.

    Raises:
        DocumentRefused: quotes or lists are nested too deeply.
    """
    # Rendered and read back: one notion of headings, tables and hidden text for both formats.
    title = ""
    if front := _FRONT_MATTER.match(source):
        source = source[front.end() :]
        if named := _FRONT_TITLE.search(front.group(1) or ""):
            title = named.group(1).strip("'\"")
    markdown = MarkdownIt("commonmark", {"html": True, "maxNesting": _LIMIT}).enable(["table", "strikethrough"])
    markdown.block.ruler.before("table", "depth", _refuse_deep)
    markdown.block.ruler.at("reference", _unless_footnote, {"alt": []})
    try:
        rendered = markdown.render(source)
    except _TooDeep as error:
        reason = f"quotes and lists lie in one another more than {_LISTS} levels deep; flatten them"
        raise DocumentRefused(path, reason) from error
    if title:
        rendered = f"<title>{html.escape(title)}</title>{rendered}"
    return read_html(rendered, is_page=False)


def _unless_footnote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    # To CommonMark a footnote is an address that no link leads to. Its readers see it.
    if state.src.startswith("[^", state.bMarks[start] + state.tShift[start]):
        return False
    return reference(state, start, end, silent)


def _refuse_deep(state: StateBlock, _start: int, _end: int, _silent: bool) -> bool:
    # At the limit itself markdown-it leaves out what is left of the file, without a word.
    if state.level > _DEEPEST:
        raise _TooDeep
    return False
