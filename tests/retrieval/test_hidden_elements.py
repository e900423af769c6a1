"""Elements that a page hides are left out where the page alone says so for certain, and kept in any doubt."""

from pathlib import Path
from time import process_time

import pytest

from retrieval.parse import parse

WHITE = "style='background:#fff'"


def texts(name: str, body: str) -> tuple[str, int]:
    parsed = parse(Path(name), f"<p>before</p>{body}<p>after</p>".encode())
    return parsed.text, parsed.stripped


HIDDEN = [
    # by a style sheet
    "<style>.h{display:none}</style><p class=h>secret</p>",
    "<p class='a h b'>secret</p><style>.h{display:none}</style>",
    "<style>#h{visibility:collapse}</style><p id=h>secret</p>",
    "<style>aside, .x { color: red } article,aside{ display : NONE !important }</style><aside>secret</aside>",
    "<style>p.h.i{opacity:0}</style><p class='i h'>secret</p>",
    "<style>@media all{.h{display:none}} @media screen { #i {display:none} }</style><p class=h>secret</p>",
    "<style media=screen>.h{display:none}</style><p class=h>secret</p>",
    "<style>/* } */ .o::before{content:'}{'} .h{display:none}</style><p class=h>secret</p>",
    "<style><!-- .\\68{displa\\79:none} --></style><p class=h>secret</p>",
    "<style>@import 'a.css'; .h{display:none}</style><p class=h>secret</p>",
    "<style>p{display:block} .h{display:none}</style><p class=h>secret</p>",
    "<style>.h{display:none} .h{display:12px}</style><p class=h>secret</p>",
    "<style>.h.open{display:block} .h{display:none}</style><p class=h>secret</p>",
    "<style>.h::before, .h:before{display:block}</style><style>.h{display:none}</style><p class=h>secret</p>",
    # by itself
    "<dialog>secret</dialog>",
    "<div hidden=until-found>secret</div>",
    "<template>secret</template>",
    "<div aria-hidden=true>secret</div>",
    "<p style='visibility:collapse'>secret</p>",
    "<p style='opacity:0'>secret</p>",
    "<p style='opacity:.0%'>secret</p>",
    "<p style='font-size:0'>secret <b>too</b></p>",
    "<p style='font:0.4px/1 serif'>secret</p>",
    "<p style='height:0;overflow:hidden'>secret</p>",
    "<p style='position:absolute;width:1px;height:1px;overflow:hidden'>secret</p>",
    "<p style='position:absolute;clip:rect(0,0,0,0)'>secret</p>",
    "<p style='position:absolute;clip:rect(1px 1px 1px 1px)'>secret</p>",
    "<p style='clip-path:inset(50%)'>secret</p>",
    "<p style='position:absolute;left:-9999px'>secret</p>",
    "<p style='position:fixed;top:-999em'>secret</p>",
    "<p style='text-indent:-9999px'>secret</p>",
    "<p style='margin-left:-9999px'>secret</p>",
    "<p style='transform:scale(0)'>secret</p>",
    "<p style='display:none' style=''>secret</p>",
    "<p style='display:none'/>secret</p>",
    "<img hidden alt=secret>",
    # by its colour
    "<p style='color:transparent'>secret</p>",
    "<p style='color:rgba(1,2,3,0)'>secret</p>",
    "<p style='color:#fff;background:#ffffff'>secret</p>",
    "<p style='color:#fefefe;background-color:white'>secret <b>too</b></p>",
    "<p style='color:rgb(0 0 0);background:hsl(0,0%,0%)'>secret</p>",
    "<div style='background:navy'><p style='color:#000080'>secret</p></div>",
    "<p style='color:white'>secret</p>",
    "<table bgcolor='#336699'><tr><td><font color='#336699'>secret</font></table>",
    "<style>.h{color:#eee;background:#eee}</style><p class=h>secret</p>",
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_a_page_hides_for_certain_is_left_out(hidden: str) -> None:
    text, stripped = texts("a.html", hidden)

    assert text == "before\n\nafter"
    assert stripped >= (0 if "<template>" in hidden else len("secret"))


SEEN = [
    # at times
    "<style>@media print{.h{display:none}}</style><p class=h>seen</p>",
    "<style media=print>.h{display:none}</style><p class=h>seen</p>",
    "<style>@media (max-width:600px){.h{display:none}}</style><p class=h>seen</p>",
    "<style>.h{display:none} @media (min-width:600px){.h{display:block}}</style><p class=h>seen</p>",
    "<style>.h{display:none} .h:target{display:block}</style><p class=h>seen</p>",
    "<style>.h{display:none} details[open] > .h{display:block}</style><p class=h>seen</p>",
    "<style>.h{display:none} .h.open{display:block}</style><p class=h>seen</p><script>x()</script>",
    "<style>.h{opacity:0;animation:appear 1s forwards}</style><p class=h>seen</p>",
    "<noscript><style>.h{display:none}</style></noscript><p class=h>seen</p>",
    # not at all
    "<style>.h{display:none}</style><p class=H>seen</p>",
    "<style>.h{display:none} .h{display:block}</style><p class=h>seen</p>",
    "<style>#i{display:block} .h{display:none}</style><p id=i class=h>seen</p>",
    "<style>.h{display:none}</style><p class=h style='display:block'>seen</p>",
    "<style>.h{display:block!important}</style><p class=h style='display:none'>seen</p>",
    "<style>.h{display:none}/* <p class=h> */</style><p>seen</p>",
    "<style>.h{background:url(display:none;)} .x{display:none}</style><p class=h>seen</p>",
    "<style>.h, .h:unheard-of{display:none}</style><p class=h>seen</p>",
    "<style>.g .h{display:none}</style><p class=h>seen</p>",
    "<style>.h::after{display:none} .h:before{opacity:0}</style><p class=h>seen</p>",
    "<template><style>p{display:none}</style></template><p>seen</p>",
    "<style type=text/x-template>p{display:none}</style><p>seen</p>",
    "<style>.h{display:flex}</style><p class=h hidden>seen</p>",
    "<p style='' style='display:none'>seen</p>",
    "<dialog open>seen</dialog>",
    "<details><summary>seen</summary></details>",
    "<p style='visibility:hidden'><b style='visibility:visible'>seen</b></p>",
    "<ul style='font-size:0'><li style='font-size:16px;list-style:none'>seen</li></ul>".replace("li", "p"),
    "<p style='opacity:0.5'>seen</p>",
    "<p style='left:-9999px'>seen</p>",
    "<p style='position:absolute;left:-20px'>seen</p>",
    "<p style='height:0'>seen</p>",
    "<p style='height:0;padding-bottom:50%;overflow:hidden'>seen</p>",
    "<p><span style='height:0;overflow:hidden'>seen</span></p>",
    "<p style='text-indent:-20px;padding-left:20px'>seen</p>",
    "<p style='position:absolute;clip:rect(0,90px,20px,0)'>seen</p>",
    "<p style='clip-path:inset(5%)'>seen</p>",
    "<p style='color:#fff;background:#000'>seen</p>",
    "<p style='color:#fff;background:#fff url(dark.png)'>seen</p>",
    "<p style='color:white;background-image:linear-gradient(red,blue)'>seen</p>",
    "<div style='background:black'><p style='color:white'>seen</p></div>",
    "<link rel=stylesheet href=a.css><p style='color:white'>seen</p>",
    f"<div {WHITE}><img style='position:absolute'><p style='position:relative;color:#fff'>seen</p></div>",
    f"<div {WHITE}><p style='color:#fff'><a href=x>seen</a></p></div>",
    f"<div {WHITE}><p style='color:#fff'><mark>seen</mark></p></div>",
    "<button style='color:#fff'>seen</button>".join(("<div>", "</div>")),
    "<p style='color:transparent;background-clip:text;background-image:linear-gradient(red,blue)'>seen</p>",
    "<p style='color:transparent;text-shadow:0 0 1px #000'>seen</p>",
    "<p style='color:var(--ink);background:#fff'>seen</p>",
    # written in numbers that are none, or of no end
    "<p style='color:rgb(nan,nan,nan);background:#fff'>seen</p>",
    "<p style='color:hsl(1e999,50%,50%);background:#fff'>seen</p>",
    "<p style='color:rgb(1e999,0,0);background:#fff;opacity:1e999;font-size:9e999px'>seen</p>",
]


@pytest.mark.parametrize("seen", SEEN)
def test_what_may_be_seen_is_kept(seen: str) -> None:
    assert texts("a.html", seen) == ("before\n\nseen\n\nafter", 0)


def test_markdown_and_mail_hide_as_pages_do() -> None:
    hidden = "<style>.h{display:none}</style><p class=h>secret</p>"
    mail = f"Subject: News\nContent-Type: text/html\n\n<p>before</p>{hidden}<p>after</p>"

    assert parse(Path("a.md"), f"before\n\n{hidden}\n\nafter".encode()).text == "before\n\nafter"
    assert parse(Path("a.eml"), mail.encode()).text.endswith("before\n\nafter")


def test_of_the_page_that_markdown_will_stand_in_nothing_is_known() -> None:
    assert parse(Path("a.md"), b"<p style='color:white'>seen</p>").text == "seen"


@pytest.mark.parametrize(
    "source",
    [
        "<style>" + ".h{display:none}" * 30_000 + "</style>" + "<p class=h>x" * 3_000,
        "<style>" + "@media x{" * 100_000 + "</style>",
        "<style>" + "a[" * 50_000 + "{}</style>",
        "<style>" + "a('" * 50_000 + "{}</style>",
        "<style>" + "(" * 50_000 + "{}</style>",
        "<style>" + "\\" * 50_001 + "{}</style>",
        "<style>" + "/*" * 50_000 + "</style>",
        "<p style='" + "a:b;" * 100_000 + "'>",
        "<p style='background:" + "rgb(" * 50_000 + "'>",
    ],
)
def test_a_style_sheet_of_any_shape_takes_no_longer_than_its_length(source: str) -> None:
    began = process_time()
    text, _ = texts("a.html", source)

    assert text.startswith("before")
    # A quadratic reader takes minutes for the first, one that tries all ways through brackets never ends.
    assert process_time() - began < 20
