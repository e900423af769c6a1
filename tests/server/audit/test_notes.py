"""server.audit.notes: what is noted down is believed as it was written, and else becomes a record that says so."""

import json
from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit.chain import AuditError
from server.audit.log import AuditLog
from server.database import looking
from server.signing import Signer

SIGNER = Signer(Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "change",
    [
        "record = replace(record, 'user:anna', 'user:alna')",
        "salt = randomblob(32)",
        "signature = randomblob(64)",
        "record = 'no JSON'",
        "record = CAST(x'ff' || CAST(record AS BLOB) AS TEXT)",
        "salt = CAST(x'ff00ff' AS TEXT)",
        "salt = 7",
        "content = 'text now'",
        "content = CAST(x'ff00ff' AS TEXT)",
        "content = 7",
        "signature = NULL",
    ],
)
def test_a_note_that_was_changed_is_found_and_never_becomes_what_it_says(tmp_path: Path, change: str) -> None:
    log = AuditLog(tmp_path / "audit.db", SIGNER, content_key=bytes(32))
    log.append({"request": "req_0"}, {})
    log.begin({"request": "req_1", "caller": "user:anna"}, {"question": "May I?"})
    log.close()
    damage_notes(tmp_path / "audit.db", change)

    log = AuditLog(tmp_path / "audit.db", SIGNER, content_key=bytes(32))
    with pytest.raises(AuditError, match="1 records are as they were written, and note 1"):
        log.verify([SIGNER.public_key])
    assert log.settle([SIGNER.public_key]) == 1

    assert log.verify([SIGNER.public_key]).number == 2
    record = json.loads(list(log.entries())[1].record)
    assert (record["outcome"], record["request"], "caller" in record) == ("damaged", "", False)


def damage_notes(path: Path, change: str) -> None:
    """Change them beyond what their table allows, as a damaged disk may."""
    with looking(path) as db:
        (sql,) = next(db.execute("SELECT sql FROM sqlite_schema WHERE name = 'begun'"))
    loose = sql.replace("STRICT", "").replace("NOT NULL", "")
    for spelled, statement in ((loose, f"UPDATE begun SET {change}"), (sql, "")):
        db = apsw.Connection(str(path))
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'begun'", (spelled,))
        db.close()
        db = apsw.Connection(str(path))
        db.execute(statement)
        db.close()
