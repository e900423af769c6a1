"""What the disk refuses outside the database, said as the database says it: the store failed, for now."""

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
