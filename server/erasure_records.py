"""The record of erasures in the ledger: who asked for what, and the signed certificate once it is done.

It outlives the store: a store that is restored from an older backup learns here what was erased since.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from typing import Any

from retrieval.erasure import Erasure, Gone, Taken
from retrieval.types import Reader
from server.certificates import Proof
from server.database import Connection, Database

_AT_ONCE = 200  # records in memory
_COLUMNS = (
    "id, file_id, is_whole, owner, requested_by, reason, requested_at, certificate, signature, key_id, held,"
    " held_signature, salt, readers, store_ids, store_readers"
)
# Whether a record is among its owner's or its requester's, for each who is to see it; null is one who sees every one.
_SEEN = "NOT EXISTS (SELECT 1 FROM json_each(?1) WHERE value IS NOT NULL AND value NOT IN (owner, requested_by))"
_EVERYBODYS = (None,)


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
    proof: Proof | None
    salt: str = ""  # hex
    readers: tuple[str, ...] = ()  # sha256 of the salt and each name that could read the file
    store_ids: tuple[str, ...] = ()  # that held it
    store_readers: tuple[tuple[str, ...], ...] = ()  # of each store, as `readers`; none are known of older records

    def may_know(self, reader: Reader) -> bool:
        """Whether somebody knew of the file while it was there: who owned it, could read it, or had it removed.

        Whoever is limited to certain stores may not: a record outlives its stores, and does not say which they were.
        """
        return all(
            one.stores is None
            and (not one.names.isdisjoint((self.owner, self.requested_by)) or self._is_among(one, self.readers))
            for one in reader.each()
        )

    def stores_known_to(self, reader: Reader) -> tuple[str, ...]:
        """The stores that held it, of which `reader` could read these while they did; all of them for admins."""
        readers = zip_longest(self.store_ids, self.store_readers, fillvalue=())
        return tuple(
            str(store_id) for store_id, names in readers if all(self._is_among(one, names) for one in reader.each())
        )

    def _is_among(self, reader: Reader, hashed: Sequence[str]) -> bool:
        salt = bytes.fromhex(self.salt)
        return reader.is_admin or any(sha256(salt + name.encode()).hexdigest() in hashed for name in reader.names)


class ErasureRecords:
    """The ledger's erasures. May be used from any thread."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def expect(self, *removed: Erasure) -> None:
        """Record together that things were removed, before anything is proven; again changes nothing."""
        with self._file.writing() as db:
            for erasure in removed:
                _insert(db, _record_of(erasure))

    def certify(self, erasure_id: str, proof: Proof) -> None:
        """Add the certificate, unless there is one already."""
        with self._file.writing() as db:
            _certify(db, erasure_id, proof)

    def one(self, erasure_id: str, principals: Sequence[str | None] = _EVERYBODYS) -> ErasureRecord | None:
        """One record that each of the principals may see, as in `page`."""
        return self._first("id = ?2", erasure_id, principals)

    def of_file(self, file_id: str) -> ErasureRecord | None:
        """The first removal of a file for good, whoever may know of it; None: there was none."""
        return self._first("file_id = ?2 AND is_whole", file_id, _EVERYBODYS)

    def page(
        self, principals: Sequence[str | None], *, limit: int, after: str | None = None, newest_first: bool = False
    ) -> list[ErasureRecord]:
        """At most `limit` records that each of the principals may see, in order: what is theirs, or what they removed.

        Args:
            principals: None among them stands for one that may see every record.
            after: the record before the first of them; without it they begin with the first of all.
        """
        sign, order = ("<", "DESC") if newest_first else (">", "ASC")
        with self._file.reading() as db:
            rows: list[Any] = db.execute(
                f"SELECT {_COLUMNS} FROM erasures WHERE {_SEEN}"
                f" AND (?2 IS NULL"
                f" OR (requested_at, rowid) {sign} (SELECT requested_at, rowid FROM erasures WHERE id = ?2))"
                f" ORDER BY requested_at {order}, rowid {order} LIMIT ?3",
                (json.dumps(principals), after, limit),
            ).fetchall()
        return [_record(*row) for row in rows]

    def listing(self) -> Iterator[ErasureRecord]:
        """Every record, oldest first, some at a time."""
        last: str | None = None
        while found := self.page(_EVERYBODYS, limit=_AT_ONCE, after=last):
            yield from found
            last = found[-1].erasure_id

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

    def adopt(self, records: Iterable[ErasureRecord], keys: Mapping[str, str], now: int) -> None:
        """Take over what another ledger knows and this one does not: records, certificates, and public keys by id."""
        for record in records:
            with self._file.writing() as db:
                _insert(db, record)
                if record.proof is not None:
                    _certify(db, record.erasure_id, record.proof)
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

    def _first(self, condition: str, value: str, principals: Sequence[str | None]) -> ErasureRecord | None:
        with self._file.reading() as db:
            rows: list[Any] = db.execute(
                f"SELECT {_COLUMNS} FROM erasures WHERE {_SEEN} AND {condition} ORDER BY requested_at, rowid LIMIT 1",
                (json.dumps(principals), value),
            ).fetchall()
        return _record(*rows[0]) if rows else None


def _record_of(erasure: Erasure) -> ErasureRecord:
    return ErasureRecord(
        erasure_id=erasure.erasure_id,
        file_id=erasure.file_id,
        is_whole=erasure.is_whole,
        owner=erasure.owner,
        requested_by=erasure.by,
        reason=erasure.reason,
        requested_at=erasure.requested_at,
        proof=None,
        salt=erasure.salt,
        readers=erasure.readers,
        store_ids=erasure.store_ids,
        store_readers=erasure.store_readers,
    )


def _record(erasure_id: str, file_id: str, is_whole: int, *rest: Any) -> ErasureRecord:
    *facts, certificate, signature, key_id, held, held_signature, salt, readers, store_ids, store_readers = rest
    proof = None if certificate is None else Proof(certificate, signature, key_id, held, held_signature)
    lists = (tuple(json.loads(names)) for names in (readers, store_ids))
    of_stores = tuple(map(tuple, json.loads(store_readers)))
    return ErasureRecord(*(erasure_id, file_id, bool(is_whole), *facts, proof, salt, *lists, of_stores))


def _insert(db: Connection, record: ErasureRecord) -> None:
    db.execute(
        "INSERT OR IGNORE INTO erasures (id, file_id, is_whole, owner, requested_by, reason, requested_at, salt,"
        " readers, store_ids, store_readers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.erasure_id,
            record.file_id,
            int(record.is_whole),
            record.owner,
            record.requested_by,
            record.reason,
            record.requested_at,
            record.salt,
            json.dumps(record.readers),
            json.dumps(record.store_ids),
            json.dumps(record.store_readers),
        ),
    )


def _certify(db: Connection, erasure_id: str, proof: Proof) -> None:
    db.execute(
        "UPDATE erasures SET certificate = ?, signature = ?, key_id = ?, held = ?, held_signature = ?"
        " WHERE id = ? AND certificate IS NULL",
        (proof.certificate, proof.signature, proof.key_id, proof.held, proof.held_signature, erasure_id),
    )
