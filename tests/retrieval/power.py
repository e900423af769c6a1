"""What a power cut would take: watches what is synced, renamed and removed, and says what was relied on too early.

A process that is killed leaves the page cache behind, so that no test with `kill -9` can miss an fsync.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# SQLite syncs by itself what it changes later; that its file was synced once is all that can be seen from here.
_DATABASES = (".db",)


class Disk:
    """Watches one run. `lost` names a file or folder whose syncs do nothing, as if the code had none."""

    def __init__(self, lost: Callable[[Path], bool] = lambda path: False) -> None:
        self._lost = lost
        self._synced: dict[int, bytes | None] = {}  # files by inode: their content then
        self._listed: dict[int, set[str]] = {}  # folders by inode: their names then
        self._unsettled: dict[Path, list[str]] = {}  # by folder: what was renamed or removed there since its last sync
        self.problems: list[str] = []
        self.syncs: list[Path] = []

    @property
    def at_the_end(self) -> list[str]:
        """All problems, with what nobody has synced by now: to be asked when the act has been acknowledged."""
        return self.problems + [
            f"{what} in {folder.name}, which was not synced"
            for folder, acts in self._unsettled.items()
            for what in acts
        ]

    def sync(self, path: Path) -> None:
        if self._lost(path):
            return
        self.syncs.append(path)
        inode = path.stat().st_ino
        if path.is_dir():
            self._listed[inode] = set(os.listdir(path))
            self._unsettled.pop(path, None)
        else:
            self._synced[inode] = None if path.suffix in _DATABASES else path.read_bytes()

    def rename(self, old: Path, new: Path) -> None:
        """Called when it has its new name."""
        self._is_lasting(new)
        if new.suffix == ".json":  # of a snapshot, it names the blocks beside it
            for block in new.parent.glob("*.faiss"):
                self._is_lasting(block)
        self._unsettled.setdefault(new.parent, []).append(f"{new.name} was renamed")

    def remove(self, path: Path) -> None:
        """Called when it is gone."""
        if any("renamed" in what for what in self._unsettled.get(path.parent, [])):
            self.problems.append(f"{path.name} was removed before what replaces it had its name for good")
        self._unsettled.setdefault(path.parent, []).append(f"{path.name} was removed")

    def _is_lasting(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            if self._listed.get(inode) != set(os.listdir(path)):
                self.problems.append(f"{path.name} was renamed before its names were synced")
            for inner in path.iterdir():
                self._is_lasting(inner)
        elif path.suffix in _DATABASES:
            if inode not in self._synced:
                self.problems.append(f"{path.name} was never synced")
        elif self._synced.get(inode) != path.read_bytes():
            self.problems.append(f"{path.name} was not synced when it, or what names it, got its name")


def of(*names: str) -> Callable[[Path], bool]:
    """What to lose: the files and folders of these names."""
    return lambda path: any(path.match(name) for name in names)


@contextmanager
def watched(below: Path, lost: Callable[[Path], bool] = lambda path: False) -> Iterator[Disk]:
    """Watch this process's acts on files below a folder."""
    disk = Disk(lost)
    sync, unlink = os.fsync, os.unlink

    def noted_sync(file: Any) -> None:
        sync(file)
        number = file if isinstance(file, int) else file.fileno()
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        if path.is_relative_to(below):
            disk.sync(path)

    def noted_unlink(path: Any, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        if dir_fd is None and Path(path).is_relative_to(below):  # of a whole tree, nothing inside has to last
            disk.remove(Path(path))

    def noted(rename: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def renamed(old: Any, new: Any) -> None:
            rename(old, new)
            if Path(new).is_relative_to(below):
                disk.rename(Path(old), Path(new))

        return renamed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", noted_sync)
        patch.setattr(os, "unlink", noted_unlink)
        patch.setattr(os, "rename", noted(os.rename))
        patch.setattr(os, "replace", noted(os.replace))
        yield disk
