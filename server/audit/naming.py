"""What an act is about, as its record may show it: what the server has given a name. All else is somebody's words."""

import re
from collections.abc import Mapping
from typing import Any

from server import spelling

# As this server spells it: an id of anything, a store by its name.
_IDS = re.compile(r"(file-|vs_|vsfb_|erasure_)[0-9a-f]{24}")
_NAMES = {"store": spelling.STORE, "key": spelling.KEY, "request": spelling.REQUEST}


def named(path: Mapping[str, Any], *, is_found: bool = True) -> tuple[dict[str, str | None], dict[str, str]]:
    """What an act is about, as its record shows it, and what of that are words, to be hashed instead.

    Args:
        is_found: what it names by a name is there for whoever did it.
    """
    given = {name: str(value) for name, value in path.items()}
    ours = {name for name, value in given.items() if _is_id(value) or (is_found and _is_name(name, value))}
    words = {name: value for name, value in given.items() if name not in ours}
    return {name: None if name in words else value for name, value in given.items()}, words


def names_a_store(path: Mapping[str, Any]) -> bool:
    """Whether a path may name a store by its name, which somebody's words may look like too."""
    store = str(path.get("store", ""))
    return _is_name("store", store) and not _is_id(store)


def _is_id(value: str) -> bool:
    return bool(_IDS.fullmatch(value))


def _is_name(name: str, value: str) -> bool:
    return name in _NAMES and bool(_NAMES[name].fullmatch(value))
