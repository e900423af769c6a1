"""Chunks as a search needs them: numbers and vectors for the index, words for the lexical side, rows for the answer."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrieval.store.database import Transaction


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
    vector: bytes  # float32, little-endian


def vectors(tx: Transaction, after: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """(chunk, store, vector) of every chunk above `after`, in rising order."""
    yield from tx.each(
        "SELECT chunk_no, store_no, vector FROM chunks JOIN vectors USING (chunk_no) WHERE chunk_no > ? ORDER BY 1",
        after,
    )


def stores_of_chunks(tx: Transaction) -> dict[int, int]:
    """The store of every chunk that has a vector."""
    return dict(tx.each("SELECT chunk_no, store_no FROM chunks JOIN vectors USING (chunk_no)"))


def removed(tx: Transaction, since: int) -> list[int]:
    """Chunks removed by the generations above `since`."""
    return [row[0] for row in tx.rows("SELECT chunk_no FROM removals WHERE generation > ?", since)]


def last_removal(tx: Transaction) -> int:
    """The newest generation that removed a chunk; 0 before the first."""
    return int(tx.rows("SELECT coalesce(max(generation), 0) FROM removals")[0][0])


def population(tx: Transaction, store_nos: Sequence[int]) -> int:
    """How many chunks the stores hold."""
    (count,) = tx.rows(
        "SELECT count(*) FROM chunks WHERE store_no IN (SELECT value FROM json_each(?))", json.dumps(store_nos)
    )[0]
    return int(count)


def matching(tx: Transaction, expression: str, store_nos: Sequence[int], limit: int) -> list[int]:
    """The chunks that match an FTS5 expression best, within the stores."""
    rows = tx.rows(
        "SELECT chunk_no FROM chunk_words JOIN chunks ON chunk_no = chunk_words.rowid"
        " WHERE chunk_words MATCH ? AND store_no IN (SELECT value FROM json_each(?))"
        " ORDER BY bm25(chunk_words), chunk_no LIMIT ?",
        expression,
        json.dumps(store_nos),
        limit,
    )
    return [row[0] for row in rows]


def frequency(tx: Transaction, expression: str, store_nos: Sequence[int], cap: int) -> int:
    """How many chunks of the stores match, counted up to `cap`."""
    (count,) = tx.rows(
        "SELECT count(*) FROM (SELECT 1 FROM chunk_words JOIN chunks ON chunk_no = chunk_words.rowid"
        " WHERE chunk_words MATCH ? AND store_no IN (SELECT value FROM json_each(?)) LIMIT ?)",
        expression,
        json.dumps(store_nos),
        cap,
    )[0]
    return int(count)


def load(tx: Transaction, chunk_nos: Sequence[int]) -> list[StoredPassage]:
    rows = tx.rows(
        "SELECT chunk_no, file_id, store_id, filename, chunks.title, chunks.text, start_char, end_char,"
        " text_sha256, vector"
        " FROM chunks JOIN vectors USING (chunk_no) JOIN documents USING (document_no)"
        " JOIN stores ON stores.store_no = chunks.store_no"
        " WHERE chunk_no IN (SELECT value FROM json_each(?)) ORDER BY chunk_no",
        json.dumps(chunk_nos),
    )
    return [StoredPassage(*row) for row in rows]
