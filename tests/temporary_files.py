"""Where this process has files without a name, as SQLite's temporary ones are: seen in /proc while they are open."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_GONE = " (deleted)"


def folders_used(act: Callable[[], object]) -> set[Path]:
    """The folders of all nameless files that are open at some moment of an act, but were not before it.

    The act is repeated until there is such a moment.
    """
    before = _nameless()
    found: set[Path] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            found.update(_nameless() - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        while not found:
            act()
    finally:
        ended.set()
        watching.join()
    return {path.parent for path in found}


def _nameless() -> set[Path]:
    found: set[Path] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            target = os.readlink(descriptor)
            if target.endswith(_GONE):
                found.add(Path(target.removesuffix(_GONE)))
    return found
