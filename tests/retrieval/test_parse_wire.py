"""retrieval.parsing.wire: what a reader says passes whole, and what none of ours says is not believed."""

from pathlib import Path

import pytest

from retrieval.errors import DocumentRefused
from retrieval.parsed import Heading, Parsed, Place
from retrieval.parsing.wire import Nonsense, answer, read_answer

TEXT = Path("a.txt")


def test_an_answer_survives_the_way_whole() -> None:
    parsed = Parsed("Titel", "Größe\n\nzwei", (Heading(0, 5, 1),), (Place(7, 2, "row", 3, "Blatt"),), 4)

    assert read_answer(TEXT, answer(parsed)) == parsed
    refused = read_answer(TEXT, answer(DocumentRefused(TEXT, "because", "unsupported_file")))
    assert isinstance(refused, DocumentRefused)
    assert (refused.reason, refused.fault) == ("because", "unsupported_file")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"refused":"x","fault":"y"}',
        b"[" * 100_000,
        b'{"title":"a","text":"b","headings":[],"places":[],"stripped":-1}',
        b'{"title":"a","text":" ","headings":[],"places":[],"stripped":0}',
        b'{"title":"a","text":"b","headings":[[0,9,1]],"places":[],"stripped":0}',
        b'{"title":"a","text":"b","headings":[],"places":[[1,1,"p",1,""],[0,1,"p",1,""]],"stripped":0}',
        b'{"title":"a","text":"b","headings":[[0,1]],"places":[],"stripped":0}',
    ],
)
def test_an_answer_that_no_reader_gives_is_not_believed(payload: bytes) -> None:
    with pytest.raises(Nonsense):
        read_answer(TEXT, payload)


HALF = "HALF"  # of a character: it stands in JSON escaped


@pytest.mark.parametrize(
    "forged",
    [
        Parsed(HALF, "b"),
        Parsed("a", f"b{HALF}"),
        Parsed("a", "b", headings=(Heading(0, 1, 0),)),
        Parsed("a", "b", headings=(Heading(0, 1, 10**30),)),
        Parsed("a", "b", places=(Place(0, 0, "page", 1),)),
        Parsed("a", "b", places=(Place(0, 10**30, "page", 1),)),
        Parsed("a", "b", places=(Place(0, None, "row", -1),)),
        Parsed("a", "b", places=(Place(0, None, "row", 10**30),)),
        Parsed("a", "b", places=(Place(0, 1, HALF, 1),)),
        Parsed("a", "b", places=(Place(0, 1, "paragraph", 1),)),
        Parsed("a", "b", places=(Place(0, 1, "row", 1, HALF),)),
        Parsed("a", "b", stripped=10**30),
        DocumentRefused(TEXT, HALF),
        DocumentRefused(TEXT, "word " * 1000),
    ],
    ids=lambda forged: str(forged)[:80],
)
def test_what_could_not_be_stored_or_shown_is_not_believed(forged: Parsed | DocumentRefused) -> None:
    with pytest.raises(Nonsense):
        read_answer(TEXT, answer(forged).replace(HALF.encode(), b"\\ud800"))
