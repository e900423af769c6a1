"""The style sheets that stand in a page, found before its text is read, since one may stand behind what it hides."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from retrieval.colours import WHITE
from retrieval.looks import Look
from retrieval.styles import Styles

_SCRIPTED = re.compile(r"<script|\son[a-z]+\s*=|javascript:", re.IGNORECASE)
_LINKED = re.compile(r"stylesheet|@import", re.IGNORECASE)
# What can lay one thing over another, so that the ground of a text is not that of the elements around it.
_OVERLAID = re.compile(
    r"position\s*:\s*[^s\s]|z-index|margin[^;}\"']*-\d|grid|transform|translate|url\(|gradient|color-scheme"
    r"|\bbackground\s*=|\bsticky\b",
    re.IGNORECASE,
)
_STYLED = re.compile(r"<style", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageStyles:
    """What is known of how a page looks."""

    styles: Styles
    look: Look  # of the page itself
    is_flat: bool  # nothing lies over or behind anything else


def read_styles(source: str, *, is_page: bool) -> PageStyles:
    """Find the style sheets of a page.

    Args:
        is_page: a browser shows it as it is, on white; otherwise it will be a part of some other page.
    """
    styles = Styles(is_scripted=_SCRIPTED.search(source) is not None)
    if _STYLED.search(source):
        finder = _Finder(styles)
        finder.feed(source)
        finder.close()
    is_flat = not _LINKED.search(source) and not _OVERLAID.search(source)
    return PageStyles(styles, Look(ground=WHITE if is_flat and is_page else None), is_flat)


class _Finder(HTMLParser):
    def __init__(self, styles: Styles) -> None:
        super().__init__(convert_charrefs=True)
        self._styles = styles
        self._media: str | None = None  # of the sheet that is open
        self._unused = 0  # open templates, whose sheets do not hold
        self._unsure = 0  # open noscripts, whose sheets hold for few

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unused += tag == "template"
        self._unsure += tag == "noscript"
        attributes = dict(reversed(attrs))  # of two of a name the first counts
        if tag == "style" and (attributes.get("type") or "text/css").lower() == "text/css":
            self._media = attributes.get("media") or ""

    def handle_endtag(self, tag: str) -> None:
        self._unused -= tag == "template" and self._unused > 0
        self._unsure -= tag == "noscript" and self._unsure > 0
        if tag == "style":
            self._media = None

    def handle_data(self, data: str) -> None:
        if self._media is not None and not self._unused:
            self._styles.add(data, self._media, is_certain=not self._unsure)
