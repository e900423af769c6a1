"""What is left of a text in a file, found by its 12-byte runs. The text itself need not be kept for that.

A run is hashed with a key; 12 characters are at least 12 bytes, so a text without a common 12-byte run has no common
12-character run either. Hashes of all runs of a text could be unravelled into the text again by whoever has the key:
they are kept until the remains are gone, and no longer.
"""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from secrets import token_bytes
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from retrieval.apart import is_of_sqlite, read_apart

RUN = 12
KEY_BYTES = 16
# 2 MB of hashes. Of a text with more runs an even share is kept: remains are pieces of pages, hundreds of runs long.
MOST = 1 << 18
# Rows of dashes or zeros are in every file; what identifies a text has some variety.
FEWEST_DISTINCT = 4
# A vector is found by some of its runs, one in every so many bytes.
VECTOR_STEP = 96
_BLOCK = 1 << 20
_SLOTS_BITS = 20

Hashes = NDArray[np.uint64]


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


_NONE: Hashes = np.zeros(0, np.uint64)


def new_key() -> bytes:
    return token_bytes(KEY_BYTES)


def hashed(data: bytes, key: bytes) -> Hashes:
    """The hash of the run that begins at each byte, (len(data) - 11,) uint64."""
    count = len(data) - RUN + 1
    if count <= 0:
        return _NONE
    eight = np.zeros(count + 4, np.uint64)  # the eight bytes that begin at each place
    padded = data + b"\0" * 16
    for offset in range(8):
        aligned = np.frombuffer(padded, "<u8", (len(padded) - offset) // 8, offset)
        places = len(eight[offset::8])
        eight[offset::8] = aligned[:places]
    first, second = (number | np.uint64(1) for number in np.frombuffer(key, "<u8"))
    mixed = eight[:count] * first ^ (eight[4:] >> np.uint64(32)) * second
    mixed ^= mixed >> np.uint64(29)
    return cast(Hashes, mixed * first)


def of_texts(texts: Iterable[str], key: bytes) -> Hashes:
    """The distinct hashes of the telling runs of texts."""
    parts = [_telling(text.encode("utf-8", "surrogatepass"), key) for text in texts]
    return _distinct(np.concatenate([_NONE, *parts]))


def of_vectors(vectors: Iterable[bytes], key: bytes) -> Hashes:
    """The distinct hashes of some runs of each vector (float32), and of it in half precision, as the index has it."""
    parts = [
        _telling(spelled[start : start + RUN], key)
        for vector in vectors
        for spelled in (vector, np.frombuffer(vector, "<f4").astype("<f2").tobytes())
        for start in range(0, len(spelled) - RUN + 1, VECTOR_STEP)
    ]
    return _distinct(np.concatenate([_NONE, *parts]))


def fewer(hashes: Hashes, most: int = MOST) -> Hashes:
    """At most about `most` of them, chosen by their value."""
    step = -(-len(hashes) // most)
    return hashes if step <= 1 else hashes[hashes % np.uint64(step) == 0]


def _distinct(hashes: Hashes) -> Hashes:
    """Each once, in order; by sorting, since `np.unique` first fills a hash table that fits into no cache."""
    ordered = np.sort(hashes)
    distinct: Hashes = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return distinct


def _telling(data: bytes, key: bytes) -> Hashes:
    parts = [_NONE]
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK + RUN - 1]
        if len(block) >= RUN:
            runs = np.lib.stride_tricks.sliding_window_view(np.frombuffer(block, np.uint8), RUN)
            distinct = 1 + np.count_nonzero(np.diff(np.sort(runs, axis=1), axis=1), axis=1)
            parts.append(hashed(block, key)[distinct >= FEWEST_DISTINCT])
    return np.concatenate(parts)


class Sought:
    """A set of hashed runs to be looked for."""

    def __init__(self, hashes: Hashes, key: bytes) -> None:
        self.hashes = _distinct(hashes)
        self.key = key
        # One look into a small table rules out almost every run of a file.
        self._slots = np.zeros(1 << _SLOTS_BITS, np.bool_)
        self._slots[self._slot(self.hashes)] = True

    def __len__(self) -> int:
        return len(self.hashes)

    def within(self, data: bytes) -> Hashes:
        """Those that occur in `data`."""
        if not len(self.hashes):
            return _NONE
        found = [_NONE]
        for start in range(0, len(data), _BLOCK):
            block = hashed(data[start : start + _BLOCK + RUN - 1], self.key)
            likely = _distinct(block[self._slots[self._slot(block)]])
            places = np.searchsorted(self.hashes, likely)
            found.append(likely[self.hashes[np.minimum(places, len(self.hashes) - 1)] == likely])
        return _distinct(np.concatenate(found))

    def without(self, hashes: Hashes) -> "Sought":
        return Sought(np.setdiff1d(self.hashes, hashes, assume_unique=True), self.key)

    @staticmethod
    def _slot(hashes: Hashes) -> Hashes:
        return hashes >> np.uint64(64 - _SLOTS_BITS)


def contents(path: Path) -> Iterator[bytes]:
    """A file in overlapping blocks, and once more decompressed if it is gzip, xz or zip. A file that is gone has none.

    What cannot be decompressed is read as it is alone.

    Raises:
        OSError: it cannot be read.
    """
    try:
        if is_of_sqlite(path):
            with read_apart(path) as database:
                yield from _blocks(database)
            return
        with path.open("rb") as file:
            yield from _blocks(file)
            file.seek(0)
            magic = file.read(6)
            file.seek(0)
            if magic.startswith(b"\x1f\x8b"):
                with gzip.open(file) as opened:
                    yield from _blocks(opened)
            elif magic == b"\xfd7zXZ\x00":
                with lzma.open(file) as opened:
                    yield from _blocks(opened)
            elif magic.startswith(b"PK\x03\x04"):
                with zipfile.ZipFile(file) as archive:
                    for member in archive.infolist():
                        with archive.open(member) as opened:
                            yield from _blocks(opened)
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        return
    except (RuntimeError, NotImplementedError):  # zipfile: encrypted, or a method that it does not know
        return


def _blocks(file: _Readable) -> Iterator[bytes]:
    tail = b""
    while block := file.read(_BLOCK):
        yield tail + block
        tail = (tail + block)[-(RUN - 1) :]
