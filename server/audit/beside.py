"""What is kept beside the chain because it can be erased: salts, encrypted texts, and where a record is filed.

A record names their digests, so that they cannot be exchanged; that they may be gone is what an erasure's record says.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.audit.chain import Broken, Entry

ERASURE = "audit erase"  # the route of the records that erasures leave


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside one record."""

    request: str  # what it is found by
    salt: bytes  # 32 bytes; none: erased
    content: bytes | None  # encrypted texts; None: never kept, or erased

    def digests(self) -> dict[str, str | None]:
        """What the record says of it."""
        return {"salt": _digest(self.salt), "content": None if self.content is None else _digest(self.content)}


class Erased(NamedTuple):
    """What an erasure has done of a request's records."""

    records: int  # that it meant, erased before or not
    left: int  # of the same request: others with their salts, and what is noted down and not yet on record


def checked(records: Iterable[tuple[Entry, Beside | None]]) -> Iterator[Entry]:
    """Pass records on, and check what lies beside each when the next one is asked for.

    Raises:
        Broken: it is gone without an erasure, was changed, or belongs to another record.
    """
    gone: dict[int, str] = {}  # records whose salt is gone, with no erasure on record after them; their requests
    for entry, beside in records:
        yield entry  # whoever takes it checks the record itself, which is believed from here on
        record = json.loads(entry.record)
        if beside is None:
            raise Broken(entry.number, "has lost what lay beside it: it cannot be found by its request any more")
        if beside.request != filed_under(record):
            raise Broken(entry.number, f"is filed under the request {beside.request!r}, which is not its own")
        if record.get("route") == ERASURE:
            gone = {number: of for number, of in gone.items() if not _tells_of(record, number, of)}
        if beside.salt:
            _check_digests(entry.number, record, beside)
        elif beside.content is not None:
            raise Broken(entry.number, "has no salt any more, and texts all the same")
        else:
            gone[entry.number] = beside.request
    if gone:
        raise Broken(min(gone), "has lost its salt, and no later record tells of an erasure")


def filed_under(record: Mapping[str, Any]) -> str:
    """What a record is found by."""
    return str(record.get("request", ""))


def _tells_of(erasure: Mapping[str, Any], number: int, request: str) -> bool:
    named = erasure.get("erased")  # not in records of before they named them
    return request == filed_under(erasure) and (named is None or number in named)


def _check_digests(number: int, record: Mapping[str, Any], beside: Beside) -> None:
    then = record.get("beside")
    if then is None:  # a record of before they were in it
        return
    now = beside.digests()
    for name, kept in (("salt", "salt"), ("content", "encrypted texts")):
        if now[name] != then.get(name):
            raise Broken(number, f"has other {kept} beside it than it was written with")


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
