"""Erasures that are not certified yet: what was removed, for whom, and how to recognise its remains.

A row is written in the transaction that removes a document, and goes when the certificate exists. Until then it holds
what was removed, masked with a key that lies beside it: a purge has to know it to look for it (`retrieval.runs`), and
only so are its own pages no remains.
"""

import json
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes, token_hex
from typing import Any

import numpy as np

from retrieval import runs
from retrieval.database_rows import MAGIC, SCHEMA, Layout
from retrieval.erasure import Erasure, ErasureReason
from retrieval.runs import RUN, Hashes
from retrieval.store import leaving
from retrieval.store.access import principal, readers_of_store
from retrieval.store.database import Transaction
from retrieval.types import Reader

SALT_BYTES = 16
# Runs that are looked for at a time: 32 MB of hashes, and some times that while they are put in order.
MOST_TOGETHER = 1 << 22
# Characters that are cut into words at a time.
_PIECE = 1 << 20
# FTS5 puts it before every word, to tell its indexes apart.
_BEFORE_WORDS = "0"
_BLANK = re.compile(r"\s")
_FACTS = (
    "erasure_id", "file_id", "store_ids", "is_whole", "owner", "requested_by", "reason", "requested_at", "salt",
    "name_hash", "content_hash", "bytes", "chunks", "generation_before", "generation_after", "readers", "store_readers",
)  # fmt: skip
_ALL = (*_FACTS, "run_key", "runs", "texts", "vectors")
_COLUMNS = ", ".join(_FACTS)
_VALUES = f"({', '.join(_ALL)}) VALUES ({', '.join('?' * len(_ALL))})"
_MASKED = (b"texts", b"vectors")
# The names that `files.USABLE` lets read a file.
_READERS = """
    SELECT owner FROM files WHERE file_no = ?1
    UNION SELECT name FROM file_access JOIN files USING (file_no) WHERE file_no = ?1 AND has_access
    UNION SELECT stores.owner FROM documents JOIN stores USING (store_no) JOIN files USING (file_no)
        WHERE file_no = ?1 AND NOT has_access
    UNION SELECT name FROM documents JOIN access USING (store_no) JOIN files USING (file_no)
        WHERE file_no = ?1 AND NOT has_access
"""
_OF_THEM = "document_no IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why something is removed, and for whom."""

    reason: ErasureReason
    by: str | None = None  # None: its owner
    asked_at: int | None = None  # Unix seconds; None: now
    gone_in: int | None = None  # the generation since which nobody finds it; None: the one that removes it


Row = tuple[Any, ...]
REPLACED = Occasion("replaced")
EXPIRED = Occasion("expired")


def deleted(reader: Reader) -> Occasion:
    """Said by somebody to go."""
    return Occasion("deleted", principal(reader))


def note(
    tx: Transaction,
    file_no: int,
    document_nos: list[int],
    occasion: Occasion,
    *,
    is_whole: bool,
    generations: tuple[int, int],
) -> str:
    """Record that a file's documents are about to be removed; return the erasure's id.

    Args:
        is_whole: the file goes as well.
        generations: of the store, before and after, unless nobody has found it for longer.
    """
    if occasion.gone_in is not None:
        generations = occasion.gone_in - 1, occasion.gone_in
    file_id, owner, filename, size, digest = tx.rows(
        "SELECT file_id, owner, filename, bytes, sha256 FROM files WHERE file_no = ?", file_no
    )[0]
    numbers = json.dumps(document_nos)
    chunks = tx.rows(f"SELECT title, vector FROM chunks LEFT JOIN vectors USING (chunk_no) WHERE {_OF_THEM}", numbers)
    stores = tx.rows(f"SELECT store_id, store_no FROM documents JOIN stores USING (store_no) WHERE {_OF_THEM}", numbers)
    texts = {filename, *(row[0] for row in chunks)}
    for column, table in (("text", "documents"), ("title", "documents"), ("source", "sources"), ("source", "jobs")):
        texts.update(row[0] for row in tx.rows(f"SELECT {column} FROM {table} WHERE {_OF_THEM}", numbers))
    values = tx.rows(f"SELECT value FROM attributes WHERE kind = 'text' AND {_OF_THEM}", numbers)
    texts.update(row[0] for row in values)
    key = _key(tx)
    removed = runs.joined(texts), runs.heads([row[1] for row in chunks if row[1] is not None])
    erasure_id, salt = f"erasure_{token_hex(12)}", token_bytes(SALT_BYTES)

    def all_salted(names: Iterable[str]) -> list[str]:
        return sorted(salted(salt, name) for name in names)

    tx.run(
        f"INSERT INTO erasures {_VALUES}",
        erasure_id,
        file_id,
        json.dumps([row[0] for row in stores]),
        is_whole,
        owner,
        occasion.by or owner,
        occasion.reason,
        int(time.time()) if occasion.asked_at is None else occasion.asked_at,
        salt.hex(),
        salted(salt, filename),
        salted(salt, digest),
        size,
        len(chunks),
        *generations,
        json.dumps(all_salted(row[0] for row in tx.rows(_READERS, file_no))),
        json.dumps([all_salted(readers_of_store(tx, store_no)) for _, store_no in stores]),
        key,
        b"",
        *(runs.masked(data, key + salt + column) for data, column in zip(removed, _MASKED, strict=True)),
    )
    return erasure_id


def salted(salt: bytes, value: str) -> str:
    """The hash of a value under a salt, as certificates hold it."""
    return sha256(salt + value.encode("utf-8", "surrogatepass")).hexdigest()


def pending(tx: Transaction) -> list[Erasure]:
    """Those without a certificate, oldest first."""
    return [_erasure(*row) for row in tx.rows(f"SELECT {_COLUMNS} FROM erasures ORDER BY erasure_no")]


def one(tx: Transaction, erasure_id: str) -> Erasure:
    return _erasure(*tx.rows(f"SELECT {_COLUMNS} FROM erasures WHERE erasure_id = ?", erasure_id)[0])


def next_purge(tx: Transaction, besides: Collection[str] = frozenset()) -> list[Erasure]:
    """The pending ones that can be looked for together, oldest first, less those `besides`.

    They share a key (only a store that was restored has several), and are hardly more than memory has room for at a
    time: where there are others, they come next, when these are settled.
    """
    others = "erasure_id NOT IN (SELECT value FROM json_each(?))", json.dumps(list(besides))
    first = tx.rows(f"SELECT run_key FROM erasures WHERE {others[0]} ORDER BY erasure_no LIMIT 1", others[1])
    together, room = list[str](), MOST_TOGETHER
    for erasure_id, size in tx.rows(
        "SELECT erasure_id, octet_length(texts) + octet_length(vectors) / ? + octet_length(runs) / 8 FROM erasures"
        f" WHERE run_key = ? AND {others[0]} ORDER BY erasure_no",
        RUN,
        first[0][0] if first else b"",
        others[1],
    ):
        if together and size > room:
            break
        together.append(erasure_id)
        room -= size
    return [one(tx, erasure_id) for erasure_id in together]


@dataclass(frozen=True, slots=True)
class Removed:
    """What one erasure removed, as far as its remains are recognised by it."""

    key: bytes
    texts: bytes  # joined, as `runs.of_texts` has them
    words: bytes  # the long words of the texts, as the lexical index spells them; joined
    vectors: bytes  # as `runs.of_heads` has them
    runs: bytes  # hashes that a version before this one has made of all that

    def hashes(self) -> Iterator[Hashes]:
        """Of all runs, a part at a time."""
        yield np.frombuffer(self.runs, "<u8")
        yield from runs.of_texts(self.texts, self.key)
        yield from runs.of_texts(self.words, self.key)
        yield from runs.of_heads(self.vectors, self.key)


def removed(tx: Transaction, erasure_id: str) -> Removed:
    """What an erasure removed; it takes as much memory as that."""
    key, hashes, salt, *hidden = tx.rows(
        "SELECT run_key, runs, salt, texts, vectors FROM erasures WHERE erasure_id = ?", erasure_id
    )[0]
    masks = [bytes(key) + bytes.fromhex(salt) + column for column in _MASKED]
    texts, vectors = (runs.masked(bytes(data), mask) for data, mask in zip(hidden, masks, strict=True))
    pieces = (piece for text in texts.split(runs.APART) for piece in _pieces(text.decode("utf-8", "surrogatepass")))
    words = runs.APART.join(runs.joined(_long_words(tx, {piece})) for piece in pieces)
    return Removed(bytes(key), texts, words, vectors, bytes(hashes))


def run_key(tx: Transaction, erasure_id: str) -> bytes:
    """What the hashes of an erasure's runs are keyed with."""
    (key,) = tx.rows("SELECT run_key FROM erasures WHERE erasure_id = ?", erasure_id)[0]
    return bytes(key)


def rows(tx: Transaction) -> list[Row]:
    """The pending rows as they are, for `carry`."""
    return tx.rows(f"SELECT {', '.join(_ALL)} FROM erasures ORDER BY erasure_no")


def carry(tx: Transaction, waiting: Sequence[Row]) -> None:
    """Take over another store's pending rows."""
    tx.many(f"INSERT OR IGNORE INTO erasures {_VALUES}", waiting)


def settle(tx: Transaction, erasure_id: str) -> None:
    """Forget an erasure, with what it removed."""
    tx.run("DELETE FROM erasures WHERE erasure_id = ?", erasure_id)


def still_stored(tx: Transaction) -> Iterator[bytes]:
    """Everything that the store holds by right, as it lies there, and what SQLite says of any database.

    What is on its way out of the lexical index is not: it is removed already, and another purge's to answer for.
    """
    yield MAGIC
    tables = tx.rows(f"SELECT name, sql FROM {SCHEMA} WHERE type = 'table'")
    lexical = [name for name, sql in tables if " fts5" in sql.lower()]
    # The lexical index has no text of its own: what it must not keep would be looked for in vain.
    passed_over = {"erasures", "leaving", *lexical, *(f"{name}_{part}" for name in lexical for part in ("data", "idx"))}
    for name in (SCHEMA, *(name for name, _ in tables if name not in passed_over)):
        layout = Layout(tx.each, name)
        for row in tx.each(f'SELECT {layout.columns} FROM "{name}"'):
            yield from (stretch for stretch in layout.stretches(row) if len(stretch) >= RUN)


def vectors_still_stored(tx: Transaction) -> Iterator[bytes]:
    """The stored vectors in half precision, as the index's snapshots hold them."""
    for (vector,) in tx.each("SELECT vector FROM vectors"):
        yield np.frombuffer(vector, "<f4").astype("<f2").tobytes()


def words_still_stored(tx: Transaction) -> Iterator[str]:
    """The words of what the store holds, as the lexical index has them; long ones alone."""
    for (text,) in tx.each("SELECT title || ' ' || text FROM chunks"):
        yield from (f"{_BEFORE_WORDS}{word}" for word in _long_words(tx, {text}, RUN - len(_BEFORE_WORDS)))


def respell(tx: Transaction, *, wholly: bool) -> None:
    """Rewrite the lexical index: merge its parts, or `wholly` from the texts. Takes long in a large store."""
    for (name,) in tx.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%using fts5%'"):
        tx.run(f"INSERT INTO {name} ({name}) VALUES (?)", "rebuild" if wholly else "optimize")
    if wholly:
        leaving.forget(tx)


def _erasure(erasure_id: str, file_id: str, store_ids: str, is_whole: int, *rest: Any) -> Erasure:
    *facts, readers, store_readers = rest
    names = tuple(json.loads(readers)), tuple(map(tuple, json.loads(store_readers)))
    return Erasure(*(erasure_id, file_id, tuple(json.loads(store_ids)), bool(is_whole), *facts, *names))


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that cut no word."""
    start = 0
    while start < len(text):
        blank = _BLANK.search(text, start + _PIECE)
        end = blank.start() if blank else len(text)
        yield text[start:end]
        start = end


def _long_words(tx: Transaction, texts: set[str], least_bytes: int = RUN) -> set[str]:
    return {word for text in texts for word in tx.words(text) if len(word.encode()) >= least_bytes}


def _key(tx: Transaction) -> bytes:
    # One key for all that wait, so that a file is read once for all of them.
    found = tx.rows("SELECT run_key FROM erasures LIMIT 1")
    return bytes(found[0][0]) if found else runs.new_key()
