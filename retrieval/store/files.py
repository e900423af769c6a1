"""Files: what was handed in, with an owner and perhaps lists of its own. A file in a store is a document.

A file without lists may be used by its owner and by whoever may use a store that holds it, so that putting it into a
store shares it. Lists of its own decide alone: a store then shows it to those only who may read both.
"""

import time
from secrets import token_hex
from typing import Any

from retrieval.errors import DocumentNotFound, NotTheOwner
from retrieval.store import paging
from retrieval.store.access import (
    ALLOWED,
    GRANTED,
    MAY_USE,
    THERE,
    Mode,
    for_each_reader,
    grants,
    listed,
    owns,
    readers_of_store,
    refuse_sharing,
    replace,
)
from retrieval.store.database import Transaction
from retrieval.store.meta import advance, revoke
from retrieval.store.paging import Seen
from retrieval.types import EVERYONE, Access, Cursor, File, Page, Reader

_IN_STORES = f"FROM documents JOIN stores USING (store_no) WHERE documents.file_no = files.file_no AND {THERE}"
_HELD = f"SELECT 1 {_IN_STORES}"
# Who may use certain stores only may use what those hold, and what none holds; and change it if no other one holds it.
_REACHED = f"""
    (?1 IS NULL OR NOT EXISTS ({_HELD} AND NOT ({ALLOWED})) OR ?3 = 'read' AND EXISTS ({_HELD} AND {ALLOWED}))
"""
_MAY_USE = f"""
    (files.owner IN (NAMES)
     OR files.has_access AND EXISTS (
        SELECT 1 FROM file_access
        WHERE file_access.file_no = files.file_no AND file_access.mode IN (?3, 'write')
            AND file_access.name IN (NAMES))
     OR NOT files.has_access AND EXISTS ({_HELD} AND {ALLOWED} AND {MAY_USE}))
"""
# ?1 to ?3 as in `access`, ?4: now. A file past its expiry is gone, whether or not it was cleared away, and so is one
# that came with a store, when the last one that holds it was removed.
USABLE = f"""
    ((files.expires_at IS NULL OR files.expires_at > ?4) AND (files.is_upload OR EXISTS ({_HELD}))
     AND {_REACHED} AND {for_each_reader(_MAY_USE)})
"""


# What became of it in the stores that the reader may read: what others do with it elsewhere is not told, not even to
# its owner. ?1 to ?3 as in `access`, for reading.
_COLUMNS = f"""
    file_no, has_access,
    (SELECT CASE WHEN sum(status = 'in_progress') THEN 'uploaded'
        WHEN sum(status = 'failed') AND NOT sum(status = 'completed') THEN 'error' ELSE 'processed' END
     {_IN_STORES} AND {GRANTED}),
    (SELECT min(error) {_IN_STORES} AND {GRANTED} AND status = 'failed'),
    file_id, filename, bytes, purpose, created_at, expires_at, owner
"""


def add(
    tx: Transaction,
    *,
    owner: str,
    filename: str,
    size: int,
    sha256: str,
    purpose: str = "assistants",
    expires_at: int | None = None,
    is_upload: bool = False,
    access: Access | None = None,
) -> tuple[int, str]:
    """Add a file, with lists of its own if `access` is given; return its row number and its id."""
    file_id = f"file-{token_hex(12)}"
    file_no = tx.insert(
        "INSERT INTO files (file_id, owner, filename, bytes, sha256, purpose, created_at, expires_at, is_upload,"
        " has_access) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        file_id,
        owner,
        filename,
        size,
        sha256,
        purpose,
        int(time.time()),
        expires_at,
        int(is_upload),
        int(access is not None),
    )
    if access is not None:
        advance(tx)  # and no more: nobody has read what was not there
        replace(tx, "file_access", "file_no", file_no, access)
    return file_no, file_id


def number(tx: Transaction, file_id: str, reader: Reader, mode: Mode = "read") -> int:
    """The row number of one file.

    Raises:
        DocumentNotFound: it does not exist, or `reader` may not use it in this way.
    """
    return _number(tx, file_id, reader, mode, int(time.time()))


def sharable(tx: Transaction, file_id: str, reader: Reader) -> int:
    """The row number of a file whose lists `reader` may change.

    Raises:
        DocumentNotFound: it does not exist, or `reader` may not write it.
        NotTheOwner: `reader` may write it, but neither owns it nor is an admin.
    """
    file_no = number(tx, file_id, reader, "write")
    refuse_sharing(tx, "files", "file_no", file_no, reader)
    return file_no


def refuse_opening(tx: Transaction, file_no: int, store_no: int, reader: Reader) -> None:
    """Refuse that a file without lists comes into another store, by whom it was only shared with through one.

    Raises:
        NotTheOwner: so it would be opened to readers that its owner does not know, and that nobody can shut out again.
    """
    is_open = tx.rows(
        "SELECT 1 FROM files WHERE file_no = ?1 AND NOT has_access"
        " AND NOT EXISTS (SELECT 1 FROM documents WHERE file_no = ?1 AND store_no = ?2)",
        file_no,
        store_no,
    )
    if is_open and not owns(tx, "files", "file_no", file_no, reader):
        raise NotTheOwner(
            "Only its owner and admins may put a file into another store that has no 'access' of its own.", "file_id"
        )


def one(tx: Transaction, file_no: int, reader: Reader) -> File:
    """One file, with what became of it as far as `reader` may see."""
    found = tx.rows(f"SELECT {_COLUMNS} FROM files WHERE file_no = ?4", *grants(reader, "read"), file_no)
    return _file(tx, *found[0])


def page(tx: Transaction, reader: Reader, cursor: Cursor, purpose: str | None) -> Page[File]:
    """The files that `reader` may read."""
    rows, has_more = paging.page(
        tx,
        f"SELECT {_COLUMNS} FROM files WHERE {USABLE} AND (?5 IS NULL OR purpose = ?5)",
        (*grants(reader, "read"), int(time.time()), purpose),
        column="file_no",
        cursor=cursor,
        kind="file",
        reader=reader,
        # One that has expired still says where the list goes on.
        find=lambda file_id: _number(tx, file_id, reader, "read", paging.WHENEVER),
    )
    return Page(tuple(_file(tx, *row) for row in rows), has_more)


def grant(tx: Transaction, file_no: int, access: Access | None) -> None:
    """Replace a file's lists; None: it has none, and goes by the stores that hold it."""
    revoke(tx)
    tx.run("UPDATE files SET has_access = ? WHERE file_no = ?", int(access is not None), file_no)
    replace(tx, "file_access", "file_no", file_no, access or Access())


def keep(tx: Transaction, file_no: int) -> None:
    """Have a file stay that no store holds any more, though it came with one."""
    tx.run(
        f"UPDATE files SET is_upload = 1 WHERE file_no = ? AND NOT EXISTS ({_HELD})",
        file_no,
    )


def seen(tx: Transaction, file_no: int) -> Seen:
    """Who can see a file, as a place in the list of files."""
    owner, has_access = tx.rows("SELECT owner, has_access FROM files WHERE file_no = ?", file_no)[0]
    stores = tx.rows(
        "SELECT store_id, coalesce(former_name, name), store_no FROM documents JOIN stores USING (store_no)"
        " WHERE file_no = ?",
        file_no,
    )
    return Seen(
        (owner, *_named(tx, file_no)),
        tuple(
            ((store_id, name), () if has_access else readers_of_store(tx, store_no))
            for store_id, name, store_no in stores
        ),
    )


def seen_in_store(tx: Transaction, file_no: int) -> Seen:
    """Who can see a file among those of a store, of all who may read that."""
    owner, has_access = tx.rows("SELECT owner, has_access FROM files WHERE file_no = ?", file_no)[0]
    return Seen((owner, *_named(tx, file_no)) if has_access else (EVERYONE,))


def remove(tx: Transaction, file_no: int, could_see: Seen) -> str:
    """Remove a file that no store holds any more; return its id, under which the original is to be unlinked.

    Args:
        could_see: who could, while stores held it.
    """
    (file_id,) = tx.rows("SELECT file_id FROM files WHERE file_no = ?", file_no)[0]
    assert not tx.rows("SELECT 1 FROM documents WHERE file_no = ?", file_no), "a store still holds the file"
    tx.run("DELETE FROM files WHERE file_no = ?", file_no)
    paging.depart(tx, "file", file_id, file_no, could_see)
    return str(file_id)


def are_any_expired(tx: Transaction) -> bool:
    return bool(tx.rows("SELECT 1 FROM files WHERE expires_at <= ? LIMIT 1", int(time.time())))


def expired(tx: Transaction) -> list[tuple[int, str]]:
    """The row numbers and ids of files past their expiry."""
    rows = tx.rows("SELECT file_no, file_id FROM files WHERE expires_at <= ?", int(time.time()))
    return [(row[0], row[1]) for row in rows]


def numbers(tx: Transaction) -> dict[str, int]:
    """The row numbers of all files, by id."""
    return dict(tx.rows("SELECT file_id, file_no FROM files"))


def known(tx: Transaction) -> set[str]:
    """The ids of all files whose originals are kept, or are still to be read."""
    return {row[0] for row in tx.rows("SELECT file_id FROM files WHERE original = 'kept'")}


def _named(tx: Transaction, file_no: int) -> list[str]:
    """Whom a file's own lists let read it."""
    return [row[0] for row in tx.rows("SELECT DISTINCT name FROM file_access WHERE file_no = ?", file_no)]


def _number(tx: Transaction, file_id: str, reader: Reader, mode: Mode, now: int) -> int:
    found = tx.row(f"SELECT file_no FROM files WHERE file_id = ?5 AND {USABLE}", *grants(reader, mode), now, file_id)
    if found is None:
        raise DocumentNotFound(file_id)
    return int(found[0])


def _file(tx: Transaction, file_no: int, has_access: int, status: str, error: str | None, *facts: Any) -> File:
    access = listed(tx, "file_access", "file_no", file_no) if has_access else None
    return File(*(*facts, access, status, error))
