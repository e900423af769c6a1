"""The vocabulary of erasure: what was removed for good, and what a search for its remains found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

ErasureReason = Literal["deleted", "replaced", "expired", "replayed"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """A file that was removed for good, or taken out of stores: everything about it but what it said."""

    erasure_id: str
    file_id: str
    store_ids: tuple[str, ...]  # the stores that held it
    is_whole: bool  # False: it was taken out of these stores, and the file stays
    owner: str
    by: str  # the principal who asked for it
    reason: ErasureReason
    requested_at: int  # Unix seconds
    salt: str  # hex
    name_hash: str  # sha256 of the salt and the file's name
    content_hash: str  # sha256 of the salt and the hex sha256 of the file as it came
    bytes: int
    chunks: int
    generation_before: int
    generation_after: int
    readers: tuple[str, ...] = ()  # sha256 of the salt and each name that could read it
    store_readers: tuple[tuple[str, ...], ...] = ()  # of each store, in the order of `store_ids`: who could read that


@dataclass(frozen=True, slots=True)
class Gone:
    """What an older copy of a store must not bring back: files that were removed, and files taken out of stores."""

    files: Mapping[str, str] = field(default_factory=dict)  # id -> the principal who asked for it
    taken: Sequence["Taken"] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was taken out of stores, and stayed."""

    file_id: str
    store_ids: tuple[str, ...]
    by: str  # the principal who asked for it
    requested_at: int  # Unix seconds; what was put into a store later is not meant


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search for the remains of erased documents found in the data directory."""

    files: int  # that were read, compressed ones once more decompressed
    bytes: int
    runs: int  # 12-byte runs that were looked for; one that two parts have counts twice
    shared: int  # of those, runs that what is still stored holds as well
    rewrites: tuple[str, ...]  # what had to be rewritten before nothing was found
    traces: tuple[str, ...]  # files with remains; empty: clean

    @property
    def is_clean(self) -> bool:
        return not self.traces

    def followed_by(self, later: "Scan") -> "Scan":
        """Both as one, of which the later one looked for another part of what was removed."""
        runs, shared = self.runs + later.runs, self.shared + later.shared
        traces = tuple(dict.fromkeys(self.traces + later.traces))
        return Scan(later.files, later.bytes, runs, shared, later.rewrites, traces)


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge that is done, and what it found. Without a scan there was nothing to do, or no way to.

    `problem` says why remains may be left of what is `waiting`, and that it is to be tried again.
    """

    erasures: tuple[Erasure, ...] = ()  # of which nothing is left
    scan: Scan | None = None  # for these and for those that wait
    problem: str | None = None
    waiting: tuple[Erasure, ...] = ()
