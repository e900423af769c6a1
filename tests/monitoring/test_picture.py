"""The picture of the dashboard: of every panel, with what was asked for it, and the one in the docs is up to date."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.monitoring.boards import DASHBOARD
from tests.monitoring.drawing import Line, digest, draw, drawn_in, shown

PANELS: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
DOCUMENTED = Path(__file__).parents[2] / "docs" / "dashboard.png"


def test_the_picture_in_the_docs_is_of_this_dashboard_and_small() -> None:
    assert drawn_in(DOCUMENTED) == digest(PANELS), "run `make dashboard-picture`"
    assert DOCUMENTED.stat().st_size < 300_000


def test_a_series_that_moves_is_another_picture_and_a_panel_without_any_says_so(tmp_path: Path) -> None:
    still, moving, nothing = (tmp_path / name for name in ("still.png", "moving.png", "nothing.png"))
    first, second = (panel["title"] for panel in PANELS[:2])

    draw(PANELS[:2], {first: [Line("a", [(0, 1), (60, 1)])], second: [Line("b", [(0, 0), (60, 0)])]}, still)
    draw(PANELS[:2], {first: [Line("a", [(0, 1), (60, 5)])], second: [Line("b", [(0, 0), (60, 0)])]}, moving)
    draw(PANELS[:2], {first: [Line("a", [(0, 1), (60, 1)])], second: []}, nothing)

    assert len({path.read_bytes() for path in (still, moving, nothing)}) == 3
    with Image.open(still) as image:
        assert image.size == (16 * 58, 7 * 30)
    assert drawn_in(still) == digest(PANELS[:2])


@pytest.mark.parametrize("changed", ["title", "expr", "unit"])
def test_a_change_that_would_show_changes_the_digest(changed: str) -> None:
    panel = json.loads(json.dumps(PANELS[0]))
    place = {"title": panel, "expr": panel["targets"][0], "unit": panel["fieldConfig"]["defaults"]}[changed]

    place[changed] += "x"

    assert digest([panel]) != digest(PANELS[:1])


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.25, "percentunit", "25%"),
        (536870912, "bytes", "512 MiB"),
        (0, "bytes", "0 B"),
        (0.04, "s", "40 ms"),
        (2.5, "s", "2.5 s"),
        (0.5, "reqps", "0.5 req/s"),
        (1500, "short", "1.5K"),
        (3, "short", "3"),
    ],
)
def test_an_axis_has_its_unit(value: float, unit: str, words: str) -> None:
    assert shown(value, unit) == words
