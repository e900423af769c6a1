"""docs/threats.md names a test for each thing that stands against a threat: every one of them exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_ROW = re.compile(r"^\| (?:LLM|API)\d+ ", re.MULTILINE)


def missing(text: str, root: Path) -> list[str]:
    """The tests that a text names and that are not there."""
    gone = []
    for path, name in _NAMED.findall(text):
        file = root / path
        tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        if not file.is_file() or (name and name not in names):
            gone.append(f"{path}::{name}" if name else path)
    return gone


@pytest.fixture(scope="module")
def threats() -> str:
    return (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists(threats: str) -> None:
    assert len(_NAMED.findall(threats)) >= 40
    assert missing(threats, ROOT) == []


def test_every_row_names_a_test_or_says_that_it_is_not_covered(threats: str) -> None:
    rows = [line for line in threats.splitlines() if _ROW.match(line)]

    assert len(rows) == 20
    assert [row for row in rows if not _NAMED.search(row) and "not covered" not in row.lower()] == []


def test_a_test_that_is_gone_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("async def test_there() -> None: ...\n")
    text = "`tests/test_a.py::test_there` `tests/test_a.py` `tests/test_a.py::test_gone` `tests/test_b.py`"

    assert missing(text, tmp_path) == ["tests/test_a.py::test_gone", "tests/test_b.py"]
