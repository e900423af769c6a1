"""Reading the whole log: every record with what lies beside it, every note, and the file that they are in."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from server.audit.beside import Beside, checked
from server.audit.chain import AuditError, Broken, Entry, Head
from server.audit.chain import verify as verify_chain
from server.audit.notes import notes_in, told_by
from server.audit.tables import RECORDS, WITHOUT_RECORD
from server.database import FAILED, Database

_AT_ONCE = 500  # records that are read while writers wait


def verify(file: Database, public_keys: Sequence[str], expected: Iterable[Head]) -> Head:
    """Check everything.

    Args:
        public_keys, expected: as `chain.verify` has them.

    Raises:
        Broken: at the first record that does not hold.
        AuditError: all of them do, and a note or the file is damaged elsewhere.
    """
    end = verify_chain(checked(rows(file)), public_keys, expected=expected)
    try:
        with file.reading() as db:
            damaged = [note.number for note in notes_in(db) if not told_by(note, public_keys)]
            lost: Any = db.execute(WITHOUT_RECORD).fetchone()
            found: Any = db.execute("PRAGMA integrity_check(1)").fetchone()
        said = found[0]
    except (FAILED, UnicodeDecodeError) as error:
        said, lost, damaged = str(error), None, []
    if lost is not None:
        raise Broken(max(lost[0], 1), "is missing, and what lay beside it is there")
    if damaged:
        raise AuditError(
            f"{end.number} records are as they were written, and note {damaged[0]} of what was under way is not."
        )
    if said != "ok":
        raise AuditError(f"{end.number} records are all as they were written, and their file is damaged: {said}.")
    return end


def rows(file: Database) -> Iterator[tuple[Entry, Beside | None]]:
    """Every record and what lies beside it; None: nothing, or nothing that could.

    Raises:
        Broken: at the first that cannot be read.
    """
    last = -(2**63)
    while found := _read(file, last):
        for row in found:
            # The table is STRICT; a damaged file may hold anything.
            if [type(value) for value in row[:4]] != [int, str, bytes, bytes] or row[0] <= last:
                raise Broken(max(last, 0) + 1, "is not stored as records are")
            last = row[0]
            yield Entry(*row[:4]), _beside(*row[4:])


def _read(file: Database, last: int) -> list[Any]:
    for count in (_AT_ONCE, 1):  # the second time to find out which it is
        try:
            with file.reading() as db:
                return db.execute(RECORDS, (last, count)).fetchall()
        except (FAILED, UnicodeDecodeError) as error:
            failed = error
    raise Broken(max(last, 0) + 1, f"cannot be read: {failed}") from failed


def _beside(request: object, salt: object, content: object) -> Beside | None:
    if isinstance(request, str) and isinstance(salt, bytes) and isinstance(content, bytes | None):
        return Beside(request, salt, content)
    return None
