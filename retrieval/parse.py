"""Files to text: what is stored, and what every offset refers to. Refuses by name what it cannot read.

The readers of each format, and the libraries behind them, are loaded when the first file of theirs comes.
"""

from dataclasses import replace
from pathlib import Path

from retrieval import kinds
from retrieval.composer import too_long
from retrieval.errors import DocumentRefused
from retrieval.flags import find
from retrieval.kinds import refuse_unreadable, title_of
from retrieval.limits import Limits
from retrieval.markdown import read_markdown
from retrieval.markup import read_html
from retrieval.parsed import Parsed
from retrieval.visible import clean, one_line


def parse(path: Path, data: bytes, limits: Limits | None = None) -> Parsed:
    """Turn a file's bytes into its stored text.

    Args:
        path: its name says the format and, for want of a better one, the title.

    Raises:
        DocumentRefused: not a supported format, too large, damaged, encrypted, or nothing in it.
    """
    limits = limits or Limits()
    refuse_unreadable(path, data, limits)
    parsed = _read(path, data, limits)
    if len(parsed.text) > limits.characters:
        raise DocumentRefused(path, too_long(limits))
    if not parsed.text:
        raise DocumentRefused(path, "there is no text in it that a reader would see")
    title = one_line(clean(parsed.title)[0]) or title_of(path)
    # Here, in a process of its own, since patterns over a large file would keep the interpreter from everything else.
    return replace(parsed, title=title, flags=find(parsed.text, parsed.stripped))


def _read(path: Path, data: bytes, limits: Limits) -> Parsed:
    suffix = path.suffix.lower()
    if suffix in kinds.PDF:
        from retrieval.formats.pdf import read_pdf

        return read_pdf(path, data, limits)
    if suffix == ".docx":
        from retrieval.formats.word import read_word

        return read_word(path, data, limits)
    if suffix == ".pptx":
        from retrieval.formats.slides import read_slides

        return read_slides(path, data, limits)
    if suffix == ".xlsx":
        from retrieval.formats.sheets import read_sheets

        return read_sheets(path, data, limits)
    if suffix in kinds.MAIL:
        from retrieval.formats.mail import read_mail

        return read_mail(path, data, limits)
    if suffix in kinds.RECORDS:
        from retrieval.formats.records import read_records

        return read_records(path, _decoded(path, data), limits)
    if suffix in kinds.TABLES:
        from retrieval.formats.table import read_table

        return read_table(path, _decoded(path, data), limits)
    source, unseen = clean(_decoded(path, data))
    if suffix in kinds.MARKDOWN:
        parsed = read_markdown(path, source)
    elif suffix in kinds.HTML:
        parsed = read_html(source)
    else:
        parsed = Parsed("", source.strip())
    return replace(parsed, stripped=parsed.stripped + unseen)


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
