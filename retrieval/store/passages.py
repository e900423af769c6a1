"""Chunks as a search needs them: numbers and vectors for the index, words for the lexical side, rows for the answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.store import filters, flags, personal
from retrieval.store.database import Transaction
from retrieval.types import Attribute, FlagKind, PersonalDataKind


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk with what it is ranked by."""

    chunk_no: int
    title: str
    text: str
    vector: bytes  # float32, little-endian


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
    personal_data: tuple[PersonalDataKind, ...]  # kinds in the document
    flags: tuple[FlagKind, ...]


def vectors(tx: Transaction, after: int = 0, upto: int | None = None) -> Iterator[tuple[int, int, int, bytes]]:
    """(chunk, store, document, vector) of every chunk above `after` and up to `upto`, in rising order."""
    yield from tx.each(
        "SELECT chunk_no, store_no, document_no, vector FROM chunks JOIN vectors USING (chunk_no)"
        " WHERE chunk_no > ?1 AND (?2 IS NULL OR chunk_no <= ?2) ORDER BY 1",
        after,
        upto,
    )


def vectors_of(tx: Transaction, chunk_nos: Sequence[int]) -> list[bytes]:
    """The vectors of some chunks, in rising order of their numbers."""
    rows = tx.rows(
        "SELECT vector FROM vectors WHERE chunk_no IN (SELECT value FROM json_each(?)) ORDER BY chunk_no",
        json.dumps(chunk_nos),
    )
    return [row[0] for row in rows]


def places(tx: Transaction, upto: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The store of every chunk up to `upto`, and the document: (2, n) each, the places above the chunk numbers.

    From the two indexes alone, so that no text is read.
    """
    return (
        _pairs(tx, "SELECT store_no, chunk_no FROM chunks INDEXED BY chunks_of_store WHERE chunk_no <= ?", upto),
        _pairs(tx, "SELECT document_no, chunk_no FROM chunks INDEXED BY chunks_of_document WHERE chunk_no <= ?", upto),
    )


def containing(tx: Transaction, expression: str, after: int) -> NDArray[np.int32]:
    """The chunks above `after` that match an FTS5 expression, in rising order."""
    # Joined by SQLite: fetching hundreds of thousands of rows one by one takes three times as long.
    ((joined,),) = tx.rows(
        "SELECT group_concat(rowid, ' ') FROM chunk_words WHERE chunk_words MATCH ? AND rowid > ?", expression, after
    )
    return np.fromstring(joined or "", np.int32, sep=" ")


def removed(tx: Transaction, since: int) -> list[int]:
    """Chunks removed by the generations above `since`."""
    return [row[0] for row in tx.rows("SELECT chunk_no FROM removals WHERE generation > ?", since)]


def candidates(tx: Transaction, chunk_nos: Sequence[int]) -> list[Candidate]:
    """Chunks to be ranked, in rising order of their numbers: many, of which few are shown."""
    rows = tx.rows(
        "SELECT chunk_no, title, text, vector FROM chunks JOIN vectors USING (chunk_no)"
        " WHERE chunk_no IN (SELECT value FROM json_each(?)) ORDER BY chunk_no",
        json.dumps(chunk_nos),
    )
    return [Candidate(*row) for row in rows]


def each_text(tx: Transaction, chunk_nos: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Some chunks' numbers and texts."""
    yield from tx.each(
        "SELECT chunk_no, text FROM chunks WHERE chunk_no IN (SELECT value FROM json_each(?))", json.dumps(chunk_nos)
    )


def load(tx: Transaction, chunk_nos: Sequence[int]) -> list[StoredPassage]:
    """Chunks to be shown, in rising order of their numbers."""
    rows = tx.rows(
        "SELECT chunk_no, file_id, store_id, filename, chunks.title, chunks.text, start_char, end_char,"
        f" text_sha256, page, locator, {filters.AS_JSON}, {personal.AS_JSON}, {flags.AS_JSON}"
        " FROM chunks JOIN documents USING (document_no) JOIN files USING (file_no)"
        " JOIN stores ON stores.store_no = chunks.store_no"
        " WHERE chunk_no IN (SELECT value FROM json_each(?)) ORDER BY chunk_no",
        json.dumps(chunk_nos),
    )
    return [_passage(*row) for row in rows]


def _passage(*row: Any) -> StoredPassage:
    *facts, attributes, found, flagged = row
    kinds = tuple(flag.kind for flag in flags.from_json(flagged))
    return StoredPassage(*(*facts, filters.from_json(attributes), tuple(json.loads(found)), kinds))


def _pairs(tx: Transaction, sql: str, upto: int) -> NDArray[np.int64]:
    return np.fromiter(chain.from_iterable(tx.each(sql, upto)), np.int64).reshape(-1, 2).T
