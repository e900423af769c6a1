"""The audit log: a chain in a database of its own.

Its own database, because it grows without end, is written for every answer, and must never hold up a look at a key.
What a record says of a text is a hash salted for that record alone. Salts lie beside the chain, so that erasing one
makes its hash meaningless and leaves the chain whole.

What is done, and an answer that is read while it is made, comes before its record, so it is noted down first. The note
goes when the record comes; a note whose process is gone becomes the record. So each has one record, however it ended.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any, Literal

from retrieval.locks import Lock, take, trying
from server.audit import checking
from server.audit.beside import ERASURE, Beside, Erased
from server.audit.chain import AuditError, AuditUnavailable, Entry, Head, link
from server.audit.notes import notes_in, record_of_damage, signed_of, told_by
from server.audit.seal import Seal
from server.audit.tables import MIGRATIONS
from server.database import FAILED, Connection, Database
from server.signing import Signer

log = logging.getLogger(__name__)

Durability = Literal["durable", "async"]
_LOCK = "audit.lock"  # held shared by every process that makes notes
_NOTED = "CASE WHEN json_valid(record) THEN record ->> '$.request' = ?1 END"  # of one request
_AGAIN = {"kind": "admin", "request": "", "route": "the audit log itself", "outcome": "written again"}


class AuditLog:
    """Appends records, and reads them back. May be used from any thread, and beside other processes."""

    def __init__(
        self,
        path: Path,
        signer: Signer,
        *,
        durability: Durability = "durable",
        content_key: bytes | None = None,
        clock: Callable[[], float] = time,
        busy_timeout_ms: int = 10_000,
    ) -> None:
        """Open the log, creating it or bringing it forward to this version's tables.

        Args:
            durability: "durable": a record is on the disk when `append` returns. "async": it is with the operating
                system, which a killed server does not lose, and a power cut or a damaged write-ahead log may.
            content_key: 32 bytes; with it, the texts themselves are kept as well, encrypted.

        Raises:
            AuditError: it is of a newer version than this program, or SQLite cannot use it.
        """
        self._signer, self._seal = signer, Seal(content_key, clock)
        self._has_failed = False  # at the last record
        self._owed: dict[int, tuple[str, Beside]] = {}  # by note: records of what was done, to be written yet
        self._lock_file = path.with_name(_LOCK)
        self._life: Lock | None = None
        self._one_at_a_time = threading.Lock()
        self._file = Database(
            path,
            purpose="the audit log",
            refusal=AuditError,
            busy_timeout_ms=busy_timeout_ms,
            migrations=MIGRATIONS,
            survives_power_cuts=durability == "durable",
            keeps_no_log=durability == "durable",
        )

    def close(self) -> None:
        """Close the database; nothing may be asked afterwards. What is owed is tried once more."""
        if self._owed:
            with suppress(AuditUnavailable), self._writing():
                pass
        self._file.close()
        if self._life is not None:
            self._life.release()

    def copy_to(self, path: Path) -> None:
        """Write a copy of this moment to a new file, synced."""
        self._file.copy_to(path)

    @property
    def keeps_content(self) -> bool:
        """Whether texts are kept, encrypted, beside their hashes."""
        return self._seal.keeps_content

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str], *, note: int | None = None) -> Entry:
        """Add a record; when this returns, it is in the chain.

        Args:
            record: what happened; `at`, `hashes` and `beside` are added to it. Its `request` is what `of_request`
                finds it by.
            texts: what it speaks about, each under the name that its hash shall have.
            note: what `begin` returned, which the record takes the place of.

        Raises:
            AuditUnavailable: it could not be written.
        """
        spelled, beside = self._seal.spelled(record, texts)
        try:
            with self._writing() as db:
                return self._add(db, spelled, beside, note)
        except AuditUnavailable:
            if note is not None:  # it was done: should this process end before it can write again, the note is left
                self._owed[note] = spelled, beside
            raise

    def begin(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> int:
        """Note down what becomes the record if this process ends before it has added one.

        A note is signed, as a record will be made of it that has to be believed.

        Returns:
            The note's number, for `append`.

        Raises:
            AuditUnavailable: it could not be written.
        """
        self._live()
        spelled, beside = self._seal.spelled(record, texts)
        with self._writing() as db:
            values = (spelled, beside.salt, beside.content, self._signer.sign(signed_of(spelled.encode())))
            db.execute("INSERT INTO begun (record, salt, content, signature) VALUES (?, ?, ?, ?)", values)
            return db.last_insert_rowid()

    def settle(self, public_keys: Sequence[str]) -> int:
        """Make records of the notes that ended processes left, unless one that makes notes is still alive beside them.

        Of a note that is not as it was written, the record says that alone.

        Args:
            public_keys: PEM, of those who may have signed them.

        Returns:
            How many there were.

        Raises:
            AuditUnavailable: they could not be written.
        """
        with trying(self._lock_file) as is_alone:
            if not is_alone:
                return 0
            with self._writing() as db:
                left = notes_in(db)
                for note in left:
                    if told := told_by(note, public_keys):
                        self._add(db, told.record, told.beside, note.number)
                    else:
                        self._add(db, *self._seal.spelled(record_of_damage(note), {}), note.number)
        if left:
            log.warning("audit: %d answers and acts that were cut off with their process are on record now", len(left))
        return len(left)

    def under_way(self) -> int:
        """How many answers and acts are noted down and not yet on record."""
        with self._file.reading() as db:
            row: Any = db.execute("SELECT count(*) FROM begun").fetchone()
        return int(row[0])

    def trouble(self) -> str | None:
        """Why no record can be written, after one that could not; None: one can. Waits for no other writer.

        Nobody is sent here while there is trouble, so that no record would find out that it is over: this adds one that
        says so, as a disk that is full, or fails, is noticed by nothing less.
        """
        try:
            self._file.check_place()
            if not self._has_failed:
                return None
            with self._file.trying() as db:
                self._add(db, *self._seal.spelled(_AGAIN, {}), None)
        except FAILED as error:
            return f"the audit log cannot be written: {error}"
        self._has_failed = False
        return None

    def head(self) -> Head:
        """Where the chain ends now."""
        with self._file.reading() as db:
            return _head(db)

    def verify(self, public_keys: Sequence[str], *, expected: Iterable[Head] = ()) -> Head:
        """Check every record with what lies beside it, all notes, and the file they are in: see `checking.verify`."""
        return checking.verify(self._file, public_keys, expected)

    def entries(self) -> Iterator[Entry]:
        """All records, in the order of their places in the database, read in pieces so that writers may go on.

        Raises:
            Broken: at the first that cannot be read.
        """
        return (entry for entry, _ in checking.rows(self._file))

    def of_request(self, request: str) -> list[Entry]:
        """The records of one request."""
        with self._file.reading() as db:
            query = (
                "SELECT number, record, hash, signature FROM audit JOIN private USING (number) WHERE request = ?"
                " ORDER BY number"
            )
            return [Entry(*row) for row in db.execute(query, (request,))]

    def salt(self, number: int) -> bytes | None:
        """The salt of a record's hashes; None: erased."""
        with self._file.reading() as db:
            row = db.execute("SELECT salt FROM private WHERE number = ?", (number,)).fetchone()
        return None if row is None or not row[0] else row[0]

    def content(self, number: int) -> str | None:
        """The texts of a record as they were given, in canonical JSON; None: never kept, or erased.

        Raises:
            AuditError: they are kept, and this log was opened without their key or with another one.
        """
        with self._file.reading() as db:
            row: Any = db.execute("SELECT salt, content FROM private WHERE number = ?", (number,)).fetchone()
        return None if row is None or row[1] is None else self._seal.opened(number, *row)

    def erase(self, request: str, record: Mapping[str, Any], *, numbers: Collection[int] | None = None) -> Erased:
        """Forget salts and texts of a request's records, and add a record of that; the chain stays as it is.

        Args:
            record: who did it; nothing is added where nothing was found.
            numbers: of the records that are meant; None: all that the request has.

        Raises:
            AuditUnavailable: it could not be written, and nothing is forgotten.
            AuditError: all is forgotten, and somebody's long reading keeps copies of it on the disk.
        """
        with self._writing() as db:
            had: Any = db.execute("SELECT number FROM private WHERE request = ? ORDER BY number", (request,)).fetchall()
            erased = [row[0] for row in had if numbers is None or row[0] in numbers]
            for each in erased:
                db.execute("UPDATE private SET salt = x'', content = NULL WHERE number = ?", (each,))
            # In the same moment: what is noted down becomes a record at any other.
            left: Any = db.execute(
                f"SELECT (SELECT count(*) FROM begun WHERE {_NOTED})"
                " + (SELECT count(*) FROM private WHERE request = ?1 AND salt != x'')",
                (request,),
            ).fetchone()
            if erased:
                # By number, so that this record excuses the loss of no other salt.
                facts = {**record, "request": request, "route": ERASURE, "erased": erased}
                self._add(db, *self._seal.spelled(facts, {}), None)
        if erased and not self._file.empty_log():
            raise AuditError("They are erased, but somebody reads the log, and copies are left until then. Try again.")
        log.info("audit: salts and texts of %d records of %s are erased", len(erased), request)
        return Erased(len(erased), int(left[0]))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            # Once one has waited in vain, others would only hold up more threads.
            with self._file.writing(waits=not self._has_failed) as db:
                owed = dict(self._owed)
                for note, (spelled, beside) in owed.items():
                    db.execute("DELETE FROM begun WHERE note = ?", (note,))
                    if db.changes():  # another thread may have written it meanwhile
                        self._add(db, spelled, beside, None)
                yield db
            for note in owed:
                self._owed.pop(note, None)
        except FAILED as error:
            log.error("audit: a record cannot be written: %s", error)
            self._has_failed = True
            raise AuditUnavailable(f"The audit log cannot be written: {error}") from error
        self._has_failed = False

    def _add(self, db: Connection, spelled: str, beside: Beside, note: int | None) -> Entry:
        entry = link(_head(db), spelled, self._signer)
        _put(db, entry, beside)
        if note is not None:
            db.execute("DELETE FROM begun WHERE note = ?", (note,))
        return entry

    def _live(self) -> None:
        """Show other processes that notes are made here, until the log is closed or this process is gone."""
        with self._one_at_a_time:
            if self._life is None:
                self._life = take(self._lock_file, alone=False, waits=True)


def _put(db: Connection, entry: Entry, beside: Beside) -> None:
    row = (entry.number, entry.record, entry.hash, entry.signature)
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?)", row)
    db.execute("INSERT INTO private VALUES (?, ?, ?, ?)", (entry.number, beside.request, beside.salt, beside.content))


def _head(db: Connection) -> Head:
    row: Any = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return Head() if row is None else Head(*row)
