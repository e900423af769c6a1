"""retrieval.nesting: pages whose tags are left out, as HTML allows, are read as a browser reads them."""

from pathlib import Path

import pytest

from retrieval.parse import parse

READ = {
    "a head that is not closed": ("<html><head><title>T</title><body><p>Fee", "Fee"),
    "a head that text ends": ("<html><head><title>T</title>Fee <p>20", "Fee\n\n20"),
    "a head that a paragraph ends": ("<head><meta charset=utf-8><title>T</title><p>Fee", "Fee"),
    "a head with a style and a script": ("<head><style>p{}</style><script>x</script><main>Fee", "Fee"),
    "neither html nor head nor body": ("<title>T</title><p>Fee<p>20", "Fee\n\n20"),
    "a head in the middle of the text": ("<p>Fee<head><p>20", "Fee\n\n20"),
    "a second body": ("<body><p>Fee<body><p>20", "Fee\n\n20"),
    "text after the body": ("<body><p>Fee</body></html><p>20", "Fee\n\n20"),
    "paragraphs": ("<p>Fee<p>20<div>30</div>", "Fee\n\n20\n\n30"),
    "a hidden paragraph": ("<p hidden>secret<p>Fee", "Fee"),
    "a hidden paragraph with more open in it": ("<p hidden><span><i>secret<ul><li>Fee</ul>", "- Fee"),
    "items": ("<ul><li hidden>secret<li>Fee<ul><li hidden>secret<li>20</ul><li>30</ul>", "- Fee\n- 20\n- 30"),
    "an item within far more than a screen of tags": (f"<ul><li hidden>secret{'<i>' * 200}<li>Fee</ul>", "- Fee"),
    "terms": ("<dl><dt hidden>secret<dd>Fee<dt>Card<dd>20</dl>", "Fee\nCard\n20"),
    "cells and rows": (
        "<table><tr><td>Fee<td hidden>secret<td>20<tr hidden><td>secret<tr><td>30</table>",
        "Fee | 20\n30",
    ),
    "a caption and row groups": (
        "<table><caption hidden>secret<thead hidden><tr><th>secret<tbody><tr><td>Fee<tfoot><tr><td>20</table>",
        "Fee\n20",
    ),
    "cells of a table in a cell": ("<table><tr><td>Fee<table><tr><td hidden>secret</table>20</table>", "Fee\n\n20"),
    "options": ("<p>Fee<select><option>secret<option>secret</select> 20", "Fee 20"),
    "a choice that is not closed": ("<table><tr><td><select><option>secret<td>Fee</table>", "Fee"),
    "a heading that another ends": ("<h1 hidden>secret<h2>Fee</h2>", "Fee"),
    "a heading that is closed by another's tag": ("<h1 hidden>secret</h2>Fee", "Fee"),
    "a link that another ends": ("<p><a hidden>secret<a href=x>Fee</a>", "Fee"),
    "a drawing that is not closed": ("<p><svg><path/><text>secret<p>Fee", "Fee"),
    "an empty drawing": ("<p><svg/>Fee", "Fee"),
    "half a table for browsers without scripts": ("<p>Fee<noscript><table><tr><td>secret</noscript><p>20", "Fee\n\n20"),
    "a paragraph for browsers without scripts": (
        "<div><p>Fee<noscript><p>secret</p></div></noscript> 20</div>",
        "Fee\n\n20",
    ),
    "half a table in a template": ("<template><table><tr><td>secret</template><p>Fee", "Fee"),
    "an end tag of what is outside the table": ("<div hidden><table><tr><td></div>secret</table></div><p>Fee", "Fee"),
    "a slash that says nothing": ("<div hidden/>secret</div><p>Fee", "Fee"),
}


@pytest.mark.parametrize("case", READ)
def test_what_html_lets_be_left_out_hides_nothing_and_shows_nothing(case: str) -> None:
    source, text = READ[case]

    assert parse(Path("a.html"), source.encode()).text == text


def test_a_page_without_an_end_to_its_head_has_its_title() -> None:
    parsed = parse(Path("a.html"), b"<html><head><title>Fees</title><body><p>20")

    assert (parsed.title, parsed.text) == ("Fees", "20")
