"""A disk that is full, as far as this process's files go."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full(size: int = 0) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
