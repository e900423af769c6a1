"""retrieval.formats: why a file is refused says nothing of what is in it, as its reader may see that redacted only."""

from pathlib import Path

import pytest

from retrieval.errors import DocumentRefused
from retrieval.parse import parse
from tests.retrieval.papers import repacked, sheet, slides, word

NAME = "anna.meier"


def broken(data: bytes, part: str, content: bytes) -> bytes:
    """An Office file with one part that its reader cannot read, and that holds a name."""
    return repacked(data, lambda name, old: content if name == part else old)


TORN = f"<a><{NAME}></a>".encode()
CELL = f'<row r="1"><c r="A1" t="n"><v>{NAME}</v></c></row>'
SHEET = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{CELL}</sheetData></worksheet>'
FILES = {
    "a.json": f'{{\n"x": {{"{NAME}": 1,\n"{NAME}": 2\n}}}}'.encode(),
    "a.docx": broken(word(lambda document: document.add_paragraph("x")), "word/document.xml", TORN),
    "a.pptx": broken(slides(("x", ["y"])), "ppt/presentation.xml", TORN),
    "a.xlsx": broken(sheet(("x",)), "xl/worksheets/sheet1.xml", SHEET.encode()),
    "b.xlsx": broken(sheet(("x",)), "xl/workbook.xml", TORN),
    "c.xlsx": sheet(("x",), title=NAME)[:-30],
}


@pytest.mark.parametrize("name", FILES)
def test_a_refusal_does_not_quote_the_file(name: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse(Path(name), FILES[name])

    assert NAME not in refused.value.reason


def test_the_kind_of_damage_is_told_and_what_to_do() -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse(Path("a.xlsx"), FILES["a.xlsx"])

    assert refused.value.reason == "it is damaged (ValueError); open it in Excel and save it again"


@pytest.mark.parametrize("name", ["a.docx", "a.pptx"])
def test_a_text_without_end_is_not_called_damage(name: str) -> None:
    part = {"a.docx": "word/document.xml", "a.pptx": "ppt/presentation.xml"}[name]
    endless = b"<a>" + b"x" * 10_100_000 + b"</a>"

    with pytest.raises(DocumentRefused, match="longer than 10,000,000 bytes"):
        parse(Path(name), broken(FILES[name], part, endless))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('{"a": 1, "a": 2}', 1),
        ('[{},\n{"b": "}"},\n{"a": "\\"}",\n"a": {}\n}\n]', 5),
        ('[{"a": {"c": 1,\n"c": 2},\n"a": 1}]', 2),
    ],
)
def test_a_name_that_stands_twice_is_found_by_its_line(source: str, line: int) -> None:
    with pytest.raises(DocumentRefused) as refused:
        parse(Path("a.json"), source.encode())

    assert refused.value.reason == (
        f"the object that ends in line {line} has a name twice, of which only one would be kept"
    )
