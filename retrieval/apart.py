"""Reading a file that SQLite may have open in this process, without taking SQLite's locks from it.

Under POSIX a process loses all its locks on a file as soon as it closes any descriptor of that file. SQLite would go on
without its own; the next process to close the database would take itself for the last one and delete the write-ahead
log, and the two would then write into different databases (sqlite.org/howtocorrupt.html, section 2.2). So it is another
process that opens the file.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO

_OF_SQLITE = re.compile(r"\.db(-wal|-shm|-journal)?")
_GONE = 3
_COPY = f"""
import shutil, sys
try:
    file = open(sys.argv[1], "rb")
except FileNotFoundError:
    sys.exit({_GONE})
shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
"""


def is_of_sqlite(path: Path) -> bool:
    """Say whether it is a database, its write-ahead log or the index of that, by its name."""
    return _OF_SQLITE.fullmatch(path.suffix) is not None


@contextmanager
def read_apart(path: Path) -> Iterator[IO[bytes]]:
    """What another process reads from a file; cannot be sought in, and is to be read to its end.

    Raises:
        FileNotFoundError: at the end: there is no such file.
        OSError: at the end: it could not be read.
    """
    with Popen([sys.executable, "-I", "-S", "-c", _COPY, str(path)], stdout=PIPE) as process:
        assert process.stdout is not None, "it was asked for"
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
    if process.returncode == _GONE:
        raise FileNotFoundError(path)
    if process.returncode:
        raise OSError(f"{path} could not be read; the process that was to do so ended with {process.returncode}")
