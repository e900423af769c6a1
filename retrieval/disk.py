"""Files beside the database: made to last as it is, and what the disk refuses said as it says it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import StoreFailed


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raise StoreFailed for an OSError, as of a full disk: whoever works in the background tries again later."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(path, error.strerror or str(error)) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
