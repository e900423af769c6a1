"""What one search may find: its stores, less the documents that its reader may not see or its filter leaves out."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

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
        WHERE file_access.file_no = files.file_no AND file_access.mode = ?3 AND file_access.name IN (NAMES)))
"""
VISIBLE = f"""
    ((files.expires_at IS NULL OR files.expires_at > ?4) AND (NOT files.has_access OR {for_each_reader(_LISTED)}))
"""

# As `_LISTED`, but for many files at a time: the granted ones are collected once, not looked up for each.
_COLLECTED = """
    (files.owner IN (NAMES) OR file_no IN (SELECT file_no FROM file_access WHERE mode = ?3 AND name IN (NAMES)))
"""

# CROSS: the few files with limits are looked up first, from the index of just those.
_LIMITED = "files CROSS JOIN documents USING (file_no) WHERE (has_access OR expires_at IS NOT NULL)"


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Stores, and flags by document number: those that a filter lets through, and those hidden from the reader."""

    store_nos: tuple[int, ...]
    matching: Flags | None = None  # None: all
    hidden: Flags | None = None  # None: none


def resolve(tx: Transaction, store_nos: Sequence[int], reader: Reader, wanted: Filter | None) -> Scope:
    """The scope of a search in stores that `reader` may read.

    What is hidden is looked up rather than what is seen: most files have no lists of their own.
    """
    matching = None if wanted is None else filters.matching(tx, wanted)
    hidden = _hidden(tx, store_nos, reader) if has_limits(tx, store_nos) else None
    return Scope(tuple(store_nos), matching, hidden)


def visible(reader: Reader) -> tuple[Value, ...]:
    """The bindings ?1 to ?4 of `VISIBLE`, for reading."""
    return *grants(reader, "read"), int(time.time())


def has_limits(tx: Transaction, store_nos: Sequence[int]) -> bool:
    """Say whether the stores hold files that not every reader of them may see, or not for ever."""
    return bool(
        tx.rows(
            f"SELECT 1 FROM {_LIMITED} AND store_no IN (SELECT value FROM json_each(?)) LIMIT 1",
            json.dumps(store_nos),
        )
    )


def _hidden(tx: Transaction, store_nos: Sequence[int], reader: Reader) -> Flags:
    return filters.flags_of(
        tx,
        f"FROM {_LIMITED} AND store_no IN (SELECT value FROM json_each(?5))"
        f" AND (expires_at <= ?4 OR has_access AND NOT {for_each_reader(_COLLECTED)})",
        *visible(reader),
        json.dumps(store_nos),
    )
