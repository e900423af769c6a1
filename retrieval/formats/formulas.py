"""Cells of a workbook whose formula nobody has computed: a program wrote it, and no spreadsheet has opened it since."""

import io
import zipfile
from collections.abc import Iterator

from lxml import etree
from openpyxl.reader.excel import ExcelReader

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def uncomputed(reader: ExcelReader, data: bytes) -> dict[str, str]:
    """The first such cell ("B2") of each sheet that has one, by the sheet's title.

    openpyxl reads such a cell as an empty one.

    Args:
        reader: has read the workbook.
        data: the same workbook.
    """
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for sheet, part in reader.parser.find_sheets():
            first = next(_cells(archive.read(part.target)), None) if part.Type.endswith("/worksheet") else None
            if first is not None:
                found[sheet.name] = first
    return found


def _cells(content: bytes) -> Iterator[str]:
    if b"f>" not in content and b"<f" not in content:
        return  # most sheets, in a tenth of the time
    for _, cell in etree.iterparse(io.BytesIO(content), tag=f"{_MAIN}c", resolve_entities=False):
        # An empty text that was computed is of the type `str`.
        if cell.find(f"{_MAIN}f") is not None and not cell.findtext(f"{_MAIN}v") and cell.get("t") != "str":
            yield cell.get("r", "?")
        cell.clear()
