"""The chain: each record's hash covers the record and the hash before it, and is signed. No database, no clock."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.signing import Signer, is_signed

GENESIS = bytes(32)  # what stands before the first record


class AuditUnavailable(Exception):
    """A record cannot be written, so nothing that needs one may happen."""


class RecordOwed(AuditUnavailable):
    """The record of something that has been done waits until it can be written."""


class AuditError(Exception):
    """The log cannot be read as asked; the message says why."""


class Broken(Exception):
    """The first record at which a chain does not hold, and what is wrong with it."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"Record {number} {reason}.")
        self.number = number
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it is stored. Numbers begin at 1 and leave none out."""

    number: int
    record: str  # canonical JSON
    hash: bytes  # 32 bytes
    signature: bytes  # 64 bytes, of `hash`


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: enough to notice later that it was cut or written anew."""

    number: int = 0
    hash: bytes = GENESIS


def link(head: Head, record: str, signer: Signer) -> Entry:
    """The entry that continues a chain with `record`."""
    value = _hash(head, record)
    return Entry(head.number + 1, record, value, signer.sign(value))


def verify(entries: Iterable[Entry], public_keys: Sequence[str], *, expected: Iterable[Head] = ()) -> Head:
    """Check a chain from its first record on.

    Args:
        public_keys: PEM, of those who may have signed: one, or several where the key was replaced.
        expected: heads that it is known to have had; it must still pass through them.

    Raises:
        Broken: at the first record that was changed, removed, put elsewhere, or written by somebody else.
    """
    known = defaultdict[int, set[bytes]](set)
    for named in expected:
        if named.number:
            known[named.number].add(named.hash)
    head = Head()
    for entry in entries:
        check_next(head, entry, public_keys)
        if known.pop(entry.number, {entry.hash}) != {entry.hash}:
            raise Broken(entry.number, "is not the one that an earlier head names")
        head = Head(entry.number, entry.hash)
    if known:
        raise Broken(head.number + 1, "is missing, though an earlier head reaches further")
    return head


def check_next(head: Head, entry: Entry, public_keys: Sequence[str]) -> None:
    """Check one record against the one before it.

    Raises:
        Broken: it does not follow, was changed, or was written by somebody else.
    """
    if entry.number != head.number + 1:
        raise Broken(head.number + 1, "is missing")
    if entry.hash != _hash(head, entry.record):
        raise Broken(entry.number, "is not what it was, or does not follow the one before it")
    if not is_signed(public_keys, entry.hash, entry.signature):
        raise Broken(entry.number, "is not signed by a key that is known")


def _hash(head: Head, record: str) -> bytes:
    text = hashlib.sha256(record.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(head.hash + head.number.to_bytes(8, "big") + text).digest()
