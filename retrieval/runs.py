"""What is left of a text in a file, found by its 12-byte runs. The text itself need not be kept for that.

A run is hashed with a key; 12 characters are at least 12 bytes, so a text without a common 12-byte run has no common
12-character run either. All runs are looked for, however long the text is: of a long one a part at a time.
"""

import gzip
import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EINVAL
from pathlib import Path
from secrets import token_bytes
from typing import cast

import numpy as np
from numpy.typing import NDArray

from retrieval.apart import is_of_sqlite, read_apart

RUN = 12
KEY_BYTES = 16
# Between texts; no text has it in UTF-8.
APART = b"\xff"
# Rows of dashes or zeros are in every file; what identifies a text has some variety.
FEWEST_DISTINCT = 4
# A vector is found by some of its runs, one in every so many bytes.
VECTOR_STEP = 96
_BLOCK = 1 << 20
# Of the table that rules out almost every run of a file: eight slots for each run sought keep it nearly empty, 1 MB is
# as fast as any smaller one, and 16 MB are enough.
_SLOTS_BITS = (20, 24)

Hashes = NDArray[np.uint64]


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


def joined(texts: Iterable[str]) -> bytes:
    """Texts as `of_texts` reads them."""
    return APART.join(text.encode("utf-8", "surrogatepass") for text in texts)


def of_texts(data: bytes, key: bytes) -> Iterator[Hashes]:
    """The hashes of the telling runs of joined texts, up to a million at a time, each of these once."""
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK + RUN - 1]
        ordered = _ordered(block, 1)
        yield _distinct(hashed(block, key)[_is_telling(ordered) & (ordered[:, -1] != APART[0])])


def heads(vectors: Sequence[bytes]) -> bytes:
    """The runs by which vectors (float32) are found, one after another: some of each as it is, and some in half
    precision, as the index has it."""
    if not vectors:
        return b""
    rows = np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1)
    parts = [np.zeros((len(vectors), 0), np.uint8)]
    for spelled in (rows, rows.astype("<f2")):
        as_bytes = np.ascontiguousarray(spelled).view(np.uint8).reshape(len(vectors), -1)
        parts += [as_bytes[:, at : at + RUN] for at in range(0, as_bytes.shape[1] - RUN + 1, VECTOR_STEP)]
    return np.concatenate(parts, axis=1).tobytes()


def of_heads(data: bytes, key: bytes) -> Iterator[Hashes]:
    """The hashes of the telling runs among heads, each once in a yield."""
    step = _BLOCK // RUN * RUN
    for start in range(0, len(data), step):
        block = data[start : start + step]
        yield _distinct(hashed(block, key)[::RUN][_is_telling(_ordered(block, RUN))])


def in_rooms(parts: Iterable[Hashes], room: int) -> Iterator[Hashes]:
    """Parts put together until each yield has at least `room` hashes; the last has the rest, and may be empty."""
    held, count = [_NONE], 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= room:
            yield np.concatenate(held)
            held, count = [_NONE], 0
    yield np.concatenate(held)


def masked(data: bytes, key: bytes) -> bytes:
    """Data under a key, so that none of its runs stand in it; masked again it is the data."""
    stream = hashlib.shake_256(key).digest(len(data))
    return (np.frombuffer(data, np.uint8) ^ np.frombuffer(stream, np.uint8)).tobytes()


def _distinct(hashes: Hashes) -> Hashes:
    """Each once, in order; by sorting, since `np.unique` first fills a hash table that fits into no cache."""
    ordered = np.sort(hashes)
    distinct: Hashes = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return distinct


def _ordered(block: bytes, step: int) -> NDArray[np.uint8]:
    """The runs that begin at every so many bytes, (count, 12), the bytes of each in order."""
    if len(block) < RUN:
        return np.zeros((0, RUN), np.uint8)
    return np.sort(np.lib.stride_tricks.sliding_window_view(np.frombuffer(block, np.uint8), RUN)[::step], axis=1)


def _is_telling(ordered: NDArray[np.uint8]) -> NDArray[np.bool_]:
    telling: NDArray[np.bool_] = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1) >= FEWEST_DISTINCT
    return telling


class Sought:
    """A set of hashed runs to be looked for."""

    def __init__(self, hashes: Hashes, key: bytes) -> None:
        self.hashes = _distinct(hashes)
        self.key = key
        fewest, most = _SLOTS_BITS
        self._shift = np.uint64(64 - min(most, max(fewest, len(self.hashes).bit_length() + 3)))
        self._slots = np.zeros(1 << (64 - int(self._shift)), np.bool_)
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

    def _slot(self, hashes: Hashes) -> Hashes:
        return hashes >> self._shift


def contents(path: Path) -> Iterator[bytes]:
    """A file in overlapping blocks, and once more decompressed if it is gzip, xz or zip. A file that is gone has none.

    What is damaged is decompressed as far as that goes, and each member of a zip by itself. What is encrypted, or
    packed in a way unknown here, is read as it is alone.

    Raises:
        OSError: it cannot be read.
    """
    with suppress(FileNotFoundError):
        if is_of_sqlite(path):
            with read_apart(path) as database:
                yield from _blocks(database.read)
            return
        with path.open("rb") as file:
            yield from _blocks(file.read)
            file.seek(0)
            magic = file.read(6)
            file.seek(0)
            if magic.startswith(b"\x1f\x8b"):
                with _up_to_damage(), gzip.open(file) as opened:
                    yield from _blocks(opened.read1)
            elif magic == b"\xfd7zXZ\x00":
                with _up_to_damage(), lzma.open(file) as unpacked:
                    yield from _blocks(unpacked.read1)
            elif magic.startswith(b"PK\x03\x04"):
                with _up_to_damage(), zipfile.ZipFile(file) as archive:
                    for info in archive.infolist():
                        del info.CRC  # or a wrong one would keep back the last of what can be read
                        with _up_to_damage(), archive.open(info) as member:
                            yield from _blocks(cast(zipfile.ZipExtFile, member).read1)


@contextmanager
def _up_to_damage() -> Iterator[None]:
    """End a block where something compressed is no further what it looks like."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        pass
    except RuntimeError:  # zipfile: encrypted, or a method that it does not know
        pass
    except ValueError:  # zipfile: names that are no text
        pass
    except OSError as error:
        # A disk's errors have a number. Those of gzip and bz2 have none, and a zip may point to before its beginning.
        if error.errno not in (None, EINVAL):
            raise


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """What `read` gives, which may be less at once than it is asked for."""
    tail = b""
    while block := read(_BLOCK):
        yield tail + block
        tail = (tail + block)[-(RUN - 1) :]
