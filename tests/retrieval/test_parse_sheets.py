"""retrieval.formats.sheets: the rows of a workbook with the values that Excel shows."""

import io
import tracemalloc
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook

from retrieval.errors import DocumentRefused
from retrieval.parse import parse
from retrieval.parsed import Parsed
from tests.retrieval.headings import headings
from tests.retrieval.papers import repacked, sheet, workbook


def read(name: str, data: bytes) -> Parsed:
    return parse(Path(name), data)


def cell(value: float, number_format: str = "General") -> bytes:
    """A workbook of one cell."""

    def build(book: Workbook) -> None:
        assert book.active is not None
        book.active["A1"] = value
        book.active["A1"].number_format = number_format

    return workbook(build)


def test_rows_of_a_sheet_are_lines_that_stand_alone_and_know_their_number() -> None:
    parsed = read(
        "a.xlsx",
        sheet(
            ("Item", "Fee", "Share", "From"),
            ("Card", 20, 0.5, date(2026, 3, 1)),
            (),
            ("Key", 35.5, None, datetime(2026, 3, 1, 9, 30)),
            title="Fees",
        ),
    )

    assert parsed.text == (
        "Fees\n\nItem: Card; Fee: 20; Share: 0.5; From: 2026-03-01\n\nItem: Key; Fee: 35.5; From: 2026-03-01 09:30"
    )
    key = parsed.text.index("Item: Key")
    assert (parsed.page_at(key), parsed.locator(key, key + 5)) == (1, "Fees, row 4")
    assert headings(parsed) == [("Fees", 2)]


def test_hidden_sheets_rows_and_columns_are_stripped_and_counted() -> None:
    def build(book: Workbook) -> None:
        first = book.active
        assert first is not None
        for row in (("Item", "Fee", "Cost"), ("Card", "20", "secret"), ("buried", "99", "x")):
            first.append(row)
        first.row_dimensions[3].hidden = True
        first.column_dimensions["C"].hidden = True
        second = book.create_sheet("Ghost")
        second.append(["phantom"])
        second.sheet_state = "hidden"

    parsed = read("a.xlsx", workbook(build))

    assert parsed.text == "Sheet\n\nItem: Card; Fee: 20"
    assert parsed.stripped == len("Costsecretburied99xphantom")


def test_a_sheet_without_a_header_is_read_as_it_stands() -> None:
    assert read("a.xlsx", sheet((1, 2), (3, 4))).text == "Sheet\n\n1; 2\n\n3; 4"


def test_a_formula_that_was_never_computed_is_no_empty_cell() -> None:
    written = sheet(("Item", "Fee"), ("Card", "=4*5"), ("Key", 35))
    with pytest.raises(DocumentRefused, match=r"the formula in cell B2 of sheet 1 was never computed"):
        read("a.xlsx", written)

    def opened_since(cell: bytes) -> bytes:
        assert b'<c r="B2"><f>4*5</f><v></v></c>' in zipfile.ZipFile(io.BytesIO(written)).read(
            "xl/worksheets/sheet1.xml"
        )
        return repacked(written, lambda _, part: part.replace(b'<c r="B2"><f>4*5</f><v></v></c>', cell))

    number = opened_since(b'<c r="B2"><f>4*5</f><v>20</v></c>')
    empty = opened_since(b'<c r="B2" t="str"><f>""</f><v></v></c>')
    assert read("a.xlsx", number).text == "Sheet\n\nItem: Card; Fee: 20\n\nItem: Key; Fee: 35"
    assert read("a.xlsx", empty).text == "Sheet\n\nItem: Card\n\nItem: Key; Fee: 35"


def test_a_workbook_takes_memory_for_the_cells_it_holds_and_not_for_the_space_between_them() -> None:
    def build(book: Workbook) -> None:
        shown, hidden = book.active, book.create_sheet("Ghost")
        assert shown is not None
        for row in (("Item", "Fee"), ("Card", 20)):
            shown.append(row)
        shown["T40000"] = " "
        shown["AB50000"], hidden["T40000"] = "far", "phantom"
        hidden.sheet_state = "hidden"

    data = workbook(build)
    tracemalloc.start()
    parsed = read("a.xlsx", data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert parsed.text == "Sheet\n\nItem: Card; Fee: 20\n\nfar"
    assert parsed.locator(len(parsed.text) - 3, len(parsed.text)) == "Sheet, row 50000"
    assert parsed.stripped == len("phantom")
    assert most < 8 * 1024 * 1024, "a cell for each place up to T40000 takes 180 MB"


def test_a_header_names_the_values_below_it_however_far_apart_they_stand() -> None:
    cells = {"B2": "Item", "XFD2": "Fee", "XFD3": "20", "B3": "Card", "D4": "aside", "B4": "Key"}

    def build(book: Workbook) -> None:
        assert book.active is not None
        for place, value in cells.items():
            book.active[place] = value

    assert read("a.xlsx", workbook(build)).text == "Sheet\n\nItem: Card; Fee: 20\n\nItem: Key; aside"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123456789.12, "123456789.12"),
        (12345678901.25, "12345678901.25"),
        (-0.1 - 0.2, "-0.3"),
        (1e21, "1000000000000000000000"),
        (0.00000125, "0.00000125"),
        (20.0, "20"),
    ],
)
def test_a_number_keeps_the_fifteen_digits_that_excel_keeps(value: float, text: str) -> None:
    assert read("a.xlsx", cell(value)).text == f"Sheet\n\n{text}"


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (0.035, "0.0%", "3.5%"),
        (0.07, "0%", "7%"),
        (1234.5678, "0.00%", "123456.78%"),
        (2, "0%;[Red]-0%", "200%"),
        (5, '0.0"%"', "5%"),
        (5.25, r"0.00\ \%", "5.25%"),
        (5, '0" %"', "5%"),
        (5, '"up to 100% of "0', "5"),
        (5, "0_%", "5"),
        (0.05, '0%" of 100 %"', "5%"),
    ],
)
def test_a_percent_sign_counts_hundredths_unless_it_is_a_literal(value: float, number_format: str, text: str) -> None:
    assert read("a.xlsx", cell(value, number_format)).text == f"Sheet\n\n{text}"
