"""What the commands share in talking to a person: tables, times, and the settings behind `--data-dir`."""

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from server.settings import Settings

LINE_EVERY_S = 10  # of how far a long command is, where no bar is drawn
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_S = 36_525 * 86_400  # 100 years; what is to last for ever is told so
_END_OF_DATES_S = 253_402_300_800  # the year 10000, which Python's dates do not reach

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the databases; HRM_DATA_DIR says the same.", metavar="DIR")
]


class CommandError(Exception):
    """A command that cannot do what it was asked; the message is for the person who asked."""


class TextCommand(TyperCommand):
    """A command that is told in text: bytes that are not UTF-8 end it before it has done anything."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        for name, value in ctx.params.items():
            # Files may have any bytes for a name; `ingest` refuses them one by one.
            if name != "paths":
                for item in value if isinstance(value, list | tuple) else [value]:
                    _check_text("The argument", str(item))
        for item in ctx.args:
            _check_text("The argument", item)
        return super().invoke(ctx)


def checked(settings: Settings) -> Settings:
    """The same settings, unless the data directory cannot be one.

    Raises:
        CommandError: its name is not UTF-8, which SQLite needs, or there is something else of that name.
    """
    _check_text("The data directory", str(settings.data_dir))
    if settings.data_dir.exists() and not settings.data_dir.is_dir():
        raise CommandError(f"The data directory {settings.data_dir} is not a folder.")
    return settings


def _check_text(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CommandError(f"{what} {text!r} is not UTF-8.") from error


def printable(text: str) -> str:
    """With control characters escaped: a file's name or text must not be able to steer the reader's terminal."""
    return "".join(
        ascii(character)[1:-1] if unicodedata.category(character) in ("Cc", "Cs") else character for character in text
    )


def settings_for(data_dir: Path | None) -> Settings:
    """Read the settings, with `--data-dir` on top if it was given."""
    return checked(Settings.load({} if data_dir is None else {"data_dir": str(data_dir)}))


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns under headings to a person, and lines of tab-separated values to a program."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    # Never shortened to the terminal's width: ids are there to be copied.
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def moment(seconds: int | None) -> str:
    """Unix seconds as a date and time in UTC; a dash for none."""
    if seconds is None:
        return "–"
    if seconds >= _END_OF_DATES_S:
        return "after the year 9999"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration_s(text: str) -> int:
    """Read a duration such as 30d, 12h, 45m, 90s or 2w.

    Raises:
        CommandError: it is not one, not above zero, or longer than a century.
    """
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if found is None or int(found[1]) == 0:
        raise CommandError(f"{text!r} is not a duration such as 30d, 12h, 45m or 2w.")
    seconds = int(found[1]) * _UNITS_S[found[2]]
    if seconds > _LONGEST_S:
        raise CommandError(f"{text} is longer than 100 years.")
    return seconds


def check_there(settings: Settings) -> None:
    """Raise CommandError if there is no data directory."""
    # Looking must not make a data directory where somebody merely stood in the wrong folder.
    if not settings.data_dir.exists():
        raise CommandError(
            f"There is nothing in {settings.data_dir.resolve()}, a folder that does not exist; "
            "--data-dir or HRM_DATA_DIR names another one."
        )


def check_outside(settings: Settings, path: Path) -> None:
    """Raise CommandError if what a command is to write would go among, or in the place of, what the server keeps."""
    data = settings.data_dir.resolve()
    if (target := path.resolve()) == data or data in target.parents:
        raise CommandError(f"{path} is in the data directory, {data}, which is the server's own; name another place.")


def chunk_lines() -> Callable[[int, int], None]:
    """What is told how many chunks are done, of how many, and says so on standard error now and then."""
    said = perf_counter()

    def report(done: int, total: int) -> None:
        nonlocal said
        if perf_counter() - said >= LINE_EVERY_S:
            said = perf_counter()
            print(f"{done} of {total} chunks", file=sys.stderr, flush=True)

    return report
