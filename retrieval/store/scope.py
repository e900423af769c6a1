"""What one search may find: its stores, less the documents that its reader may not see or its filter leaves out."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.store import filters
from retrieval.store.access import grants
from retrieval.store.database import Transaction, Value
from retrieval.types import Filter, Reader

# ?1 to ?3 as in `access.GRANTED`, ?4: now. Whoever may read a store sees the files in it, except those with lists
# of their own. A file past its expiry is no longer there, whether or not it has been cleared away.
VISIBLE = """
    ((files.expires_at IS NULL OR files.expires_at > ?4)
     AND (NOT files.has_access OR ?1 OR files.owner IN (SELECT value FROM json_each(?2)) OR EXISTS (
        SELECT 1 FROM file_access
        WHERE file_access.file_no = files.file_no AND file_access.mode = ?3
            AND file_access.name IN (SELECT value FROM json_each(?2)))))
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """Stores, and the documents of them that a search may find. None: all of them."""

    store_nos: tuple[int, ...]
    document_nos: tuple[int, ...] | None = None

    @property
    def condition(self) -> str:
        """SQL over `chunks` with one placeholder, whose value is `value`."""
        column = "store_no" if self.document_nos is None else "document_no"
        return f"chunks.{column} IN (SELECT value FROM json_each(?))"

    @property
    def value(self) -> str:
        return json.dumps(self.store_nos if self.document_nos is None else self.document_nos)


def resolve(tx: Transaction, store_nos: Sequence[int], reader: Reader, wanted: Filter | None) -> Scope:
    """The scope of a search in stores that `reader` may read."""
    if wanted is None and not has_limits(tx, store_nos):
        return Scope(tuple(store_nos))
    sql, values = filters.condition(wanted) if wanted else ("TRUE", ())
    return Scope(tuple(store_nos), tuple(_matching(tx, store_nos, reader, sql, values)))


def visible(reader: Reader) -> tuple[Value, ...]:
    """The bindings ?1 to ?4 of `VISIBLE`, for reading."""
    return *grants(reader, "read"), int(time.time())


def _matching(
    tx: Transaction, store_nos: Sequence[int], reader: Reader, sql: str, values: tuple[Value, ...]
) -> list[int]:
    rows = tx.rows(
        f"SELECT document_no FROM documents JOIN files USING (file_no)"
        f" WHERE store_no IN (SELECT value FROM json_each(?5)) AND status = 'completed' AND {VISIBLE} AND ({sql})"
        " ORDER BY document_no",
        *visible(reader),
        json.dumps(store_nos),
        *values,
    )
    return [row[0] for row in rows]


def has_limits(tx: Transaction, store_nos: Sequence[int]) -> bool:
    """Say whether the stores hold files that not every reader of them may see, or not for ever."""
    return bool(
        tx.rows(
            "SELECT 1 FROM files JOIN documents USING (file_no) WHERE (has_access OR expires_at IS NOT NULL)"
            " AND store_no IN (SELECT value FROM json_each(?)) LIMIT 1",
            json.dumps(store_nos),
        )
    )
