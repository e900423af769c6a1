"""Which files are meant when a folder is named."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from retrieval.errors import DocumentRefused
from server.commands.terminal import CommandError, printable

# What people's programs leave beside their documents: hidden files, and the locks of open Office files.
_BESIDE = (".", "~$")


def files_below(paths: Sequence[Path]) -> tuple[list[Path], list[DocumentRefused]]:
    """The files meant: each named one, and all below a named folder, each once and in order; and what cannot be.

    A link below a folder is not followed out of it, as whoever may write there would choose what is taken in; what it
    leads to inside is found where it is.

    Raises:
        CommandError: a path does not exist, or nothing is there to take in.
    """
    files: dict[Path, None] = {}
    refused: list[DocumentRefused] = []
    for path in paths:
        if not path.exists():
            raise CommandError(f"{printable(str(path))} does not exist.")
        if not path.is_dir():
            files[path] = None
            continue
        for found in sorted(_walk(path, refused)):
            files[found] = None
    if not files and not refused:
        raise CommandError("There are no files in what was named.")
    return list(files), refused


def _walk(folder: Path, refused: list[DocumentRefused]) -> Iterator[Path]:
    root = folder.resolve()

    def note(error: OSError) -> None:
        refused.append(DocumentRefused(Path(error.filename), f"the folder cannot be opened: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(_BESIDE)]
        for name in (*folders, *names):
            path = Path(place, name)
            if name.startswith(_BESIDE):
                continue
            if path.is_symlink() and path.exists():
                target = path.resolve()
                if not target.is_relative_to(root):
                    refused.append(
                        DocumentRefused(path, "it is a link that leads out of the folder; name it to take it in")
                    )
            elif name not in folders:
                yield path
