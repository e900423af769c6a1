"""Notes of what is under way: what becomes a record if its server does not live to write one."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.audit.beside import Beside, filed_under
from server.database import Connection
from server.signing import is_signed


@dataclass(frozen=True, slots=True)
class Note:
    """A row as it is found, whoever wrote it last."""

    number: int
    record: str
    salt: bytes
    content: bytes | None
    signature: bytes

    @property
    def beside(self) -> Beside:
        """What is to lie beside its record."""
        return Beside(filed_under(json.loads(self.record)), self.salt, self.content)


def notes_in(db: Connection) -> list[Note]:
    """All of them, the oldest first."""
    rows: list[Any] = db.execute("SELECT note, record, salt, content, signature FROM begun ORDER BY note").fetchall()
    return [Note(*row) for row in rows]


def signed_of(record: str) -> bytes:
    """What is signed of a note; no record's hash is ever spelled so."""
    return b"note " + hashlib.sha256(record.encode("utf-8", "surrogatepass")).digest()


def is_whole(note: Note, public_keys: Sequence[str]) -> bool:
    """Whether a note is as one of these has written it, salt and texts included."""
    if not isinstance(note.record, str) or not isinstance(note.signature, bytes):
        return False  # a damaged file may hold anything
    if not is_signed(public_keys, signed_of(note.record), note.signature):
        return False
    return isinstance(note.salt, bytes) and bool(note.beside.digests() == json.loads(note.record)["beside"])


def record_of_damage(note: Note) -> dict[str, Any]:
    """What is on record of a note that cannot be believed."""
    found = repr((note.record, note.salt, note.content)).encode()
    return {
        "kind": "admin",
        "request": "",
        "route": "a note of what was under way",
        "outcome": "damaged",
        "sha256": hashlib.sha256(found).hexdigest(),
    }
