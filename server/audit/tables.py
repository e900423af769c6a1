"""What the audit log keeps in SQLite: the chain, what lies beside it, and answers under way."""

from collections.abc import Sequence

RECORDS = """
SELECT number, record, hash, signature, request, salt, content FROM audit LEFT JOIN private USING (number)
WHERE number > ? ORDER BY number LIMIT ?
"""
WITHOUT_RECORD = "SELECT number FROM private WHERE number NOT IN (SELECT number FROM audit) ORDER BY number LIMIT 1"

_TABLES = """
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
CREATE TABLE private (
    number INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    salt BLOB NOT NULL,
    content BLOB
) STRICT;
CREATE INDEX private_of_request ON private (request);
"""
_NOTES = """
CREATE TABLE begun (
    note INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    salt BLOB NOT NULL,
    content BLOB,
    signature BLOB NOT NULL
) STRICT;
"""
MIGRATIONS: Sequence[str] = (_TABLES, _NOTES)
