"""The settings as the README shows them; `python -m server.settings_table README.md` rewrites the block there."""

import re
import sys
from pathlib import Path
from typing import Any

from pydantic import ByteSize

from server.settings import BUNDLED_MODEL, BUNDLED_NAME, Settings
from server.settings_reading import PREFIX, dashed

BEGIN, END = "<!-- settings -->", "<!-- /settings -->"
_BLOCK = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def table() -> str:
    """Render every setting as one row of a Markdown table."""
    rows = ["| Environment | Flag | Default | What it decides |", "|---|---|---|---|"]
    for name, info in Settings.model_fields.items():
        default = _shown(info.default)
        rows.append(f"| `{PREFIX}{name.upper()}` | `--{dashed(name)}` | {default} | {info.description} |")
    return "\n".join(rows)


def block() -> str:
    """The table between the markers that the README carries."""
    return f"{BEGIN}\n{table()}\n{END}"


def block_in(text: str) -> str | None:
    """The block that a text carries now, or None if it has no markers."""
    found = _BLOCK.search(text)
    return found.group() if found else None


def rewrite(readme: Path) -> bool:
    """Put the current table between the markers of `readme`; say whether that changed the file.

    Raises:
        ValueError: the file has no markers.
    """
    before = readme.read_text(encoding="utf-8")
    if block_in(before) is None:
        raise ValueError(f"{readme} has no {BEGIN} ... {END} markers.")
    after = _BLOCK.sub(lambda _: block(), before)
    readme.write_text(after, encoding="utf-8")
    return after != before


def _shown(default: Any) -> str:
    if default is None or default == "":
        return "–"
    if default == BUNDLED_MODEL:
        return f"the bundled {BUNDLED_NAME}"
    if isinstance(default, ByteSize):
        return f"`{default.human_readable()}`"
    return f"`{default}`"


def main() -> int:
    """Print the table, or rewrite the files that are named."""
    if not sys.argv[1:]:
        print(table())
    for name in sys.argv[1:]:
        try:
            rewrite(Path(name))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
