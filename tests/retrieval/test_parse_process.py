"""retrieval.parsing: files are read in a process that may crash, hang or be taken over, and every file has an end."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.parsed import Heading
from retrieval.parsing.process import ParseProcess
from tests.retrieval.papers import lines, mail, pdf, sheet, slides, word

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
TEXT = Path("a.txt")
SLOW = b"*a* `b` [c](d) " * 200_000  # many seconds for a Markdown parser


def refusal(parser: ParseProcess, path: Path, data: bytes) -> str:
    with pytest.raises(DocumentRefused) as refused:
        parser.parse(path, data)
    return refused.value.reason


@pytest.fixture
def parser() -> "ParseProcess":
    return ParseProcess()


def test_a_file_is_read_with_headings_and_places(parser: ParseProcess) -> None:
    parsed = parser.parse(Path("b.pdf"), pdf(lines("Leave", size=20), lines("27 days of leave, and 30 for trainees.")))

    assert parsed.text == "Leave\n\n27 days of leave, and 30 for trainees."
    assert (parsed.headings, [place.page for place in parsed.places]) == ((Heading(0, 5, 1),), [1, 2])


def test_one_process_reads_many_files_and_is_then_replaced() -> None:
    parser = ParseProcess(files_per_process=2)
    pids = []
    for text in ("one", "two", "three"):
        assert parser.parse(TEXT, text.encode()).text == text
        pids.append(parser.pid)

    assert pids[0] == pids[1] != pids[2]


def test_a_process_that_has_nothing_to_do_is_ended_after_a_while(parser: ParseProcess) -> None:
    parser.parse(TEXT, b"words")

    parser.rest(60)
    assert parser.pid is not None
    parser.rest(0)
    assert parser.pid is None


def test_a_refused_file_costs_no_process(parser: ParseProcess) -> None:
    assert "not UTF-8" in refusal(parser, TEXT, b"Gr\xfc\xdfe")
    pid = parser.pid
    assert parser.parse(TEXT, b"fine").text == "fine"

    assert parser.pid == pid


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, "crashed its reader (SIGSEGV): it is damaged, or needs more than 1,024 MiB"),
        (signal.SIGABRT, "crashed its reader (SIGABRT)"),
        (signal.SIGKILL, "was killed, most likely because the machine ran out of memory"),
        (signal.SIGXCPU, "takes longer than 60 seconds; split it, or raise HRM_PARSE_SECONDS"),
    ],
)
def test_a_crash_fails_the_file_with_its_cause_and_the_next_is_read(
    parser: ParseProcess, number: signal.Signals, reason: str
) -> None:
    parser.parse(TEXT, b"before")

    def crash() -> None:
        assert parser.pid is not None
        os.kill(parser.pid, number)

    with pytest.raises(DocumentRefused) as refused:
        parser.parse(Path("slow.md"), SLOW, crash)

    assert reason in refused.value.reason
    assert parser.parse(TEXT, b"after").text == "after"


def test_a_process_that_died_between_two_files_is_no_fault_of_the_second(parser: ParseProcess) -> None:
    parser.parse(TEXT, b"before")
    assert parser.pid is not None
    os.kill(parser.pid, signal.SIGKILL)
    os.waitid(os.P_PID, parser.pid, os.WEXITED | os.WNOWAIT)

    assert parser.parse(TEXT, b"after").text == "after"


def test_an_interrupt_from_the_keyboard_is_left_to_the_parent(parser: ParseProcess) -> None:
    parser.parse(TEXT, b"before")

    def interrupt() -> None:
        assert parser.pid is not None
        os.kill(parser.pid, signal.SIGINT)

    assert parser.parse(TEXT, b"after", interrupt).text == "after"


def test_a_file_that_takes_too_long_is_refused_with_the_limit() -> None:
    parser = ParseProcess(Limits(seconds=1))

    assert refusal(parser, Path("slow.md"), SLOW) == (
        "reading it takes longer than 1 second; split it, or raise HRM_PARSE_SECONDS"
    )


def test_a_file_that_computes_nothing_and_does_not_end_is_refused_too() -> None:
    parser = ParseProcess(Limits(seconds=1))
    parser.parse(TEXT, b"before")

    def stop() -> None:
        assert parser.pid is not None
        os.kill(parser.pid, signal.SIGSTOP)

    with pytest.raises(DocumentRefused, match="longer than 1 second"):
        parser.parse(TEXT, b"x", stop)


def test_a_file_that_takes_too_much_memory_is_refused_with_the_limit() -> None:
    parser = ParseProcess(Limits(memory_bytes=192 * MIB))

    reason = refusal(parser, TEXT, b"word " * (12 * MIB))

    assert reason == "reading it takes more than 192 MiB of memory; split it, or raise HRM_PARSE_MEMORY"
    assert parser.parse(TEXT, b"after").text == "after"


def test_what_the_wait_raises_ends_the_process_and_comes_out(parser: ParseProcess) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    parser.parse(TEXT, b"before")
    with pytest.raises(Stopped):
        parser.parse(Path("slow.md"), SLOW, stop)

    assert parser.pid is None
    assert parser.parse(TEXT, b"after").text == "after"


def test_a_large_file_passes_whole(parser: ParseProcess) -> None:
    text = "".join(f"line {number}\n" for number in range(200_000))

    assert parser.parse(TEXT, text.encode()).text == text.strip()


WHOLE = {
    "a.pdf": pdf(lines("Leave", size=20), lines("27 days of leave, and 30 for trainees.")),
    "a.docx": word(lambda document: document.add_heading("Leave", 1)),
    "a.pptx": slides(("Leave", ["27 days"])),
    "a.xlsx": sheet(("Item", "Fee"), ("Card", 20)),
    "a.eml": mail("Leave", "27 days", attachment="a.pdf"),
    "a.json": b'[{"item": "Card", "fee": 20}]',
    "a.csv": b"Item,Fee\nCard,20\n",
    "a.html": b"<h1>Leave</h1><p>27 days<table><tr><td>a<td>b</table>",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_with_damaged_bytes_is_read_or_refused_with_what_to_do(parser: ParseProcess, name: str) -> None:
    check_damaged(parser, name, range(15))


@pytest.mark.soak
@pytest.mark.parametrize("name", WHOLE)
def test_thousands_of_files_with_damaged_bytes_end_well(parser: ParseProcess, name: str) -> None:
    check_damaged(parser, name, range(2000))


def check_damaged(parser: ParseProcess, name: str, seeds: range) -> None:
    """Overwrite, cut out and put in bytes at random places; no process may be lost over it."""
    reasons: set[str] = set()
    for seed in seeds:
        draw = random.Random(seed)
        data = bytearray(WHOLE[name])
        for _ in range(draw.choice((1, 3, 20))):
            at, count = draw.randrange(len(data)), draw.randrange(20)
            data[at : at + draw.choice((0, count))] = draw.randbytes(draw.choice((0, count)))
            data = data or bytearray(b"x")
        try:
            assert parser.parse(Path(name), bytes(data)).text
        except DocumentRefused as refused:
            reasons.add(refused.reason)
    assert [reason for reason in reasons if "crashed" in reason or "killed" in reason] == []


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_a_parent_that_is_killed_leaves_no_orphan_even_in_the_middle_of_a_file() -> None:
    code = (
        "from pathlib import Path; from retrieval.parsing.process import ParseProcess; p = ParseProcess();"
        "p.parse(Path('a.txt'), b'x');"
        f"p.parse(Path('slow.md'), {SLOW[:15]!r} * {len(SLOW) // 15}, lambda: print(p.pid, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        parent.communicate()

    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)
