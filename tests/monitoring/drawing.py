"""Panels of a dashboard drawn as Grafana lays them out: one PNG, small enough to lie in a repository."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PANELS = "panels"  # the PNG's text field with the digest of what was drawn
_CELL_PX = (58, 30)  # of Grafana's grid, which is 24 cells wide
_DPI = 100
_COLOURS = (
    "#73BF69",
    "#5794F2",
    "#F2CC0C",
    "#FF780A",
    "#B877D9",
    "#F2495C",
    "#37A2A2",
    "#C0D8FF",
    "#FFA6B0",
    "#8F3BB8",
)
_BACK, _PANEL, _GRID, _TEXT, _FAINT = "#111217", "#181B1F", "#2A2D33", "#D5D7DD", "#8E929B"


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel."""

    name: str
    points: Sequence[tuple[float, float]]  # Unix seconds and values, those without a value left out


def digest(panels: Sequence[Mapping[str, Any]]) -> str:
    """What a picture of these panels shows, but for the figures: titles, places, units and queries."""
    told = [
        [panel["title"], panel["gridPos"], panel["fieldConfig"]["defaults"]["unit"], _queries(panel)]
        for panel in panels
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def drawn_in(picture: Path) -> str | None:
    """The digest of the panels that a picture was drawn of."""
    with Image.open(picture) as image:
        found = image.info.get(PANELS)
    return found if isinstance(found, str) else None


def draw(panels: Sequence[Mapping[str, Any]], lines: Mapping[str, Sequence[Line]], picture: Path) -> None:
    """Draw every panel at its place.

    Args:
        lines: the series of each panel, by its title.
    """
    columns = max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels)
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    width, height = columns * _CELL_PX[0], rows * _CELL_PX[1]
    times = [time for found in lines.values() for line in found for time, _ in line.points]
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8, "text.color": _TEXT}):
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_BACK)
        for panel in panels:
            place = panel["gridPos"]
            left, top = place["x"] * _CELL_PX[0], place["y"] * _CELL_PX[1]
            box = (left, height - top - place["h"] * _CELL_PX[1], place["w"] * _CELL_PX[0], place["h"] * _CELL_PX[1])
            _panel(figure, box, panel, lines[panel["title"]], (min(times), max(times)))
        raw = BytesIO()
        figure.savefig(raw, format="png", facecolor=_BACK)
    told = PngInfo()
    told.add_text(PANELS, digest(panels))
    Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True, pnginfo=told)


def shown(value: float, unit: str) -> str:
    """A value as an axis says it."""
    match unit:
        case "percentunit":
            return f"{value * 100:.4g}%"
        case "bytes":
            power = min(3, int(math.log(value, 1024))) if value >= 1 else 0
            return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
        case "s":
            if value == 0:
                return "0 s"
            return f"{value:.4g} s" if value >= 1 else f"{value * 1e3:.4g} ms"
        case "reqps":
            return f"{value:.4g} req/s"
        case "cps":
            return f"{value:.4g} c/s"
    return f"{value / 1e3:.4g}K" if value >= 1000 else f"{value:.4g}"


def _queries(panel: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(target["expr"], target["legendFormat"]) for target in panel["targets"]]


def _panel(
    figure: Figure,
    box: tuple[float, float, float, float],
    panel: Mapping[str, Any],
    lines: Sequence[Line],
    span: tuple[float, float],
) -> None:
    """One panel in a box of pixels: left, bottom, width, height."""
    left, bottom, width, height = box
    full = figure.get_size_inches() * _DPI
    frame = FancyBboxPatch(
        (left + 5, bottom + 5),
        width - 10,
        height - 10,
        boxstyle="round,pad=0,rounding_size=3",
        facecolor=_PANEL,
        edgecolor=_GRID,
        linewidth=0.8,
        transform=None,
        zorder=-1,  # behind the axes
    )
    figure.add_artist(frame)
    figure.text((left + 14) / full[0], (bottom + height - 21) / full[1], panel["title"], fontsize=9, weight="bold")
    per_row = 4 if sum(len(line.name) for line in lines) / max(1, len(lines)) < 9 else 2
    legend_px = 14 * math.ceil(len(lines) / per_row) if lines else 0
    axes = figure.add_axes(
        (
            (left + 66) / full[0],
            (bottom + 28 + legend_px) / full[1],
            (width - 86) / full[0],
            (height - 62 - legend_px) / full[1],
        )
    )
    _dress(axes, panel["fieldConfig"]["defaults"]["unit"], span)
    if not lines:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color=_FAINT)
        return
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        minutes = [(time - span[0]) / 60 for time, _ in line.points]
        axes.plot(minutes, [value for _, value in line.points], color=colour, linewidth=1.2, label=line.name)
    highest = max(value for line in lines for _, value in line.points)
    axes.set_ylim(0, highest * 1.08 or 1)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="lower left",
        bbox_to_anchor=((left + 10) / full[0], (bottom + 6) / full[1]),
        ncols=per_row,
        frameon=False,
        fontsize=7,
        handlelength=1.2,
        columnspacing=1.2,
        labelspacing=0.2,
        borderpad=0.2,
    )


def _dress(axes: Axes, unit: str, span: tuple[float, float]) -> None:
    axes.set_facecolor(_PANEL)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=4, labelsize=7, colors=_FAINT)
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_xlim(0, (span[1] - span[0]) / 60)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minute, _: f"{minute:g} min"))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
