"""Chunks as a search needs them: numbers and vectors for the index, words for the lexical side, rows for the answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from retrieval.store import filters
from retrieval.store.database import Transaction
from retrieval.store.scope import Scope
from retrieval.types import Attribute


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A chunk with what a citation of it needs."""

    chunk_no: int
    file_id: str
    store_id: str
    filename: str
    title: str
    text: str
    start_char: int
    end_char: int
    text_sha256: str
    page: int | None
    locator: str
    attributes: Mapping[str, Attribute]
    vector: bytes  # float32, little-endian


def vectors(tx: Transaction, after: int = 0) -> Iterator[tuple[int, int, int, bytes]]:
    """(chunk, store, document, vector) of every chunk above `after`, in rising order."""
    yield from tx.each(
        "SELECT chunk_no, store_no, document_no, vector FROM chunks JOIN vectors USING (chunk_no)"
        " WHERE chunk_no > ? ORDER BY 1",
        after,
    )


def places_of_chunks(tx: Transaction) -> dict[int, tuple[int, int]]:
    """The store and the document of every chunk that has a vector."""
    rows = tx.each("SELECT chunk_no, store_no, document_no FROM chunks JOIN vectors USING (chunk_no)")
    return {chunk_no: (store_no, document_no) for chunk_no, store_no, document_no in rows}


def removed(tx: Transaction, since: int) -> list[int]:
    """Chunks removed by the generations above `since`."""
    return [row[0] for row in tx.rows("SELECT chunk_no FROM removals WHERE generation > ?", since)]


def last_removal(tx: Transaction) -> int:
    """The newest generation that removed a chunk; 0 before the first."""
    return int(tx.rows("SELECT coalesce(max(generation), 0) FROM removals")[0][0])


def population(tx: Transaction, scope: Scope) -> int:
    """How many chunks a search could find."""
    return int(tx.rows(f"SELECT count(*) FROM chunks WHERE {scope.condition}", scope.value)[0][0])


def matching(tx: Transaction, expression: str, scope: Scope, limit: int) -> list[int]:
    """The chunks that match an FTS5 expression best, within the scope."""
    rows = tx.rows(
        "SELECT chunk_no FROM chunk_words JOIN chunks ON chunk_no = chunk_words.rowid"
        f" WHERE chunk_words MATCH ? AND {scope.condition} ORDER BY bm25(chunk_words), chunk_no LIMIT ?",
        expression,
        scope.value,
        limit,
    )
    return [row[0] for row in rows]


def frequency(tx: Transaction, expression: str, scope: Scope, cap: int) -> int:
    """How many chunks of the scope match, counted up to `cap`."""
    (count,) = tx.rows(
        "SELECT count(*) FROM (SELECT 1 FROM chunk_words JOIN chunks ON chunk_no = chunk_words.rowid"
        f" WHERE chunk_words MATCH ? AND {scope.condition} LIMIT ?)",
        expression,
        scope.value,
        cap,
    )[0]
    return int(count)


def load(tx: Transaction, chunk_nos: Sequence[int]) -> list[StoredPassage]:
    rows = tx.rows(
        "SELECT chunk_no, file_id, store_id, filename, chunks.title, chunks.text, start_char, end_char,"
        f" text_sha256, page, locator, {filters.AS_JSON}, vector"
        " FROM chunks JOIN vectors USING (chunk_no) JOIN documents USING (document_no) JOIN files USING (file_no)"
        " JOIN stores ON stores.store_no = chunks.store_no"
        " WHERE chunk_no IN (SELECT value FROM json_each(?)) ORDER BY chunk_no",
        json.dumps(chunk_nos),
    )
    return [StoredPassage(*(*facts, filters.from_json(attributes), vector)) for *facts, attributes, vector in rows]
