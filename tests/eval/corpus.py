"""Builds the evaluation's corpus, `sections.jsonl.xz`, from the documentation that Debian packages (see NOTICE.md).

    apt-get download python3.11-doc python-django-doc apache2-doc sqlite3-doc postgresql-doc-15 nodejs-doc \
        python-sqlalchemy-doc python-scrapy-doc sphinx-doc twisted-doc
    for package in *.deb; do dpkg-deb -x "$package" unpacked; done
    python -m tests.eval.corpus unpacked

A section is what stands under one heading, from 20 words on, cut after the last sentence that ends within 600
characters. The same packages give the same file.
"""

import html
import json
import lzma
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from retrieval.markup import read_html
from retrieval.visible import clean

CORPUS = Path(__file__).with_name("sections.jsonl.xz")
LONGEST = 600
FEWEST_WORDS = 20


@dataclass(frozen=True, slots=True)
class Section:
    """A passage of documentation. `key` names its package, page and place, and is what a judgement refers to."""

    key: str
    title: str  # of its page
    heading: str
    text: str

    @property
    def asks(self) -> bool:
        """Whether the heading is a question, so that its body is the answer."""
        return self.heading.endswith("?") and len(self.heading.split()) >= 4


@dataclass(frozen=True, slots=True)
class Source:
    """Where a package keeps its pages, and what encloses the text on them."""

    folder: str
    begin: str  # a pattern: the text starts after it
    end: str  # another: and ends before it; without it on the page, at its end
    skipped: str = r"(?!)"  # pages that repeat others, or list words


SOURCES = {
    "python": Source(
        "python3.11/html",
        r'<div class="body" role="main">',
        r'<div class="sphinxsidebar"',
        r"whatsnew/|genindex|py-modindex|contents\.html|search\.html|download\.html",
    ),
    "django": Source(
        "python-django-doc/html",
        r'<div class="(?:yui-g|body)"[^>]*>',
        r'<div class="(?:yui-b|sphinxsidebar|nav)"|<div id="ft"',
        r"releases/|genindex|modindex|contents\.html|search\.html|_modules/",
    ),
    "apache": Source("apache2-doc/manual/en", r'<div id="page-content">', r'<div class="bottomlang">'),
    "sqlite": Source(
        "sqlite3",
        r"</form>",
        r'<p align="center"><small>',
        r"releaselog/|matrix/|syntax/|changes\.html|chronology|doclist|keyword_index|capi3ref",
    ),
    "postgres": Source(
        "postgresql-doc-15/html",
        r'(?s)class="navheader">.*?<hr\s*/?>\s*</div>',
        r'<div class="navfooter"',
        r"release-|bookindex|biblio|features-sql|sql-keywords",
    ),
    "node": Source(
        "nodejs/api", r'<div id="apicontent">', r"<!-- API END -->", r"all\.html|index\.html|documentation\.html"
    ),
    "sqlalchemy": Source(
        "python-sqlalchemy-doc/html",
        r'<div id="docs-body"[^>]*>',
        r'<div id="docs-bottom-navigation"',
        r"changelog/|genindex|contents\.html|search\.html|_modules/",
    ),
    "scrapy": Source(
        "python-scrapy-doc/html",
        r'<div itemprop="articleBody">',
        r"<footer",
        r"news\.html|genindex|modindex|search\.html|_modules/",
    ),
    "sphinx": Source(
        "sphinx-doc/html",
        r'<div class="body" role="main">',
        r'<div class="sphinxsidebar"',
        r"changes\.html|changelog|genindex|modindex|contents\.html|search\.html|_modules/",
    ),
    "twisted": Source(
        "twisted-doc/html",
        r'<div class="body" role="main">',
        r'<div class="sphinxsidebar"',
        r"genindex|modindex|contents\.html|search\.html|api/",
    ),
}


def read_corpus(path: Path = CORPUS) -> list[Section]:
    """The sections, in the order of the file."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [Section(*json.loads(line)) for line in lines]


def build(root: Path) -> list[Section]:
    """All sections of all packages; of those with the same text, the first."""
    found: dict[str, Section] = {}
    for section in (section for name in SOURCES for section in read_source(root, name)):
        found.setdefault(" ".join(section.text.split()).casefold(), section)
    return sorted(found.values(), key=lambda section: section.key)


def read_source(root: Path, name: str) -> Iterator[Section]:
    source = SOURCES[name]
    (folder,) = root.glob(f"usr/share/doc/{source.folder}")
    for path in sorted(folder.rglob("*.htm*")):
        page = str(path.relative_to(folder))
        if re.search(source.skipped, page) or path.is_symlink():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        page = re.sub(r"\.html?(\.en|\.utf8)*$", "", page)
        yield from sections(f"{name}/{page}", clean(text)[0], source)


def sections(page: str, markup: str, source: Source) -> Iterator[Section]:
    """The sections of one page."""
    begin = re.search(source.begin, markup)
    named = re.search(r"(?s)<title>(.*?)</title>", markup)
    if begin is None or named is None:
        return
    title = html.unescape(" ".join(re.sub("<[^>]*>", "", named[1]).split()))
    title = re.sub(r"\s+(?:—|- Apache HTTP Server|\| Node\.js|\| Django).*$", "", title)
    body = markup[begin.end() :]
    if end := re.search(source.end, body):
        body = body[: end.start()]
    # Signs that link to a heading are not words of it; the tags within a line say nothing of a page's structure.
    body = re.sub(r'<a [^>]*class="(?:headerlink|permalink|mark|id_link)"[^>]*>.*?</a>', "", body)
    body = re.sub(r"</?(?:span|a|code|em|strong|tt|b|i)(?: [^>]*)?>", "", body)
    parsed = read_html(body)
    text = parsed.text
    borders = [*parsed.headings, None]
    for number, (heading, following) in enumerate(pairwise(borders)):
        assert heading is not None
        name = re.sub(r"^(?:Chapter |Appendix )?(?:[0-9A-Z]{1,3}\.)+[\s\d.]*", "", text[heading.start : heading.end])
        content = shortened(text[heading.end : following.start if following else len(text)].strip())
        if len(content.split()) >= FEWEST_WORDS:
            yield Section(f"{page}#{number}", title, name.strip(" ¶"), content)


def shortened(text: str) -> str:
    """The paragraphs and sentences that end within the longest length, or the words, where none ends."""
    if len(text) <= LONGEST:
        return text
    for boundary in (r"[.!?:]\s|\n\n", r"\s"):
        if ends := [found.end() for found in re.finditer(boundary, text[: LONGEST + 1])]:
            return text[: ends[-1]].rstrip()
    return text[:LONGEST]


def write(found: Iterable[Section], path: Path = CORPUS) -> None:
    lines = "".join(json.dumps([*asdict(section).values()], ensure_ascii=False) + "\n" for section in found)
    path.write_bytes(lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    found = build(Path(sys.argv[1]))
    write(found)
    size = CORPUS.stat().st_size
    print(f"{len(found):,} sections, {sum(section.asks for section in found)} question headings, {size:,} bytes")


if __name__ == "__main__":
    main()
