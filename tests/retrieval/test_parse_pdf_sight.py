"""retrieval.formats.pdf_sight: what a reader sees of a page is read, all of it, and nothing else."""

from pathlib import Path

import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from retrieval.parse import parse
from retrieval.parsed import Parsed
from tests.retrieval.papers import Draw, coloured, ground, invisible, lines, pdf, picture, together

WHITE, BLACK, BLUE, YELLOW = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.1, 0.2, 0.5), (1.0, 1.0, 0.2)
SECRET = lines("secret words", top=600)


def read(data: bytes) -> Parsed:
    return parse(Path("report.pdf"), data)


def clipped(draw: Draw) -> Draw:
    """A drawing of which a corner of the page alone is shown."""

    def drawn(canvas: Canvas) -> None:
        canvas.saveState()
        corner = canvas.beginPath()
        corner.rect(0, 0, 1, 1)
        canvas.clipPath(corner, stroke=0)
        draw(canvas)
        canvas.restoreState()

    return drawn


def faded(draw: Draw, opacity: float) -> Draw:
    """A drawing that lets what is behind it through."""

    def drawn(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.setFillAlpha(opacity)
        draw(canvas)
        canvas.restoreState()

    return drawn


def in_forms(draw: Draw, depth: int) -> Draw:
    """A drawing in a form in a form, and so on."""

    def drawn(canvas: Canvas) -> None:
        for level in range(depth):
            canvas.beginForm(f"form{level}", 0, 0, 595, 842)
            if level:
                canvas.doForm(f"form{level - 1}")
            else:
                draw(canvas)
            canvas.endForm()
        canvas.doForm(f"form{depth - 1}")

    return drawn


def on_one_line(*sizes_and_texts: tuple[float, str]) -> Draw:
    def draw(canvas: Canvas) -> None:
        written = canvas.beginText(72, 600)
        for size, text in sizes_and_texts:
            written.setFont("Helvetica", size)
            written.textOut(text)
        canvas.drawText(written)

    return draw


def photograph(canvas: Canvas) -> None:
    """A picture of all shades, from the darkest to the lightest."""
    from PIL import Image

    canvas.drawImage(ImageReader(Image.linear_gradient("L")), 60, 560, 400, 80)


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param(invisible("secret words"), id="render mode 3"),
        pytest.param(in_forms(invisible("secret words"), 30), id="render mode 3, thirty forms deep"),
        pytest.param(coloured(SECRET, WHITE), id="white on white"),
        pytest.param(lines("secret words", top=600, size=0.5), id="tiny"),
        pytest.param(lines("secret words", top=900), id="above the page"),
        pytest.param(together(ground(50, 580, 400, 60, (0.95,) * 3), coloured(SECRET, (0.97,) * 3)), id="pale on pale"),
        pytest.param(together(ground(50, 580, 400, 60, BLACK), SECRET), id="black on black"),
        pytest.param(together(SECRET, ground(50, 580, 400, 60, BLACK)), id="under a black box"),
        pytest.param(together(SECRET, ground(70, 597, 400, 12, BLACK)), id="under a black box that fits closely"),
        pytest.param(together(SECRET, ground(50, 580, 400, 60, WHITE)), id="under a white box"),
        pytest.param(together(SECRET, photograph), id="under a picture"),
        pytest.param(together(photograph, clipped(SECRET)), id="clipped"),
        pytest.param(faded(SECRET, 0.02), id="transparent"),
    ],
)
def test_what_cannot_be_seen_on_the_page_is_stripped_and_counted(hidden: Draw) -> None:
    parsed = read(pdf(together(lines("What all can see."), hidden)))

    assert parsed.text == "What all can see."
    assert parsed.stripped == len("secretwords")


def written(content: bytes, *parts: bytes, catalog: bytes = b"", page: bytes = b"", resources: bytes = b"") -> bytes:
    """A PDF of one page by hand; its other parts are number 6 and on."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R" + catalog + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 200]/Contents 4 0 R"
        + (page + b"/Resources<</Font<</F 5 0 R>>" + resources + b">>>>"),
        b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *parts,
    )
    body = b"".join(b"%d 0 obj%b endobj\n" % (number, each) for number, each in enumerate(objects, start=1))
    return b"%PDF-1.5\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF"


@pytest.mark.parametrize(("state", "text"), [(b"ON", "Seen.\n\nin a layer"), (b"OFF", "Seen.")])
def test_the_layers_of_a_page_are_read_that_are_shown(state: bytes, text: str) -> None:
    parsed = read(
        written(
            b"BT /F 12 Tf 10 150 Td (Seen.) Tj ET /OC /L BDC BT /F 12 Tf 10 50 Td (in a layer) Tj ET EMC",
            b"<</Type/OCG/Name(L)>>",
            catalog=b"/OCProperties<</OCGs[6 0 R]/D<</" + state + b"[6 0 R]>>>>",
            resources=b"/Properties<</L 6 0 R>>",
        )
    )

    assert (parsed.text, parsed.stripped) == (text, 0 if state == b"ON" else len("inalayer"))


def test_a_box_that_was_laid_on_a_page_afterwards_covers_what_is_under_it() -> None:
    parsed = read(
        written(
            b"BT /F 12 Tf 10 150 Td (Seen.) Tj ET BT /F 12 Tf 10 100 Td (secret words) Tj ET",
            b"<</Type/Annot/Subtype/Square/Rect[0 80 400 120]/C[0 0 0]/IC[0 0 0]/F 4>>",
            page=b"/Annots[6 0 R]",
        )
    )

    assert (parsed.text, parsed.stripped) == ("Seen.", len("secretwords"))


def test_a_label_on_a_blackened_line_does_not_show_what_is_under_it() -> None:
    box = ground(50, 580, 400, 60, BLACK)
    label = coloured(lines("[REDACTED]", top=600.5, left=80), WHITE)

    parsed = read(pdf(together(lines("Seen."), SECRET, lines("and these", top=630), box, label)))

    assert (parsed.text, parsed.stripped) == ("Seen.\n\n[REDACTED]", len("secretwordsandthese"))


def test_letters_that_are_struck_twice_stay_though_one_of_them_is_covered() -> None:
    covered = ground(71, 590, 8, 30, WHITE)

    parsed = read(pdf(together(FEES, FEES, covered)))

    assert (parsed.text, parsed.stripped) == ("ees: 1.5 % (a, b); -5 'x' l|i.", 1)


def test_of_a_line_what_is_tiny_is_stripped_and_the_rest_is_read() -> None:
    parsed = read(pdf(on_one_line((11, "Fees "), (0.4, "secret words "), (11, "are due."))))

    assert (parsed.text, parsed.stripped) == ("Fees are due.", len("secretwords"))


def test_of_a_line_that_runs_off_the_page_what_is_on_it_is_read() -> None:
    parsed = read(pdf(lines("Fees are due." + " " * 5 + "secret words", left=520)))

    assert (parsed.text, parsed.stripped) == ("Fees are due.", len("secretwords"))


FEES = lines("Fees: 1.5 % (a, b); -5 'x' l|i.", top=600)


def marked(blend: str) -> Draw:
    """A line with a marker over it, as PDF programs lay it."""

    def draw(canvas: Canvas) -> None:
        FEES(canvas)
        canvas.saveState()
        canvas.setBlendMode(blend)
        ground(60, 590, 300, 30, YELLOW)(canvas)
        canvas.restoreState()

    return draw


def noted(canvas: Canvas) -> None:
    """A line with a note upon it, which its reader opens or moves, and a marker."""
    FEES(canvas)
    canvas.textAnnotation("Ask Ana.", Rect=[70, 590, 110, 620])
    canvas.highlightAnnotation("So?", Rect=[60, 590, 300, 620], QuadPoints=[60, 620, 300, 620, 60, 590, 300, 590])


def turned(canvas: Canvas) -> None:
    canvas.setPageRotation(90)
    canvas.translate(0, -100)  # it is as high as it was wide
    FEES(canvas)


def outlined(canvas: Canvas) -> None:
    """Letters that are drawn around and not filled."""
    written = canvas.beginText(72, 600)
    written.setFont("Helvetica", 11)
    written.setTextRenderMode(1)
    written.textOut("Fees: 1.5 % (a, b); -5 'x' l|i.")
    canvas.setFillAlpha(0)
    canvas.drawText(written)


def on_a_poster(canvas: Canvas) -> None:
    canvas.setPageSize((10000, 14000))
    FEES(canvas)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(together(ground(50, 580, 400, 60, BLUE), coloured(FEES, WHITE)), id="white on dark"),
        pytest.param(together(ground(50, 580, 400, 60, YELLOW), FEES), id="on a marked ground"),
        pytest.param(marked("Multiply"), id="under a marker"),
        pytest.param(noted, id="under a note"),
        pytest.param(together(ground(50, 580, 400, 60, (0.3,) * 3), coloured(FEES, (1, 0, 0))), id="red on grey"),
        pytest.param(together(photograph, coloured(FEES, (1, 0, 0))), id="over a picture"),
        pytest.param(together(photograph, in_forms(FEES, 20)), id="over a picture, twenty forms deep"),
        pytest.param(coloured(FEES, (0.88,) * 3), id="pale"),
        pytest.param(faded(FEES, 0.3), id="faded"),
        pytest.param(lines("Fees: 1.5 % (a, b); -5 'x' l|i.", size=3), id="small"),
        pytest.param(turned, id="on a page that is turned"),
        pytest.param(outlined, id="outlined"),
        pytest.param(on_a_poster, id="on a poster"),
    ],
)
def test_what_is_seen_is_kept_to_the_last_point(shown: Draw) -> None:
    parsed = read(pdf(shown))

    assert (parsed.text, parsed.stripped) == ("Fees: 1.5 % (a, b); -5 'x' l|i.", 0)


def test_letters_that_cannot_be_drawn_here_are_judged_by_their_colour() -> None:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))  # named, and not in the file
    fees = lines("费用", top=600, font="STSong-Light")

    on_dark = coloured(lines("费用", top=500, font="STSong-Light"), WHITE)

    shown = read(pdf(together(fees, ground(50, 480, 400, 60, BLUE), on_dark)))
    hidden = read(pdf(together(lines("What all can see."), coloured(fees, WHITE))))

    assert (shown.text.split(), shown.stripped) == (["费用", "费用"], 0)
    assert (hidden.text, hidden.stripped) == ("What all can see.", 2)


@pytest.mark.parametrize(
    "recognised",
    [
        pytest.param(together(picture, invisible("Words – of the picture.")), id="invisible"),
        pytest.param(together(lines("Words – of the picture.", top=600), picture), id="covered"),
    ],
)
def test_what_ocr_wrote_under_a_scan_is_read(recognised: Draw) -> None:
    parsed = read(pdf(recognised))

    assert (parsed.text, parsed.stripped) == ("Words – of the picture.", 0)


def test_what_lies_beside_a_scan_is_not_what_ocr_wrote() -> None:
    beside = lines("secret words", top=900)

    parsed = read(pdf(together(picture, invisible("Words of the picture."), beside)))

    assert (parsed.text, parsed.stripped) == ("Words of the picture.", len("secretwords"))
