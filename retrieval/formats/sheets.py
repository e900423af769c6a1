"""Excel workbooks: a line for each row that is shown, with the values that Excel last computed."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from zipfile import BadZipFile

from lxml.etree import XMLSyntaxError
from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.formats import rows
from retrieval.formats.archive import refuse_unfit
from retrieval.formats.damage import reason_of
from retrieval.formats.formulas import uncomputed
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.visible import one_line

# What a number's format shows as it stands, or does not show: quoted, escaped, a gap, a filler, a colour or condition.
_LITERAL = re.compile(r'"[^"]*"|\\.|[_*].|\[[^\]]*\]')


def read_sheets(path: Path, data: bytes, limits: Limits) -> Parsed:
    """A heading for each sheet that is shown and a line for each of its rows; hidden rows and columns are left out.

    Raises:
        DocumentRefused: it cannot be opened, or holds too much.
    """
    refuse_unfit(path, data, "Excel", limits)
    try:
        # Not `read_only`, which does not say which rows are hidden. Of what is read, `_cells` is what the file holds;
        # `iter_rows` would make a cell for every place up to the last of them.
        reader = ExcelReader(io.BytesIO(data), data_only=True)
        reader.read()
        unknown = uncomputed(reader, data)
    except (InvalidFileException, BadZipFile, KeyError, ValueError, TypeError, SyntaxError, XMLSyntaxError) as error:
        raise DocumentRefused(path, reason_of(error, "Excel")) from error
    composer = Composer(path, limits)
    for number, sheet in enumerate(reader.wb.worksheets, start=1):
        if sheet.sheet_state != "visible":
            composer.strip(sum(map(len, map(_text, sheet._cells.values()))))
            continue
        if cell := unknown.get(sheet.title):
            raise DocumentRefused(
                # Without the sheet's name: what is said of a file is seen where its content is redacted.
                path,
                f"the formula in cell {cell} of sheet {number} was never computed; open it in Excel and save it again",
            )
        _sheet(composer, sheet, number)
    # Never the name of its first sheet, which the others are not below.
    return replace(composer.parsed(), title=one_line(reader.wb.properties.title or ""))


def _sheet(composer: Composer, sheet: Worksheet, number: int) -> None:
    shown = list(_shown(composer, sheet))
    header: dict[int, str] = {}
    if len(shown) > 1 and rows.is_header(list(shown[0][1].values()), list(shown[1][1].values())):
        header = shown.pop(0)[1]
    if shown:
        composer.place(number, "sheet", number)
        composer.add(sheet.title, level=2)
    for row_no, texts in shown:
        composer.place(number, "row", row_no, sheet.title)
        composer.add(rows.line([header.get(column, "") for column in texts], list(texts.values())))


def _shown(composer: Composer, sheet: Worksheet) -> Iterator[tuple[int, dict[int, str]]]:
    """(row number, texts by column) of each row that is shown and holds something."""
    hidden_columns = {
        column
        for dimension in sheet.column_dimensions.values()
        if dimension.hidden and dimension.min and dimension.max
        for column in range(dimension.min, dimension.max + 1)
    }
    for row_no, places in groupby(sorted(sheet._cells), key=itemgetter(0)):
        is_hidden = row_no in sheet.row_dimensions and sheet.row_dimensions[row_no].hidden
        texts = {}
        for place in places:
            text = _text(sheet._cells[place])
            if is_hidden or place[1] in hidden_columns:
                composer.strip(len(text))
            elif text:
                texts[place[1]] = text
        if texts:
            yield row_no, texts


def _text(cell: Cell | MergedCell) -> str:
    """A value as Excel shows it, but for currencies and the number of digits."""
    match cell.value:
        case None:
            return ""
        case bool():
            return "yes" if cell.value else "no"
        case datetime() as moment:
            return moment.date().isoformat() if moment.time() == time() else moment.isoformat(" ", "minutes")
        case date() | time() as moment:
            return moment.isoformat()
        case int() | float() as value:
            return _number(value, cell.number_format or "")
        case value:
            return one_line(str(value))


def _number(value: float, number_format: str) -> str:
    # The fifteen digits that Excel keeps, never as a power of ten.
    exact = Decimal(f"{value:.15g}" if isinstance(value, float) else value)
    if "%" in _LITERAL.sub("", number_format):
        return f"{exact.scaleb(2):f}%"
    has_sign = any(literal.strip('\\" ') == "%" for literal in _LITERAL.findall(number_format))
    return f"{exact:f}{'%' * has_sign}"
