"""CSV and TSV files."""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.formats import rows
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.visible import one_line

_SAMPLE = 65_536
_DELIMITERS = ",;\t|"
_END = ["\0", "\0"]  # a row that no file has, since text has lost its NULs when it comes here
_CELL = 100_000  # characters; a longer cell is a table that lost its line ends or quotes


def read_table(path: Path, source: str, limits: Limits) -> Parsed:
    """A line for each row, located by its number in the file.

    Raises:
        DocumentRefused: a cell is endless, or there is too much.
    """
    composer = Composer(path, limits)
    records = _records(path, source)
    first = next(records, None)
    second = next(records, None)
    header: list[str] = []
    waiting = [record for record in (first, second) if record is not None]
    if first and second and rows.is_header(first[1], second[1]):
        header, waiting = first[1], [second]
    elif first and second is None:
        waiting = [first]
    for number, row in (*waiting, *records):
        composer.place(None, "row", number)
        composer.add(rows.line(header, row))
    return composer.parsed()


def _records(path: Path, source: str) -> Iterator[tuple[int, list[str]]]:
    """(row number, cells) of each row that holds something."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(source[:_SAMPLE])
    csv.field_size_limit(_CELL)
    # A quote that is not closed makes one cell of all that follows, and of the end that is put here as well.
    lines = chain(io.StringIO(source, newline=""), [delimiter.join(_END)])
    number = 0
    try:
        for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
            if row == _END:
                return
            cells = [one_line(cell) for cell in row]
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise DocumentRefused(
            path, f"it is no table: {error} in row {number + 1}; look for a quote that is not closed, or save it as txt"
        ) from error
    raise DocumentRefused(path, f"it is no table: a quote in row {number} is not closed; close it, or save it as txt")


def _delimiter(sample: str) -> str:
    """The delimiter that cuts the first lines into the same number of cells, more than one."""
    lines = sample.splitlines()[:20]
    best, most = ",", 0
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row] if lines else []
        share = sum(count == counts[0] for count in counts) if counts and counts[0] > 1 else 0
        if share > most:
            best, most = delimiter, share
    return best
