"""Rows of a table as lines "column: value", which a small model can read without the header above them."""

from collections.abc import Sequence

from retrieval.composer import Composer
from retrieval.visible import one_line

# What follows a value and what a reader takes for the end of it.
_BETWEEN = "; "


def is_header(row: Sequence[str], following: Sequence[str]) -> bool:
    """Say whether a first row names the columns: all of it is words, none twice, with something below."""
    named = [cell for cell in row if cell]
    return (
        bool(named)
        and len(set(named)) == len(named)
        and any(following)
        and len(named) >= sum(bool(cell) for cell in following)
        and not any(_is_number(cell) for cell in named)
    )


def line(header: Sequence[str], row: Sequence[str]) -> str:
    """One row; cells without a value are left out, and those without a column stand alone."""
    names = [*header, *[""] * (len(row) - len(header))]
    return _BETWEEN.join(
        f"{name}: {value}" if name else value for name, value in zip(names, map(one_line, row), strict=False) if value
    )


def add(composer: Composer, cells: Sequence[Sequence[str]]) -> None:
    """Add a whole table, of which the first row may name the columns."""
    has_header = len(cells) > 1 and is_header(cells[0], cells[1])
    header: Sequence[str] = cells[0] if has_header else ()
    for number, row in enumerate(cells[has_header:]):
        composer.add(line(header, row), joint="\n" if number else "\n\n")


def _is_number(cell: str) -> bool:
    return cell.strip("€$£%+-").replace(",", "").replace(".", "").replace(" ", "").isdigit()
