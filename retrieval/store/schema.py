"""The tables, as a list of migrations: version n is the first n scripts. Scripts are never edited, only added."""

from pathlib import Path

from retrieval.errors import SchemaTooNew

# How the lexical index cuts words. Porter: "deletes" finds "deleted"; codes such as HX-204 have no ending to lose.
TOKENIZER = ("porter", "unicode61", "remove_diacritics", "2")

_FIRST = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row for each change that a search could see. The stamp tells two histories apart that count alike,
-- which happens when a backup is restored.
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    stamp TEXT NOT NULL
);

CREATE TABLE stores (
    store_no INTEGER PRIMARY KEY AUTOINCREMENT,
    store_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE access (
    store_no INTEGER NOT NULL REFERENCES stores ON DELETE CASCADE,
    mode TEXT NOT NULL CHECK (mode IN ('read', 'write')),
    name TEXT NOT NULL,
    PRIMARY KEY (store_no, mode, name)
) WITHOUT ROWID;

CREATE TABLE documents (
    document_no INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id TEXT NOT NULL UNIQUE,
    store_no INTEGER NOT NULL REFERENCES stores ON DELETE CASCADE,
    filename TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed')),
    error TEXT,
    title TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    text_sha256 TEXT NOT NULL DEFAULT '',
    UNIQUE (store_no, sha256)
);

-- Where a document's content was found. The same content at two places is one document with two sources.
CREATE TABLE sources (
    store_no INTEGER NOT NULL REFERENCES stores ON DELETE CASCADE,
    source TEXT NOT NULL,
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    PRIMARY KEY (store_no, source)
) WITHOUT ROWID;
CREATE INDEX sources_of_document ON sources (document_no);

-- AUTOINCREMENT: a number is never used twice, so "everything above n" is what an index has not seen.
CREATE TABLE chunks (
    chunk_no INTEGER PRIMARY KEY AUTOINCREMENT,
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    store_no INTEGER NOT NULL,
    start_char INTEGER NOT NULL,
    end_char INTEGER NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX chunks_of_document ON chunks (document_no);
CREATE INDEX chunks_of_store ON chunks (store_no, chunk_no);

CREATE TABLE vectors (
    chunk_no INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
    vector BLOB NOT NULL
);

CREATE TABLE removals (
    chunk_no INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
);
CREATE INDEX removals_by_generation ON removals (generation);

CREATE VIRTUAL TABLE chunk_words USING fts5 (
    title, text, content = 'chunks', content_rowid = 'chunk_no', tokenize = '{" ".join(TOKENIZER)}'
);
INSERT INTO chunk_words (chunk_words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words (rowid, title, text) VALUES (new.chunk_no, new.title, new.text);
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, title, text) VALUES ('delete', old.chunk_no, old.title, old.text);
END;

CREATE TABLE jobs (
    job_no INTEGER PRIMARY KEY AUTOINCREMENT,
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    source TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL
);
CREATE INDEX jobs_by_status ON jobs (status, job_no);
CREATE INDEX jobs_of_document ON jobs (document_no);

CREATE TABLE lease (
    lease_no INTEGER PRIMARY KEY CHECK (lease_no = 1),
    holder TEXT NOT NULL,
    expires_at REAL NOT NULL
);
"""

MIGRATIONS = (_FIRST,)


def refuse_newer(path: Path, *, found: int, known: int) -> None:
    """Raise SchemaTooNew where the file's version is above the one that this software knows."""
    if found > known:
        raise SchemaTooNew(path, found, known)
