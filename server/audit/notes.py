"""Notes of what is under way: what becomes a record if its process does not live to write one."""

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
    """A row as it is found, whoever wrote it last; of a damaged file it may hold anything, or nothing."""

    number: int
    spelled: bytes | None
    salt: bytes | None
    content: bytes | None
    signature: bytes | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a note is to become: a record, and what is to lie beside it."""

    record: str
    beside: Beside


def notes_in(db: Connection) -> list[Note]:
    """All of them, the oldest first."""
    # As bytes: text that is none any more could not even be fetched.
    columns = ", ".join(f"CAST({name} AS BLOB)" for name in ("record", "salt", "content", "signature"))
    rows: list[Any] = db.execute(f"SELECT note, {columns} FROM begun ORDER BY note").fetchall()
    return [Note(*row) for row in rows]


def signed_of(spelled: bytes) -> bytes:
    """What is signed of a note; no record's hash is ever spelled so."""
    return b"note " + hashlib.sha256(spelled).digest()


def told_by(note: Note, public_keys: Sequence[str]) -> Told | None:
    """What a note says, if it is as one of these has written it, salt and texts included; None: it is not."""
    if note.spelled is None or note.salt is None or note.signature is None:
        return None
    if not is_signed(public_keys, signed_of(note.spelled), note.signature):
        return None
    spelled = note.spelled.decode()
    record = json.loads(spelled)
    beside = Beside(filed_under(record), note.salt, note.content)
    return Told(spelled, beside) if beside.digests() == record["beside"] else None


def record_of_damage(note: Note) -> dict[str, Any]:
    """What is on record of a note that cannot be believed."""
    found = repr((note.spelled, note.salt, note.content)).encode()
    return {
        "kind": "admin",
        "request": "",
        "route": "a note of what was under way",
        "outcome": "damaged",
        "sha256": hashlib.sha256(found).hexdigest(),
    }
