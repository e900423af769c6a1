"""server.audit.export: an export that somebody has changed is found out, whatever was done to it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from server.cli import main
from tests.server.audit.test_command import filled, run

DOCTORED: dict[str, tuple[int, Callable[[str], str]]] = {
    "a number with a fraction": (4, lambda line: line.replace('"number":4', '"number":4.0')),
    "a number that is none": (1, lambda line: line.replace('"number":1', '"number":true')),
    "a record that is no text": (4, lambda line: line.replace('"record":', '"record":7,"q":')),
    "a record that is a number": (2, lambda line: re.sub(r'"record":".*?","sig', '"record":7,"sig', line)),
    "a member that was added": (3, lambda line: line.replace("{", '{"x":1,', 1)),
    "a blank that was added": (3, lambda line: line.replace(":", ": ", 1)),
    "a hash in other letters": (2, lambda line: re.sub(r'(?<="hash":")\w+', lambda found: found[0].upper(), line)),
    "a line that is no JSON": (2, lambda line: line.replace("}\n", "\n")),
    "a line of something else": (2, lambda line: "[]\n"),
    "a line that is nested without end": (2, lambda line: "[" * 100_000 + "\n"),
    "a line that is no UTF-8": (3, lambda line: line.replace("answer", "answ\udcffer")),
    "a line that is empty": (1, lambda line: f"\n{line}"),
    "two lines that another sign divides": (2, lambda line: line.replace("\n", "\x0c")),
    "a line of another system": (2, lambda line: line.replace("\n", "\r\n")),
    "a line that is gone": (3, lambda line: ""),
}


@pytest.mark.parametrize("how", DOCTORED)
def test_an_export_is_as_it_was_written_or_the_first_line_that_is_not_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    exported, key = exported_from(tmp_path, capsys)
    number, doctor = DOCTORED[how]
    lines = exported.read_text().splitlines(keepends=True)
    lines[number - 1] = doctor(lines[number - 1])
    if number < 4:
        lines[3] = "nor is this one\n"
    exported.write_text("".join(lines), errors="surrogateescape")

    for checking in (
        ["verify", "--head", str(exported), "--data-dir", str(tmp_path / "data")],
        verifying(exported, key),
    ):
        assert main(["audit", *checking]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"hrm-serve: {exported} does not hold. Record {number} "), said


def test_an_export_with_another_end_than_its_own_is_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported, key = exported_from(tmp_path, capsys)
    *lines, last = exported.read_text().splitlines()
    later = tmp_path / "later.jsonl"
    assert run(tmp_path / "data", "export", str(later)) == 0
    capsys.readouterr()

    later.write_text("\n".join([*later.read_text().splitlines()[:-1], last]) + "\n")
    assert main(["audit", *verifying(later, key)]) == 1
    assert "Record 5 comes after the end that is signed" in capsys.readouterr().err

    exported.write_text("\n".join([*lines, last.replace("{", '{"x":1,', 1)]) + "\n")
    assert main(["audit", *verifying(exported, key)]) == 1
    assert "The head of" in capsys.readouterr().err


def exported_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    """A log of four records, exported, and who has signed it."""
    data, exported, key = folder / "data", folder / "log.jsonl", folder / "key.pem"
    filled(data).close()
    assert run(data, "export", str(exported)) == 0
    assert run(data, "public-key") == 0
    key.write_text(capsys.readouterr().out)
    return exported, key


def verifying(exported: Path, key: Path) -> list[str]:
    return ["verify-export", str(exported), "--public-key", str(key)]
