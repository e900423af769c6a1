"""retrieval.formats: what Word writes in ways of its own, formulas, tracked rows and cells."""

import re
from pathlib import Path

import pytest
from docx.document import Document as WordDocument
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls

from retrieval.parse import parse
from retrieval.parsed import Parsed
from tests.retrieval.papers import word


def read(name: str, data: bytes) -> Parsed:
    return parse(Path(name), data)


MATH = "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'"


def formula(inner: str) -> str:
    """A paragraph with a formula, in which square brackets stand for a run."""
    runs = re.sub(r"\[(.*?)\]", r"<m:r><m:t>\1</m:t></m:r>", inner)
    return f"<w:p {nsdecls('w')} {MATH}><w:r><w:t>So </w:t></w:r><m:oMath>{runs}</m:oMath></w:p>"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("[E=m][c]", "E=mc"),
        ("<m:f><m:num>[1]</m:num><m:den>[2]</m:den></m:f>", "1/2"),
        ("<m:f><m:num>[a+b]</m:num><m:den>[2.5]</m:den></m:f>", "(a+b)/2.5"),
        ("<m:sSup><m:e>[x]</m:e><m:sup>[2]</m:sup></m:sSup>[+1]", "x^2+1"),
        ("<m:sSub><m:e>[x]</m:e><m:sub>[i+1]</m:sub></m:sSub>", "x_(i+1)"),
        ("[2]<m:d><m:e>[a+b]</m:e></m:d>", "2(a+b)"),
        ("<m:d><m:dPr><m:begChr m:val='{'/><m:endChr m:val=''/></m:dPr><m:e>[a]</m:e><m:e>[b]</m:e></m:d>", "{a|b"),
        ("<m:rad><m:deg/><m:e>[n]</m:e></m:rad>", "√n"),
        ("<m:rad><m:deg>[3]</m:deg><m:e>[n-1]</m:e></m:rad>", "3√(n-1)"),
        (
            "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr>"
            "<m:sub>[i=1]</m:sub><m:sup>[n]</m:sup><m:e>[i]</m:e></m:nary>",
            "∑_(i=1)^n i",
        ),
        ("<m:func><m:fName>[sin]</m:fName><m:e>[x]</m:e></m:func>", "sin x"),
        ("<m:m><m:mr><m:e>[1]</m:e><m:e>[0]</m:e></m:mr><m:mr><m:e>[0]</m:e><m:e>[1]</m:e></m:mr></m:m>", "1 0; 0 1;"),
        ("[a]<w:del>[+b]</w:del><m:r><w:rPr><w:vanish/></w:rPr><m:t>+c</m:t></m:r>", "a"),
    ],
)
def test_word_formulas_are_read_in_order(inner: str, text: str) -> None:
    def build(document: WordDocument) -> None:
        document.element.body.insert(0, parse_xml(formula(inner)))

    assert read("a.docx", word(build)).text == f"So {text}"


def test_word_formulas_in_formulas_are_each_read_once() -> None:
    inner = "[x]"
    for _ in range(40):  # whatever were done twice at each level would not end
        inner = f"<m:rad><m:deg/><m:e><m:func><m:fName>[f]</m:fName><m:e>{inner}</m:e></m:func></m:e></m:rad>"

    def build(document: WordDocument) -> None:
        document.element.body.insert(0, parse_xml(formula(inner)))

    assert read("a.docx", word(build)).text == "So " + "√(f " * 40 + "x" + ")" * 40


def test_word_rows_and_cells_that_a_tracked_change_deletes_are_not_read() -> None:
    def build(document: WordDocument) -> None:
        table = document.add_table(3, 3)
        for number, row in enumerate(table.rows):
            for cell, text in zip(row.cells, ("Item", "Fee", "Old"), strict=True):
                cell.text = f"{text} {number}"
            row.cells[2]._tc.get_or_add_tcPr().append(OxmlElement("w:cellDel"))
        table.rows[1]._tr.get_or_add_trPr().append(OxmlElement("w:del"))

    assert read("a.docx", word(build)).text == "Item 0: Item 2; Fee 0: Fee 2"


def test_a_word_cell_is_read_whole_with_its_runs_boxes_and_tables() -> None:
    def build(document: WordDocument) -> None:
        cell = document.add_table(1, 1).cell(0, 0)
        cell.paragraphs[0].add_run("The no")
        cell.paragraphs[0].add_run("tice is")
        cell.add_paragraph("77 days.")
        cell.add_table(1, 2).cell(0, 1).text = "In a table."
        box = (
            f"<w:p {nsdecls('w')}><w:r><w:pict><v:shape xmlns:v='urn:schemas-microsoft-com:vml'><v:textbox>"
            "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
            "</v:textbox></v:shape></w:pict></w:r></w:p>"
        )
        cell._tc.append(parse_xml(box))

    assert read("a.docx", word(build)).text == "The notice is 77 days. In a table. In a box."


def style(name: str, properties: str = "", base: str = "") -> str:
    based = f"<w:basedOn w:val='{base}'/>" if base else ""
    return (
        f"<w:style {nsdecls('w')} w:type='character' w:styleId='{name}'><w:name w:val='{name}'/>{based}"
        f"<w:rPr>{properties}</w:rPr></w:style>"
    )


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


def test_word_styles_hide_what_the_styles_they_are_based_on_hide() -> None:
    def build(document: WordDocument) -> None:
        styles = (
            style("Later", base="Ghost"),
            style("Ghost", "<w:vanish/>"),
            style("Latest", base="Later"),
            style("Back", "<w:vanish w:val='0'/>", base="Later"),
            style("Hen", base="Egg"),
            style("Egg", base="Hen"),
        )
        for each in styles:
            document.styles.element.append(parse_xml(each))
        runs = "".join(
            run(f"{name}.", f"<w:rStyle w:val='{name}'/>")
            for name in ("Ghost", "Later", "Latest", "Back", "Hen", "Unknown")
        )
        document.element.body.insert(0, parse_xml(f"<w:p {nsdecls('w')}>{runs}</w:p>"))

    parsed = read("a.docx", word(build))

    assert (parsed.text, parsed.stripped) == ("Back.Hen.Unknown.", len("Ghost.Later.Latest."))


def test_a_word_text_box_in_a_hidden_run_is_stripped_and_counted() -> None:
    inner = "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>and this</w:t></w:r></w:p></w:txbxContent></w:pict></w:r>"
    box = (
        f"<w:p {nsdecls('w')}>{run('Seen.')}<w:r><w:rPr><w:vanish/></w:rPr><w:tab/><w:pict><w:txbxContent>"
        f"<w:p>{run('secret')}</w:p><w:p>{inner}</w:p></w:txbxContent></w:pict></w:r>{run(' Seen too.')}</w:p>"
    )

    def build(document: WordDocument) -> None:
        document.element.body.insert(0, parse_xml(box))
        document.add_table(1, 1).cell(0, 0)._tc.append(parse_xml(box))

    parsed = read("a.docx", word(build))

    assert (parsed.text, parsed.stripped) == ("Seen. Seen too.\n\nSeen. Seen too.", 2 * len("secretand this"))
