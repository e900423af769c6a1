"""Puts the evaluation's corpus and the sample handbook into a store of their own, cut and embedded as any document is.

It takes minutes the first time, resumes where it was stopped, and is kept for the next run.
"""

import hashlib
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from retrieval.chunking import cut
from retrieval.embedder import Embedder
from retrieval.parse import parse
from retrieval.parsed import Heading, Parsed
from retrieval.store import attaching, contents, documents, files, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.database import Database
from retrieval.types import Reader
from tests.eval.corpus import Section, read_corpus
from tests.eval.questions import read_follow_ups, read_questions

READER = Reader(frozenset({"user:eval"}))
STORE = "eval"
HANDBOOK = Path(__file__).parents[2] / "server" / "samples"
SEED = 4
BATCH = 128  # documents in one transaction


def fill(database: Database, embedder: Embedder, distractors: int) -> None:
    """Add what is missing: the documents that are asked about, and that many others."""
    with database.write() as tx:
        if not stores.exists(tx, STORE):
            stores.create(tx, STORE, READER, None)
        store_no = stores.number(tx, STORE, READER)
        held = {document.filename for document in documents.listing(tx, store_no, READER)}
    missing = [(key, parsed) for key, parsed in everything(distractors) if key not in held]
    began, done = time.monotonic(), 0
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        turned_out = read(batch, embedder)
        with database.write() as tx:
            for (key, _), content in zip(batch, turned_out, strict=True):
                file_no, _ = files.add(
                    tx, owner="user:eval", filename=key, size=len(content.text), sha256=_digest(content.text)
                )
                contents.complete(tx, attaching.attach(tx, store_no, file_no), content)
        done += len(batch)
        left = (time.monotonic() - began) / done * (len(missing) - done)
        print(f"\r{done:,} of {len(missing):,} documents embedded, {left:,.0f} s left ", end="", file=sys.stderr)
    if missing:
        print(file=sys.stderr)


def everything(distractors: int) -> Iterator[tuple[str, Parsed]]:
    """The documents by their keys: those that answer a question first, then others in a fixed random order."""
    for path in sorted(HANDBOOK.iterdir()):
        yield f"handbook/{path.name}", parse(path, path.read_bytes())
    wanted = {asked.key for asked in (*read_questions(), *read_follow_ups())}
    sections = read_corpus()
    answers = [section for section in sections if section.asks or section.key in wanted]
    others = [section for section in sections if not (section.asks or section.key in wanted)]
    random.Random(SEED).shuffle(others)
    for section in (*answers, *others[:distractors]):
        yield section.key, document(section)


def document(section: Section) -> Parsed:
    """A section under its page's title, and under its heading unless that is the question to be answered."""
    if section.asks:
        return Parsed(section.title, section.text)
    text = f"{section.heading}\n\n{section.text}"
    return Parsed(section.title, text, (Heading(0, len(section.heading), 2),))


def read(batch: Sequence[tuple[str, Parsed]], embedder: Embedder) -> list[Content]:
    """What `retrieval.ingest` would store of these documents; embedded together, since most are one chunk."""
    cuts = [(parsed, cut(parsed, embedder.count)) for _, parsed in batch]
    vectors = iter(
        embedder.embed(
            [f"{chunk.title}\n{parsed.text[chunk.start : chunk.end]}" for parsed, chunks in cuts for chunk in chunks]
        )
    )
    return [
        Content(
            parsed.title,
            parsed.text,
            _digest(parsed.text),
            [
                StoredChunk(
                    chunk.start,
                    chunk.end,
                    chunk.title,
                    parsed.text[chunk.start : chunk.end],
                    next(vectors).astype(np.dtype("<f4")).tobytes(),
                )
                for chunk in chunks
            ],
        )
        for parsed, chunks in cuts
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
