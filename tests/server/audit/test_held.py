"""server.audit.held: what is in the log by right is known to who looks for remains, and nothing else of it is."""

from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit.chain import AuditError
from server.audit.held import held
from server.audit.log import AuditLog
from server.signing import Signer

SIGNER = Signer(Ed25519PrivateKey.generate())


def read(path: Path) -> bytes:
    return b"\0".join(held(path))


def test_records_requests_notes_and_the_tables_words_are_held_by_right_and_no_salts(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    log = AuditLog(path, SIGNER, content_key=bytes(32))
    for number in range(1200):
        log.append({"request": f"req_{number}"}, {"question": "May I?"})
    log.begin({"request": "req_begun"}, {})

    known = read(path)

    assert all(entry.record.encode() in known for entry in log.entries())
    assert b"\0req_1199" in known
    assert b'"request":"req_begun"' in known
    assert b"CREATE TABLE private" in known
    salt = log.salt(1)
    assert salt is not None
    assert salt not in known
    log.close()


def test_where_there_is_no_log_nothing_is_held_and_none_is_made(tmp_path: Path) -> None:
    assert list(held(tmp_path / "audit.db")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_log_of_an_earlier_version_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    log = AuditLog(path, SIGNER)
    log.append({"request": "req_1"}, {})
    log.close()
    db = apsw.Connection(str(path))
    db.execute("DROP TABLE begun")
    db.close()

    assert b'"request":"req_1"' in read(path)


def test_what_cannot_be_read_is_said_and_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.write_bytes(b"no database " * 1000)

    with pytest.raises(AuditError, match="cannot be read"):
        list(held(path))
