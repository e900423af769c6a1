"""What a command writes into a file: for its owner alone, and under the file's name only when it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TextIO


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """A file to write text into, which takes the name, and the place of what had it, at the end of the block.

    If the block fails, what had the name keeps it. Into a pipe or a device, which nothing can take the place of, the
    text goes as it comes.
    """
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    target = path.resolve()  # where a link leads: the link stays
    partial = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
