"""An export of the log: a line for each record, and a signed head. Whoever hands one in may have written anything."""

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from server.audit.chain import AuditError, Broken, Entry, Head, verify
from server.signing import Signer, canonical, is_signed

_MALFORMED = (ValueError, KeyError, TypeError, RecursionError)


def line_of(entry: Entry) -> str:
    """A record as its line."""
    return canonical(
        {
            "number": entry.number,
            "record": entry.record,
            "hash": entry.hash.hex(),
            "signature": base64.b64encode(entry.signature).decode(),
        }
    )


def last_line(end: Head, signer: Signer) -> str:
    """What stands below the records: where they end."""
    return _last_line(end, signer.sign(_signed(end)))


def read(file: Path, public_keys: Sequence[str]) -> Head:
    """Check that an export is, byte for byte, what was written; return where it ends.

    Raises:
        AuditError: it is no export, its head is not signed by one of these keys, or a record does not hold.
    """
    try:
        *lines, last, rest = file.read_bytes().decode("ascii", "replace").split("\n")
        given = json.loads(last)
        head = Head(given["head"]["number"], bytes.fromhex(given["head"]["hash"]))
        signature = base64.b64decode(given["signature"], validate=True)
        is_whole = last == _last_line(head, signature) and not rest
    except _MALFORMED as error:
        raise AuditError(f"{file} is no export of an audit log, or not a whole one.") from error
    if not is_signed(public_keys, _signed(head), signature):
        raise AuditError(f"The head of {file} is not signed by a key that is known.")
    if not is_whole:
        raise AuditError(f"The head of {file} is not as it was written.")
    try:
        end = verify((_entry(*line) for line in enumerate(lines, 1)), public_keys, expected=[head])
        if end != head:
            raise Broken(head.number + 1, "comes after the end that is signed")
    except Broken as error:
        raise AuditError(f"{file} does not hold. {error}") from error
    return end


def _entry(number: int, line: str) -> Entry:
    with suppress(*_MALFORMED):
        given = json.loads(line)
        if type(given["number"]) is int and isinstance(given["record"], str):  # 1.0 and true equal a number
            signature = base64.b64decode(given["signature"], validate=True)
            entry = Entry(given["number"], given["record"], bytes.fromhex(given["hash"]), signature)
            if line == line_of(entry):
                return entry
    raise Broken(number, "is not in its line as it was written")


def _signed(end: Head) -> bytes:
    return canonical(_named(end)).encode()


def _last_line(end: Head, signature: bytes) -> str:
    return canonical({"head": _named(end), "signature": base64.b64encode(signature).decode()})


def _named(end: Head) -> dict[str, int | str]:
    return {"number": end.number, "hash": end.hash.hex()}
