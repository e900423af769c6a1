"""hrm_model.training.mix: which lines of which files a mixture holds."""

import json
from collections import Counter
from pathlib import Path

import pytest

from hrm_model.training.mix import main


def written(path: Path, count: int, name: str) -> Path:
    """Every fourth pair is to be declined."""
    pairs = [
        {"instruction": f"{name} {number}", "response": "unanswerable" if number % 4 == 0 else "blue"}
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def mixed(monkeypatch: pytest.MonkeyPatch, out: Path, *arguments: str) -> list[dict[str, str]]:
    monkeypatch.setattr("sys.argv", ["mix", str(out), *arguments])
    main()
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_parts_are_taken_where_they_are_said_to_be_and_shuffled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = written(tmp_path / "one.jsonl", 400, "one"), written(tmp_path / "two.jsonl", 100, "two")
    arguments = [f"{one}:100:200", f"{two}:0:50", "--seed", "3"]

    pairs = mixed(monkeypatch, tmp_path / "a.jsonl", *arguments)

    asked = [pair["instruction"] for pair in pairs]
    assert sorted(asked) == sorted([f"one {n}" for n in range(100, 300)] + [f"two {n}" for n in range(50)])
    assert asked != sorted(asked)
    assert mixed(monkeypatch, tmp_path / "b.jsonl", *arguments) == pairs
    assert mixed(monkeypatch, tmp_path / "c.jsonl", *arguments[:-1], "4") != pairs


def test_answerable_pairs_may_be_thinned_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "one.jsonl", 4000, "one")

    pairs = mixed(monkeypatch, tmp_path / "a.jsonl", f"{one}:0:1000:0.5")

    declined = Counter(pair["response"] for pair in pairs)["unanswerable"]
    assert 350 < declined < 450, "of each 8 pairs 2 are to be declined, and 3 of the other 6 are kept"


@pytest.mark.parametrize(
    ("given", "said"),
    [("one.jsonl", "is not FILE"), ("one.jsonl:0:0", "at least 1"), ("one.jsonl:0:5:2", "at most 1"), ("x:0:1", "x")],
)
def test_what_cannot_be_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "one.jsonl", 3, "one")

    with pytest.raises(SystemExit):
        mixed(monkeypatch, tmp_path / "a.jsonl", given)
    assert said in capsys.readouterr().err


def test_a_file_that_ends_too_early_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = written(tmp_path / "one.jsonl", 3, "one")

    with pytest.raises(SystemExit):
        mixed(monkeypatch, tmp_path / "a.jsonl", f"{one}:1:9")
    assert "has 2 lines for the 9" in capsys.readouterr().err
    assert not (tmp_path / "a.jsonl").exists()


def test_a_last_line_without_an_end_stays_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "one.jsonl", 9, "one")
    one.write_text(one.read_text().rstrip())

    assert len(mixed(monkeypatch, tmp_path / "a.jsonl", f"{one}:0:9", f"{one}:0:9")) == 18


@pytest.mark.parametrize("line", ["[1]", '{"instruction": "no response"}', '"text"'])
def test_a_line_that_is_no_pair_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (tmp_path / "one.jsonl").write_text(line + "\n")

    with pytest.raises(SystemExit):
        mixed(monkeypatch, tmp_path / "a.jsonl", f"{tmp_path / 'one.jsonl'}:0:1")
    assert f"{line} is no pair" in capsys.readouterr().err
