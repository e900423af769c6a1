"""The README's table of settings is the one that the code renders."""

from pathlib import Path

import pytest

from server.settings import Settings
from server.settings_table import BEGIN, END, block, block_in, rewrite, table

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_settings_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert block_in(readme) == block(), "run `make readme`"


def test_the_table_has_one_row_for_each_setting() -> None:
    rows = table().splitlines()[2:]

    assert [row.split("`")[1] for row in rows] == [f"HRM_{name.upper()}" for name in Settings.model_fields]
    assert all(row.count("|") == 5 for row in rows)


def test_the_table_tells_nothing_about_this_machine() -> None:
    assert str(ROOT) not in table()


def test_a_stale_block_is_rewritten_and_the_rest_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter \\1\n", encoding="utf-8")

    assert rewrite(readme)

    assert readme.read_text(encoding="utf-8") == f"# Before\n\n{block()}\n\nafter \\1\n"
    assert not rewrite(readme)


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Nothing here\n", encoding="utf-8")

    with pytest.raises(ValueError, match="has no <!-- settings -->"):
        rewrite(readme)
