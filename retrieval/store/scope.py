"""What one search may find: its stores, less the documents that its reader may not see or its filter leaves out."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.store import filters
from retrieval.store.access import for_each_reader, grants
from retrieval.store.database import Transaction, Value
from retrieval.store.filters import Flags
from retrieval.types import Filter, Reader

# ?1 to ?3 as in `access`, ?4: now. Whoever may read a store sees the files in it, except those with lists
# of their own. A file past its expiry is no longer there, whether or not it has been cleared away.
_LISTED = """
    (files.owner IN (NAMES) OR EXISTS (
        SELECT 1 FROM file_access
        WHERE file_access.file_no = files.file_no AND file_access.mode IN (?3, 'write')
            AND file_access.name IN (NAMES)))
"""
VISIBLE = f"""
    ((files.expires_at IS NULL OR files.expires_at > ?4) AND (NOT files.has_access OR {for_each_reader(_LISTED)}))
"""

# CROSS: the few files with limits are looked up first, from the index of just those.
_FILES_FIRST = "files CROSS JOIN documents USING (file_no)"
_HAVE_LIMITS = "(has_access OR expires_at IS NOT NULL)"


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Stores, and flags by document number: those that a filter lets through, and those hidden from the reader."""

    store_nos: tuple[int, ...]
    matching: Flags | None = None  # None: all
    hidden: Flags | None = None  # None: none


def resolve(
    tx: Transaction, store_nos: Sequence[int], wanted: Filter | None, hidden: Flags | None, as_of: int | None = None
) -> Scope:
    """The scope of a search in stores that its reader may read, less what is hidden (see `retrieval.lists`).

    Args:
        as_of: documents completed by later generations than this one are hidden too.
    """
    if as_of is not None:
        later = filters.flags_of(tx, "FROM documents WHERE completed_in > ?", as_of)
        hidden = later if hidden is None else _either(hidden, later)
    return Scope(tuple(store_nos), None if wanted is None else filters.matching(tx, wanted), hidden)


def _either(one: Flags, other: Flags) -> Flags:
    """Flags of both; what is kept of lists still counts documents that were the newest when they were removed."""
    shorter, longer = sorted((one, other), key=len)
    both = longer.copy()
    both[: len(shorter)] |= shorter
    return both


def visible(reader: Reader, now: int | None = None) -> tuple[Value, ...]:
    """The bindings ?1 to ?4 of `VISIBLE`, for reading; `now`: in Unix seconds, or the present."""
    return *grants(reader, "read"), int(time.time()) if now is None else now


def has_limits(tx: Transaction, store_nos: Sequence[int]) -> bool:
    """Say whether the stores hold files that not every reader of them may see, or not for ever."""
    return bool(
        tx.rows(
            f"SELECT 1 FROM {_FILES_FIRST} WHERE {_HAVE_LIMITS}"
            " AND store_no IN (SELECT value FROM json_each(?)) LIMIT 1",
            json.dumps(store_nos),
        )
    )


def changes_of_lists(tx: Transaction) -> int:
    """How often the limits of files that were in stores have changed; whatever was read of them before is void."""
    return int(
        tx.rows("SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE key = 'changes_of_lists'")[0][0]
    )


def newest(tx: Transaction) -> int:
    """The highest document number; numbers are never used again."""
    return int(tx.rows("SELECT coalesce(max(document_no), 0) FROM documents")[0][0])


def with_lists(tx: Transaction, after: int) -> NDArray[np.int32]:
    """The documents above `after` whose files have lists of their own."""
    return filters.numbers(tx, f"{_limited(after)} AND has_access", after)


def expiring(tx: Transaction, after: int) -> NDArray[np.int64]:
    """(2, n): the documents above `after` whose files expire, and when."""
    rows = tx.rows(f"SELECT document_no, expires_at {_limited(after)} AND expires_at IS NOT NULL", after)
    return np.array(rows, np.int64).reshape(-1, 2).T


def readable(tx: Transaction, name: str) -> NDArray[np.int32]:
    """The documents whose lists have `name`, of whatever mode, and those with lists that it owns."""
    return filters.numbers(
        tx,
        "FROM (SELECT document_no FROM file_access AS listed CROSS JOIN documents USING (file_no)"
        " WHERE name = ?1 AND (mode = 'read' OR NOT EXISTS (SELECT 1 FROM file_access AS other"
        " WHERE other.file_no = listed.file_no AND other.mode = 'read' AND other.name = ?1))"
        " UNION ALL SELECT document_no FROM files CROSS JOIN documents USING (file_no)"
        " WHERE has_access AND owner = ?1)",
        name,
    )


def readers_above(tx: Transaction, after: int) -> dict[str, list[int]]:
    """Who is named by lists of the documents above `after`, as `readable` means it, and of which of them."""
    where = f"{_limited(after)} AND has_access"
    found: dict[str, list[int]] = {}
    for name, document_no in tx.rows(
        f"SELECT owner, document_no {where} UNION SELECT name, document_no FROM (SELECT file_no, document_no {where})"
        " JOIN file_access USING (file_no)",
        after,
    ):
        found.setdefault(name, []).append(document_no)
    return found


def _limited(after: int) -> str:
    """Of documents above ?1 whose files have limits; in the order in which there is less to be looked at."""
    tables = "documents CROSS JOIN files USING (file_no)" if after else _FILES_FIRST
    return f"FROM {tables} WHERE {_HAVE_LIMITS} AND document_no > ?1"
