"""retrieval.formats: Word, PowerPoint and Excel as their readers see them."""

from pathlib import Path

import pytest
from docx.document import Document as WordDocument
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls
from pptx.presentation import Presentation as Slides
from pptx.util import Inches

from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.parse import parse
from retrieval.parsed import Parsed
from tests.retrieval.headings import headings
from tests.retrieval.papers import bomb, compound, repacked, sheet, slides, word

MIB = 1024 * 1024


def read(name: str, data: bytes, limits: Limits | None = None) -> Parsed:
    return parse(Path(name), data, limits)


def plain(text: str) -> bytes:
    def build(document: WordDocument) -> None:
        document.add_paragraph(text)

    return word(build)


def test_word_headings_paragraphs_lists_and_tables_are_read_in_order() -> None:
    def build(document: WordDocument) -> None:
        document.core_properties.title = "Handbook"
        document.add_heading("Leave", 1)
        document.add_paragraph("Staff have 27 days.")
        document.add_paragraph("Ask early.", style="List Bullet")
        table = document.add_table(3, 2)
        for row, cells in zip(table.rows, (("Item", "Fee"), ("Card", "20"), ("Key", "35")), strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
        document.add_paragraph("The end.")

    parsed = read("a.docx", word(build))

    assert parsed.title == "Handbook"
    assert parsed.text == (
        "Leave\n\nStaff have 27 days.\n\nAsk early.\n\nItem: Card; Fee: 20\nItem: Key; Fee: 35\n\nThe end."
    )
    assert headings(parsed) == [("Leave", 1)]


def test_word_text_that_is_hidden_is_stripped_and_counted() -> None:
    def build(document: WordDocument) -> None:
        paragraph = document.add_paragraph("Seen.")
        paragraph.add_run("secret").font.hidden = True
        style = document.styles.add_style("Ghost", 1)
        style.font.hidden = True
        document.add_paragraph("whole", style="Ghost")

    parsed = read("a.docx", word(build))

    assert (parsed.text, parsed.stripped) == ("Seen.", len("secretwhole"))


def test_word_content_controls_insertions_and_text_boxes_are_read_and_deletions_are_not() -> None:
    def build(document: WordDocument) -> None:
        xml = (
            f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p>"
            "</w:sdtContent></w:sdt>",
            f"<w:p {nsdecls('w')}><w:r><w:t>Pay </w:t></w:r><w:ins><w:r><w:t>monthly</w:t></w:r></w:ins>"
            "<w:del><w:r><w:delText>yearly</w:delText></w:r></w:del></w:p>",
            f"<w:p {nsdecls('w')}><w:r><w:pict><v:shape xmlns:v='urn:schemas-microsoft-com:vml'><v:textbox>"
            "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
            "</v:textbox></v:shape></w:pict></w:r></w:p>",
        )
        for element in reversed(xml):
            document.element.body.insert(0, parse_xml(element))

    assert read("a.docx", word(build)).text == "In a control.\n\nPay monthly\n\nIn a box."


def test_word_pages_are_those_that_word_last_laid_out() -> None:
    def build(document: WordDocument) -> None:
        document.add_paragraph("On the first.")
        broken = document.add_paragraph("On the second.")
        broken.runs[0]._r.insert(0, OxmlElement("w:lastRenderedPageBreak"))
        document.add_paragraph("On it too.")

    parsed = read("a.docx", word(build))

    assert [(place.start, place.page) for place in parsed.places] == [(0, 1), (15, 2)]
    assert read("a.docx", plain("No pages.")).places == ()


def test_slides_have_their_numbers_titles_tables_and_notes() -> None:
    def build(presentation: Slides) -> None:
        slide = presentation.slides[1]
        slide.notes_slide.notes_text_frame.text = "Speak slowly."
        cells = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
        for row, texts in zip(cells.rows, (("Item", "Fee"), ("Card", "20")), strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text

    parsed = read("a.pptx", slides(("Start", ["Welcome."]), ("Fees", ["See below."]), build=build))

    assert parsed.text == "Start\n\nWelcome.\n\nFees\n\nSee below.\n\nItem: Card; Fee: 20\n\nNotes: Speak slowly."
    assert [(parsed.text[place.start :].split("\n")[0], place.page) for place in parsed.places] == [
        ("Start", 1),
        ("Fees", 2),
    ]
    assert headings(parsed) == [("Start", 2), ("Fees", 2)]
    assert parsed.locator(0, 5) == "slide 1"


def test_hidden_slides_and_shapes_are_stripped_and_counted() -> None:
    def build(presentation: Slides) -> None:
        presentation.slides[0].element.set("show", "0")
        shape = presentation.slides[1].shapes[1]
        next(shape.element.iter("{*}cNvPr")).set("hidden", "1")

    parsed = read("a.pptx", slides(("Gone", ["away"]), ("Here", ["unseen"]), build=build))

    assert (parsed.text, parsed.stripped) == ("Here", len("Goneawayunseen"))
    assert parsed.places[0].page == 2


def test_a_hidden_title_is_no_heading_and_is_counted() -> None:
    def build(presentation: Slides) -> None:
        title = presentation.slides[0].shapes.title
        assert title is not None
        next(title.element.iter("{*}cNvPr")).set("hidden", "1")

    parsed = read("a.pptx", slides(("unseen", ["Seen."]), build=build))

    assert (parsed.text, parsed.headings, parsed.stripped) == ("Seen.", (), len("unseen"))


def test_a_shape_that_has_the_number_of_the_title_is_read() -> None:
    def build(presentation: Slides) -> None:
        title, box = presentation.slides[0].shapes
        next(box.element.iter("{*}cNvPr")).set("id", str(title.shape_id))

    assert read("a.pptx", slides(("Fees", ["Cards cost 20."]), build=build)).text == "Fees\n\nCards cost 20."


def test_a_damaged_length_is_not_taken_for_a_bomb() -> None:
    packed = bytearray(plain("x"))
    entry = packed.rindex(b"PK\x01\x02")
    packed[entry + 27] ^= 0x40  # of the four bytes that say how long the part is unpacked

    with pytest.raises(DocumentRefused, match=r"damaged \(it declares a part longer than it can be\)"):
        read("a.docx", bytes(packed))


BROKEN = {
    "an encrypted file": ("a.docx", compound("EncryptionInfo", "EncryptedPackage"), "encrypted; open it in Word"),
    "an encrypted workbook": ("a.xlsx", compound("EncryptedPackage"), "encrypted; open it in Excel"),
    "an old file": ("a.docx", compound("WordDocument"), "of before 2007; save it as docx"),
    "a file cut short": ("a.docx", plain("x")[:2000], "damaged .*; open it in Word and save it again"),
    "another program's": ("a.docx", sheet((1,)), r"a Excel file; name it \*\.xlsx"),
    "a renamed PDF": ("a.docx", b"%PDF-1.7 ", "name says Word, its content is a PDF"),
    "rubbish": ("a.pptx", bytes(range(256)), "name says PowerPoint, its content is something else"),
    "any archive": ("a.xlsx", b"PK\x03\x04 rubbish", "damaged"),
    "macros": (
        "a.docx",
        repacked(
            plain("x"),
            lambda name, data: data.replace(
                b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
                b"application/vnd.ms-word.document.macroEnabled.main+xml",
            ),
        ),
        "contains macros; save it as docx",
    ),
    "broken XML": (
        "a.docx",
        repacked(plain("x"), lambda name, data: data[:-30] if name == "word/document.xml" else data),
        "damaged",
    ),
    "nothing in it": ("a.docx", plain(" "), "no text in it"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_office_file_that_cannot_be_read_is_refused_with_the_reason(kind: str) -> None:
    name, data, reason = BROKEN[kind]

    with pytest.raises(DocumentRefused, match=reason):
        read(name, data)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    packed = bomb(plain("x"), 40 * MIB)
    assert len(packed) < MIB

    with pytest.raises(
        DocumentRefused, match=r"unpacks to 4[12],\d{3},\d{3} bytes from .* at most 33,554,432 are unpacked"
    ):
        read("a.docx", packed, Limits(memory_bytes=128 * MIB))


def test_an_entity_bomb_is_not_expanded() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bombed = f'<!DOCTYPE d [<!ENTITY e0 "lol">{entities}]>'.encode()

    def plant(name: str, data: bytes) -> bytes:
        if name != "word/document.xml":
            return data
        head, rest = data.split(b"?>", 1)
        return head + b"?>" + bombed + rest.replace(b"Seen", b"Seen &e9;")

    try:
        text = read("a.docx", repacked(plain("Seen"), plant)).text
    except DocumentRefused as refused:
        text = refused.reason

    assert len(text) < 1000


PAPERS = {
    "a.docx": word(lambda document: document.add_paragraph("Pay never late.")),
    "a.pptx": slides(("Fees", ["Pay never late."])),
    "a.xlsx": sheet(["Pay never late."]),
}


def changed(name: str, old: bytes, new: bytes, before: bytes = b"") -> bytes:
    """An Office file in whose text something else stands; `before` stands at the beginning of that part."""
    parts: list[str] = []

    def change(part: str, content: bytes) -> bytes:
        if old not in content:
            return content
        parts.append(part)
        declaration = content[: content.find(b"?>") + 2] if content.startswith(b"<?xml") else b""
        return declaration + before + content.removeprefix(declaration).replace(old, new)

    data = repacked(PAPERS[name], change)
    assert len(parts) == 1
    return data


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("aside", [b"<!-- c -->", b"<?x y?>", b"<!-- c --><?x y?><!-- d -->"])
def test_a_text_goes_on_behind_a_comment_or_an_instruction(name: str, aside: bytes) -> None:
    parsed = parse(Path(name), changed(name, b"Pay never", b"Pay " + aside + b"never"))

    assert parsed.text.endswith("Pay never late.")


@pytest.mark.parametrize("name", PAPERS)
def test_an_entity_of_a_files_own_is_not_left_out_in_silence(name: str) -> None:
    doctype = b'<!DOCTYPE x [<!ENTITY co "Acme">]>'

    with pytest.raises(DocumentRefused, match="its XML declares entities"):
        parse(Path(name), changed(name, b"Pay never", b"Pay &co; never", doctype))
