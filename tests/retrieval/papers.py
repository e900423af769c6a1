"""Files to read, made by the libraries that people's programs use: PDF, Word, PowerPoint, Excel, mail; good and bad."""

import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage

from docx import Document
from docx.document import Document as WordDocument
from openpyxl import Workbook
from pptx import Presentation
from pptx.presentation import Presentation as Slides
from pptx.util import Inches
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

Draw = Callable[[Canvas], None]


def pdf(*pages: Draw, title: str = "", password: str = "") -> bytes:
    """A PDF whose pages are drawn by these functions; with `password` it cannot be opened without."""
    buffer = io.BytesIO()
    encrypt = StandardEncryption(password, ownerPassword=password + "owner") if password else None
    canvas = Canvas(buffer, pagesize=(595, 842), encrypt=encrypt)
    if title:
        canvas.setTitle(title)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def lines(*texts: str, size: float = 11, top: float = 780, left: float = 72, font: str = "Helvetica") -> Draw:
    """Lines below one another."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont(font, size)
        for number, text in enumerate(texts):
            canvas.drawString(left, top - number * size * 1.25, text)

    return draw


def together(*draws: Draw) -> Draw:
    """Several drawings on one page."""

    def draw(canvas: Canvas) -> None:
        for each in draws:
            each(canvas)

    return draw


def coloured(draw: Draw, colour: tuple[float, float, float]) -> Draw:
    """A drawing in red, green and blue of 0 to 1."""

    def drawn(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.setFillColorRGB(*colour)
        draw(canvas)
        canvas.restoreState()

    return drawn


def ground(left: float, bottom: float, width: float, height: float, colour: tuple[float, float, float]) -> Draw:
    """A filled rectangle."""
    return coloured(lambda canvas: canvas.rect(left, bottom, width, height, stroke=0, fill=1), colour)


def invisible(text: str, top: float = 600) -> Draw:
    """Text in render mode 3."""

    def draw(canvas: Canvas) -> None:
        written = canvas.beginText(72, top)
        written.setTextRenderMode(3)
        written.textLine(text)
        canvas.drawText(written)

    return draw


def picture(canvas: Canvas) -> None:
    """A picture over the whole page, as a scanner makes one."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(Image.new("L", (60, 84), 200)), 0, 0, 595, 842)


def word(build: Callable[[WordDocument], object]) -> bytes:
    """A Word document that `build` has filled."""
    document = Document()
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def slides(*pages: tuple[str, Sequence[str]], build: Callable[[Slides], None] = lambda _: None) -> bytes:
    """A presentation with a title and lines on each slide."""
    presentation = Presentation()
    for title, texts in pages:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        assert slide.shapes.title is not None
        slide.shapes.title.text = title
        box = slide.shapes.add_textbox(Inches(1), Inches(2), Inches(5), Inches(2))
        box.text_frame.text = "\n".join(texts)
    build(presentation)
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def workbook(build: Callable[[Workbook], None]) -> bytes:
    """A workbook that `build` has filled."""
    book = Workbook()
    build(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def sheet(*rows: Sequence[object], title: str = "Sheet") -> bytes:
    """A workbook of one sheet."""

    def build(book: Workbook) -> None:
        assert book.active is not None
        book.active.title = title
        for row in rows:
            book.active.append(list(row))

    return workbook(build)


def mail(subject: str, text: str = "", html: str = "", attachment: str = "") -> bytes:
    """A message from Ana to Ben."""
    message = EmailMessage()
    message["From"], message["To"] = "Ana <ana@example.org>", "Ben <ben@example.org>"
    message["Date"], message["Subject"] = "Mon, 02 Mar 2026 10:00:00 +0100", subject
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    if attachment:
        message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename=attachment)
    return message.as_bytes()


def repacked(data: bytes, change: Callable[[str, bytes], bytes], extra: dict[str, bytes] | None = None) -> bytes:
    """An Office file with its parts changed, and others added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, content in (extra or {}).items():
            new.writestr(name, content)
    return buffer.getvalue()


def bomb(data: bytes, size: int) -> bytes:
    """An Office file with a part that unpacks to `size` bytes of almost nothing."""
    return repacked(data, lambda _, content: content, {"word/media/bomb.bin": b"\0" * size})


def compound(*streams: str) -> bytes:
    """The container of old Office files and of encrypted new ones, with the names of its streams in its directory."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    entries = b""
    for name in ("Root Entry", *streams):
        encoded = name.encode("utf-16-le") + b"\0\0"
        entries += encoded.ljust(64, b"\0") + struct.pack("<HBB", len(encoded), 2, 1) + bytes(60)
    return header.ljust(512, b"\0") + bytes(512) + entries.ljust(512, b"\0")
