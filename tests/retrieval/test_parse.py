"""retrieval.parse and retrieval.markup: what of a file is stored, and what is refused."""

from pathlib import Path
from time import process_time

import pytest

from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.parse import parse
from retrieval.parsed import Parsed
from tests.retrieval.headings import headings


def markdown(text: str) -> Parsed:
    return parse(Path("guide.md"), text.encode())


def page(body: str) -> Parsed:
    return parse(Path("page.html"), body.encode())


def test_plain_text_is_stored_as_it_is_and_titled_by_its_name() -> None:
    parsed = parse(Path("opening-hours_2026.txt"), b"Open from nine.\r\n\r\nClosed  on Sundays.\r\n")

    assert parsed == Parsed("opening hours 2026", "Open from nine.\n\nClosed  on Sundays.")


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parse(Path("a.txt"), "\ufeffGrüße".encode()).text == "Grüße"


def test_markdown_is_stored_as_a_reader_sees_it() -> None:
    parsed = markdown(
        "# The *Guide*\n\nUse **two** [keys](https://example.org), `rm -r`, and 2 * 3 * 4.\nSame paragraph.\n\n"
        "## Steps\n\n3. Open.\n4. Close.\n\n- a\n  - b\n\n```\nif x:\n    go()\n```\n\n"
        "| Item | Fee |\n|---|---|\n| Card | 20 |\n\nThe end."
    )

    assert parsed.title == "The Guide"
    assert parsed.text == (
        "The Guide\n\nUse two keys, rm -r, and 2 * 3 * 4. Same paragraph.\n\n"
        "Steps\n\n3. Open.\n4. Close.\n\n- a\n- b\n\nif x:\n    go()\n\nItem | Fee\nCard | 20\n\nThe end."
    )
    assert headings(parsed) == [("The Guide", 1), ("Steps", 2)]


def test_front_matter_gives_the_title_and_is_not_stored() -> None:
    parsed = markdown('---\ntitle: "Fees & more"\nauthor: x\n---\n# Heading\n\nText.')

    assert (parsed.title, parsed.text) == ("Fees & more", "Heading\n\nText.")


@pytest.mark.parametrize("front", ["---\nauthor: x\n---\n", "---\n---\n"])
def test_front_matter_without_a_title_leaves_the_title_to_the_heading(front: str) -> None:
    parsed = markdown(f"{front}# Heading\n\nText.")

    assert (parsed.title, parsed.text) == ("Heading", "Heading\n\nText.")


def test_markdown_without_a_heading_is_titled_by_its_name() -> None:
    assert markdown("Only text.").title == "guide"


def test_the_footnotes_of_markdown_are_read_and_its_addresses_are_not() -> None:
    parsed = markdown(
        "Staff get 28 days[^1] of [leave][a].\n\n[a]: https://x.example 'hr'\n[^1]: Pro rata.\n[^n]: Or more."
    )

    assert parsed.text == "Staff get 28 days[^1] of leave.\n\n[^1]: Pro rata. [^n]: Or more."


@pytest.mark.parametrize("depth", [10, 21, 100])
def test_markdown_is_read_to_its_end_however_deep_its_lists_and_quotes_are(depth: int) -> None:
    levels = "".join(f"{'  ' * level}- level{level} item\n" for level in range(depth))

    listed = markdown(f"# Handbook\n\n{levels}\n# Notice\n\nThe notice is 77 days.")
    quoted = markdown(f"{'>' * depth} Quoted.\n\nThe notice is 77 days.")
    bracketed = markdown(f"{'[a ' * 10 * depth}The notice is 77 days.")

    assert listed.text.count(" item\n") == depth
    assert listed.text.endswith("Notice\n\nThe notice is 77 days.")
    assert quoted.text == "Quoted.\n\nThe notice is 77 days."
    assert bracketed.text.endswith("The notice is 77 days.")


@pytest.mark.parametrize("source", [">" * 300, ">" * 100_000, "- " * 101])
def test_markdown_nested_deeper_than_can_be_read_is_refused_and_not_cut_short(source: str) -> None:
    with pytest.raises(DocumentRefused, match="more than 100 levels deep; flatten them"):
        markdown(f"{source} x\n\nThe end.")


def test_a_page_is_titled_by_its_title_else_by_its_heading() -> None:
    assert page("<title> Fees &amp;\n tariffs</title><h1>Other</h1><p>x").title == "Fees & tariffs"
    assert page("<h2>First</h2><h1>Second</h1><p>x").title == "First"
    assert page("<p>x").title == "page"


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>secret()</script>",
        "<style>.secret{}</style>",
        "<noscript>secret</noscript>",
        "<template><p>secret</p></template>",
        "<!-- secret -->",
        "<p hidden>secret</p>",
        "<div aria-hidden='true'><p>secret</p></div>",
        "<div style='display: none'><p>secret</div>",
        "<span style='font-size:0'>secret</span>",
        "<span style='color:red; VISIBILITY:hidden'>secret</span>",
        "<p hidden>secret",
    ],
)
def test_what_a_page_hides_is_not_stored(hidden: str) -> None:
    assert page(f"<p>before</p>{hidden}<p>after</p>").text == "before\n\nafter"


def test_hidden_html_inside_markdown_is_not_stored_either() -> None:
    assert (
        markdown("Seen.\n\n<div style='display:none'>secret</div>\n\nAlso <b>seen</b>.").text == "Seen.\n\nAlso seen."
    )


def test_what_a_page_shows_in_a_small_font_stays() -> None:
    assert page("<span style='font-size:0.8em'>small print</span>").text == "small print"


def test_blocks_become_paragraphs_and_items_and_rows_become_lines() -> None:
    parsed = page(
        "<div>One<p>Two<br>lines<p>Three</div><ul><li>a<li>b <ul><li>c</ul></ul>"
        "<table><tr><th>Item<th>Fee<tr><td>Card<td>20</table>Four &lt; five"
    )

    assert parsed.text == "One\n\nTwo\nlines\n\nThree\n\n- a\n- b\n- c\n\nItem | Fee\nCard | 20\n\nFour < five"


def test_preformatted_text_keeps_its_lines() -> None:
    assert page("<pre>a\n  b</pre>").text == "a\n  b"


def test_pictures_are_stored_as_their_description() -> None:
    assert page("<p>See <img src='x.png' alt='the plan'>.").text == "See the plan."


def test_items_and_rows_without_content_leave_no_trace() -> None:
    assert page("<ul><li></li><li><p>a</p></li><ol><li> </ol></ul><table><tr><td></td><td></td></table>-").text == (
        "- a\n\n-"
    )


def test_a_stray_end_tag_is_no_harm() -> None:
    assert page("</div><p>a</b></p></section>b").text == "a\n\nb"


@pytest.mark.parametrize("opened", ["<div>", "<ul><li>", "<dt><li>", "<b>x", "<td>x", "<p hidden><i>"])
def test_a_page_of_unclosed_tags_takes_no_longer_than_its_length(opened: str) -> None:
    began = process_time()
    parsed = page("<p>seen</p>" + opened * 100_000)

    assert parsed.text.startswith("seen")
    # A quadratic reader takes minutes for this one.
    assert process_time() - began < 20


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("pass\u200bword \u2060x\ufeff", "password x"),
        ("a\u202eb\u2066c", "abc"),
        ("t\U000e0041\U000e0042ag", "tag"),
        ("soft\u00adhyphen", "softhyphen"),
        ("a\u200d\u200cb", "ab"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("e\u0301", "é"),
        ("bell\x07 \x1b[1mx", "bell [1mx"),
        ("Tele\U000e0101\U000e01efphone", "Telephone"),
        ("hid\u3164den\u061c bud\u034fget \u115f\uffa0x", "hidden budget x"),
        ("\u180bM\u17b4\u206a\ufff9\U0001d173x\x80\x9f", "Mx"),
        ("a\ufe00\ufe0fb", "ab"),
        ("I \u2764\ufe0f\ufe0f 1\ufe0f\u20e3", "I \u2764\ufe0f 1\ufe0f\u20e3"),
    ],
)
def test_characters_that_nobody_sees_are_stripped(source: str, stored: str) -> None:
    assert parse(Path("a.txt"), source.encode()).text == stored


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.DOC", b"x", r"\(Word of before 2007; save it as docx\).*supported are txt, md, html, pdf"),
        ("a.xlsm", b"x", r"\(Excel with macros; save it as xlsx\)"),
        ("a.zip", b"PK\x03\x04", r"\(ZIP archive; unpack it\)"),
        ("a.bin", b"PK\x03\x04", "its content is a ZIP or Office file"),
        ("a.xyz", b"x", r"'\.xyz'"),
        ("README", b"x", "no extension"),
        ("renamed.txt", b"%PDF-1.7 x", "its content is a PDF"),
        ("renamed.md", b"PK\x03\x04", "ZIP or Office"),
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n\t", "empty"),
        ("a.txt", b"\xef\xbb\xbf", "no text"),
        ("a.html", b"<script>x</script>", "no text"),
        ("a.txt", b"Gr\xfc\xdfe", "not UTF-8: byte 2"),
        ("a.txt", "Grüße".encode("utf-16"), "UTF-16"),
        ("a.txt", b"a\0b", "NUL"),
        ("a.txt", b"x" * 1001, "it has 1,001 bytes; at most 1,000 are read; split it, or raise HRM_PARSE_BYTES"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentRefused, match=reason) as refusal:
        parse(Path(name), data, Limits(file_bytes=1000))

    assert refusal.value.path == Path(name)
