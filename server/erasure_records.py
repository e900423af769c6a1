"""The record of erasures in the ledger: who asked for what, and the signed certificate once it is done.

It outlives the store: a store that is restored from an older backup learns here what was erased since.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from retrieval.erasure import Erasure, Gone, Taken
from retrieval.types import Reader
from server.database import Connection, Database

_COLUMNS = (
    "id, file_id, is_whole, owner, requested_by, reason, requested_at, certificate, signature, key_id, salt, readers,"
    " store_ids"
)


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """One erasure. Without a certificate it is not proven yet."""

    erasure_id: str
    file_id: str
    is_whole: bool
    owner: str
    requested_by: str
    reason: str
    requested_at: int  # Unix seconds
    certificate: str | None  # canonical JSON, the bytes that are signed
    signature: str | None  # base64
    key_id: str | None
    salt: str = ""  # hex
    readers: tuple[str, ...] = ()  # sha256 of the salt and each name that could read the file
    store_ids: tuple[str, ...] = ()  # that held it

    def may_know(self, reader: Reader) -> bool:
        """Whether somebody knew of the file while it was there: who owned it, could read it, or had it removed.

        Whoever is limited to certain stores may not: a record outlives its stores, and does not say which they were.
        """
        return all(one.stores is None and self._knows(one) for one in reader.each())

    def _knows(self, reader: Reader) -> bool:
        if reader.is_admin or not reader.names.isdisjoint((self.owner, self.requested_by)):
            return True
        salt = bytes.fromhex(self.salt)
        return any(sha256(salt + name.encode()).hexdigest() in self.readers for name in reader.names)


class ErasureRecords:
    """The ledger's erasures. May be used from any thread."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def expect(self, erasure: Erasure) -> None:
        """Record that something was removed, before anything is proven; again changes nothing."""
        with self._file.writing() as db:
            _insert(
                db,
                (
                    erasure.erasure_id,
                    erasure.file_id,
                    int(erasure.is_whole),
                    erasure.owner,
                    erasure.by,
                    erasure.reason,
                    erasure.requested_at,
                    None,
                    None,
                    None,
                    erasure.salt,
                    json.dumps(erasure.readers),
                    json.dumps(erasure.store_ids),
                ),
            )

    def certify(self, erasure_id: str, *, certificate: str, signature: str, key_id: str) -> None:
        """Add the certificate, unless there is one already."""
        with self._file.writing() as db:
            _certify(db, erasure_id, (certificate, signature, key_id))

    def one(self, erasure_id: str, principal: str | None) -> ErasureRecord | None:
        """One record that `principal` may see: its own files' and its own requests'; None: every one."""
        found = self._select("id = ?1", erasure_id, principal)
        return found[0] if found else None

    def of_file(self, file_id: str) -> ErasureRecord | None:
        """The first removal of a file for good, whoever may know of it; None: there was none."""
        found = self._select("file_id = ?1 AND is_whole", file_id, None)
        return found[0] if found else None

    def listing(self, principal: str | None) -> list[ErasureRecord]:
        """The records that `principal` may see, oldest first; None: every one."""
        return self._select("?1 IS NULL", None, principal)

    def waiting(self) -> int:
        """How many have no certificate yet."""
        with self._file.reading() as db:
            count = db.execute("SELECT count(*) FROM erasures WHERE certificate IS NULL").get
        assert isinstance(count, int)
        return count

    def gone(self) -> Gone:
        """What is erased, or was asked to be; no older copy may bring it back.

        Not what was replaced in a store by a new reading of the same file, which the older copy has in its place.
        """
        with self._file.reading() as db:
            files: list[Any] = db.execute("SELECT file_id, requested_by FROM erasures WHERE is_whole").fetchall()
            taken: list[Any] = db.execute(
                "SELECT file_id, store_ids, requested_by, requested_at FROM erasures"
                " WHERE NOT is_whole AND reason != 'replaced' ORDER BY requested_at, rowid"
            ).fetchall()
        return Gone(dict(files), [Taken(file_id, tuple(json.loads(stores)), *rest) for file_id, stores, *rest in taken])

    def adopt(self, records: list[ErasureRecord], keys: Mapping[str, str], now: int) -> None:
        """Take over what another ledger knows and this one does not: records, certificates, and public keys by id."""
        for record in records:
            with self._file.writing() as db:
                _insert(
                    db,
                    (
                        record.erasure_id,
                        record.file_id,
                        int(record.is_whole),
                        record.owner,
                        record.requested_by,
                        record.reason,
                        record.requested_at,
                        record.certificate,
                        record.signature,
                        record.key_id,
                        record.salt,
                        json.dumps(record.readers),
                        json.dumps(record.store_ids),
                    ),
                )
                if record.certificate is not None:
                    _certify(db, record.erasure_id, (record.certificate, record.signature, record.key_id))
        for key_id, public_key in keys.items():
            self.remember_key(key_id, public_key, now)

    def remember_key(self, key_id: str, public_key: str, now: int) -> None:
        """Keep a public key, so that old certificates can be verified after the key was lost."""
        with self._file.writing() as db:
            db.execute("INSERT OR IGNORE INTO signing_keys VALUES (?, ?, ?)", (key_id, public_key, now))

    def public_keys(self) -> dict[str, str]:
        """Every key that ever signed here: its PEM by its id."""
        with self._file.reading() as db:
            rows: list[Any] = db.execute("SELECT id, public_key FROM signing_keys").fetchall()
        return dict(rows)

    def _select(self, condition: str, value: str | None, principal: str | None) -> list[ErasureRecord]:
        with self._file.reading() as db:
            rows: list[Any] = db.execute(
                f"SELECT {_COLUMNS} FROM erasures WHERE {condition}"
                " AND (?2 IS NULL OR owner = ?2 OR requested_by = ?2) ORDER BY requested_at, rowid",
                (value, principal),
            ).fetchall()
        return [_record(*row) for row in rows]


def _record(erasure_id: str, file_id: str, is_whole: int, *rest: Any) -> ErasureRecord:
    *facts, readers, store_ids = rest
    lists = (tuple(json.loads(names)) for names in (readers, store_ids))
    return ErasureRecord(*(erasure_id, file_id, bool(is_whole), *facts, *lists))


def _insert(db: Connection, values: tuple[str | int | None, ...]) -> None:
    db.execute(f"INSERT OR IGNORE INTO erasures ({_COLUMNS}) VALUES ({', '.join('?' * 13)})", values)


def _certify(db: Connection, erasure_id: str, proof: tuple[str | None, ...]) -> None:
    db.execute(
        "UPDATE erasures SET certificate = ?, signature = ?, key_id = ? WHERE id = ? AND certificate IS NULL",
        (*proof, erasure_id),
    )
