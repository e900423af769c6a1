"""retrieval.parsing.process: an answer belongs to the file that was asked about, however the one before it ended."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrieval.errors import DocumentRefused
from retrieval.parsing.process import ParseProcess
from retrieval.parsing.wire import LEAD, Nonsense, announced, request

TEXT = Path("b.txt")
SLOW = b"# Salaries of tenant A\n\n" + b"*a* `b` [c](d) " * 30_000  # some seconds for a Markdown parser
LONG = b"x" * (48 * 1024 * 1024)  # takes many writes to send


@pytest.fixture
def parser() -> Iterator[ParseProcess]:
    opened = ParseProcess()
    yield opened
    opened.close()


def given_up(at_beat: int) -> Callable[[], None]:
    """A wait that gives a file up after a while, as an ingester's does at a job's deadline."""
    beats = itertools.count(1)

    def beat() -> None:
        if next(beats) == at_beat:
            raise DocumentRefused(Path("a.md"), "reading it took longer than 600 seconds; split it", "server_error")

    return beat


@pytest.mark.parametrize(("data", "at_beat"), [(SLOW, 12), (LONG, 3)])
def test_a_file_given_up_while_it_is_read_or_sent_leaves_nothing_to_the_next(
    parser: ParseProcess, data: bytes, at_beat: int
) -> None:
    parser.parse(TEXT, b"before")

    with pytest.raises(DocumentRefused, match="longer than 600 seconds") as refused:
        parser.parse(Path("a.md"), data, given_up(at_beat))

    assert refused.value.fault == "server_error"
    assert parser.pid is None
    assert [parser.parse(TEXT, text).text for text in (b"of tenant B", b"of tenant C")] == [
        "of tenant B",
        "of tenant C",
    ]


def test_an_answer_to_another_request_is_not_believed(parser: ParseProcess) -> None:
    parser.parse(TEXT, b"before")
    assert parser._worker is not None
    stdin = parser._worker._process.stdin
    assert stdin is not None
    stdin.write(b"".join(request(99, Path("a.txt"), b"of tenant A")))
    stdin.flush()

    with pytest.raises(DocumentRefused, match="reading it went wrong"):
        parser.parse(TEXT, b"of tenant B")

    assert parser.parse(TEXT, b"of tenant C").text == "of tenant C"


def test_an_answer_that_announces_more_than_a_reader_may_say_is_not_waited_for(parser: ParseProcess) -> None:
    parser.parse(TEXT, b"before")
    assert parser._worker is not None

    with pytest.raises(Nonsense):
        parser._worker.exchange(2, request(2, TEXT, b"x" * 10_000), 60, 9_000, lambda: None)

    assert announced(bytearray(LEAD.pack(2, 10_000))) == LEAD.size + 10_000
    assert announced(bytearray(LEAD.pack(2, 10_000)[:3])) == LEAD.size
