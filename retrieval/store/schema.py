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

# A file is a thing of its own, with an owner and lists; a document is a file in a store. Rebuilt rather than altered,
# since SQLite cannot drop the old table's UNIQUE constraints: a store may hold two files of one content.
_FILES = """
CREATE TABLE files (
    file_no INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    filename TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    purpose TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- 1: uploaded by itself, and stays until it is deleted; 0: came with a store, and goes with the last one.
    is_upload INTEGER NOT NULL,
    -- 1: file_access says who may use it; 0: its owner, and whoever may use a store that holds it.
    has_access INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX files_of_owner ON files (owner, file_no);
-- The few files that not every reader of a store may see; a search looks here whether there are any.
CREATE INDEX files_with_limits ON files (file_no) WHERE has_access OR expires_at IS NOT NULL;

CREATE TABLE file_access (
    file_no INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    mode TEXT NOT NULL CHECK (mode IN ('read', 'write')),
    name TEXT NOT NULL,
    PRIMARY KEY (file_no, mode, name)
) WITHOUT ROWID;

INSERT INTO files (file_no, file_id, owner, filename, bytes, sha256, purpose, created_at, is_upload)
    SELECT document_no, file_id, owner, filename, bytes, sha256, 'assistants', documents.created_at, 0
    FROM documents JOIN stores USING (store_no);

CREATE TABLE documents_in_stores (
    document_no INTEGER PRIMARY KEY AUTOINCREMENT,
    file_no INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    store_no INTEGER NOT NULL REFERENCES stores ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
    error TEXT,
    error_code TEXT,
    title TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    text_sha256 TEXT NOT NULL DEFAULT '',
    usage_bytes INTEGER NOT NULL DEFAULT 0, -- of text, chunks and vectors
    chunk_tokens INTEGER, -- as asked for; NULL: automatic
    overlap_tokens INTEGER,
    UNIQUE (store_no, file_no)
);
INSERT INTO documents_in_stores (document_no, file_no, store_no, created_at, status, error, error_code,
        title, text, text_sha256, usage_bytes)
    SELECT document_no, document_no, store_no, created_at, status, error,
        CASE status WHEN 'failed' THEN 'invalid_file' END, title, text, text_sha256,
        octet_length(text) + (SELECT coalesce(sum(octet_length(chunks.text) + octet_length(vector)), 0)
            FROM chunks JOIN vectors USING (chunk_no) WHERE chunks.document_no = documents.document_no)
    FROM documents;
DROP TABLE documents;
ALTER TABLE documents_in_stores RENAME TO documents;
CREATE INDEX documents_of_file ON documents (file_no);
CREATE INDEX documents_counted ON documents (store_no, status, usage_bytes);

-- What filters compare. A number is stored as REAL and a boolean as 0 or 1, told apart by their kind.
CREATE TABLE attributes (
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('text', 'number', 'boolean')),
    value NOT NULL,
    PRIMARY KEY (document_no, key)
) WITHOUT ROWID;
CREATE INDEX attributes_by_value ON attributes (key, kind, value);

CREATE TABLE batches (
    batch_no INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id TEXT NOT NULL UNIQUE,
    store_no INTEGER NOT NULL REFERENCES stores ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    is_cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE batch_documents (
    batch_no INTEGER NOT NULL REFERENCES batches ON DELETE CASCADE,
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    PRIMARY KEY (batch_no, document_no)
) WITHOUT ROWID;
CREATE INDEX batches_of_document ON batch_documents (document_no);

ALTER TABLE stores ADD COLUMN title TEXT; -- the name as it was given; NULL: the slug is the name
ALTER TABLE stores ADD COLUMN description TEXT;
ALTER TABLE stores ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE stores ADD COLUMN expires_days INTEGER;
ALTER TABLE stores ADD COLUMN last_active_at INTEGER;
UPDATE stores SET last_active_at = created_at;
"""

# Where in the file a chunk stands, and how much of the file nobody sees.
_PLACES = """
ALTER TABLE chunks ADD COLUMN page INTEGER;
ALTER TABLE chunks ADD COLUMN locator TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN stripped INTEGER NOT NULL DEFAULT 0;
"""

# Removals that are not certified yet; see retrieval/store/erasures.py.
_ERASURES = """
CREATE TABLE erasures (
    erasure_no INTEGER PRIMARY KEY AUTOINCREMENT,
    erasure_id TEXT NOT NULL UNIQUE,
    file_id TEXT NOT NULL,
    store_ids TEXT NOT NULL, -- a JSON list
    is_whole INTEGER NOT NULL, -- 0: out of stores alone, the file stays
    owner TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    salt TEXT NOT NULL,
    name_hash TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    generation_before INTEGER NOT NULL,
    generation_after INTEGER NOT NULL,
    run_key BLOB NOT NULL,
    runs BLOB NOT NULL
);
"""


# Where deleted objects were in their lists, so that who lists and deletes page by page can go on.
_DEPARTED = """
CREATE TABLE departed (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    left_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX departed_by_time ON departed (left_at);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
"""

# Vectors of another embedder until they are complete; see retrieval/store/vectors.py.
_NEXT_VECTORS = """
CREATE TABLE next_vectors (
    chunk_no INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
    vector BLOB NOT NULL
);
"""

# What was found of personal data, and which originals are not kept; see retrieval/store/personal.py.
_PERSONAL_DATA = """
ALTER TABLE stores ADD COLUMN personal_data TEXT NOT NULL DEFAULT 'off';
ALTER TABLE documents ADD COLUMN personal_data TEXT NOT NULL DEFAULT 'off'; -- the policy that it is read under
CREATE TABLE personal_data (
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (document_no, kind)
) WITHOUT ROWID;

-- Once put into a store, a file is whole or redacted for ever; NULL: it never was in one.
ALTER TABLE files ADD COLUMN form TEXT CHECK (form IN ('whole', 'redacted'));
UPDATE files SET form = 'whole';
ALTER TABLE files ADD COLUMN original TEXT NOT NULL DEFAULT 'kept' CHECK (original IN ('kept', 'going', 'gone'));
CREATE INDEX files_with_going_originals ON files (file_no) WHERE original = 'going';
-- The original of a redacted file goes when nobody is still to read it, however the reading ended.
CREATE TRIGGER redacted_or_not_read AFTER UPDATE OF status ON documents WHEN new.status != 'in_progress' BEGIN
    UPDATE files SET original = 'going' WHERE file_no = new.file_no AND form = 'redacted' AND original = 'kept'
        AND NOT EXISTS (SELECT 1 FROM documents WHERE file_no = new.file_no AND status = 'in_progress');
END;
CREATE TRIGGER redacted_and_taken_out AFTER DELETE ON documents BEGIN
    UPDATE files SET original = 'going' WHERE file_no = old.file_no AND form = 'redacted' AND original = 'kept'
        AND NOT EXISTS (SELECT 1 FROM documents WHERE file_no = old.file_no AND status = 'in_progress');
END;
"""

# Text that speaks to a model instead of a reader: the first place of each kind.
_FLAGS = """
CREATE TABLE flags (
    document_no INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    kind TEXT NOT NULL,
    start_char INTEGER NOT NULL,
    end_char INTEGER NOT NULL,
    PRIMARY KEY (document_no, kind)
) WITHOUT ROWID;
CREATE INDEX flags_by_kind ON flags (kind);
"""

# Who could read what was removed, as salted hashes: they may learn that it is gone, and nobody else that it was there.
_FORMER_READERS = """
ALTER TABLE erasures ADD COLUMN readers TEXT NOT NULL DEFAULT '[]'; -- a JSON list
"""

# How a store is searched; a graph is in no file, so the choice is all there is of it here.
_INDEX = """
ALTER TABLE stores ADD COLUMN vector_index TEXT NOT NULL DEFAULT 'exact' CHECK (vector_index IN ('exact', 'hnsw'));
"""

# Readers are looked up by name, and what was found is kept while this counts the same; see retrieval/lists.py. A file
# that no store holds has no document yet, and documents that come later are looked at in any case.
_COUNTED = """
    WHEN EXISTS (SELECT 1 FROM documents WHERE file_no = {row}.file_no) BEGIN
    INSERT INTO meta (key, value) VALUES ('changes_of_lists', '1')
        ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1;
END;
"""
_READERS_BY_NAME = f"""
CREATE INDEX file_access_by_name ON file_access (name, mode, file_no);
CREATE INDEX files_with_lists_of_owner ON files (owner, file_no) WHERE has_access;
CREATE TRIGGER limits_changed AFTER UPDATE OF has_access, expires_at, owner ON files {_COUNTED.format(row="new")}
CREATE TRIGGER reader_added AFTER INSERT ON file_access {_COUNTED.format(row="new")}
CREATE TRIGGER reader_removed AFTER DELETE ON file_access {_COUNTED.format(row="old")}
CREATE TRIGGER reader_changed AFTER UPDATE ON file_access {_COUNTED.format(row="new")}
"""

# Since which generation searches find a document; 0: since before this was noted. For searches as of an older one.
_COMPLETED_IN = """
ALTER TABLE documents ADD COLUMN completed_in INTEGER NOT NULL DEFAULT 0;
"""

# Owners take turns: whose job ran longest ago is next. There is a row for each who has open jobs, and no other.
_TURNS = """
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''; -- the principal who asked for it
UPDATE jobs SET owner = (
    SELECT files.owner FROM documents JOIN files USING (file_no) WHERE documents.document_no = jobs.document_no);
CREATE INDEX jobs_open_of_owner ON jobs (owner, job_no) WHERE status IN ('queued', 'running');
CREATE TABLE turns (owner TEXT PRIMARY KEY, turn INTEGER NOT NULL) WITHOUT ROWID;
"""

# Who could read each store that held it: they may learn from its certificate that this one did.
_FORMER_READERS_OF_STORES = """
ALTER TABLE erasures ADD COLUMN store_readers TEXT NOT NULL DEFAULT '[]'; -- a JSON list of lists
"""

# What was removed, masked, until it was looked for: all of it, where `runs` had a share of the runs of a long text.
# In `runs` there is something only of removals that were noted before.
_REMOVED = """
ALTER TABLE erasures ADD COLUMN texts BLOB NOT NULL DEFAULT x'';
ALTER TABLE erasures ADD COLUMN vectors BLOB NOT NULL DEFAULT x'';
"""

# Who could see what was deleted, as `paging.Seen` has it; of what was deleted before, nobody knows.
_SEEN = """
ALTER TABLE departed ADD COLUMN seen TEXT NOT NULL DEFAULT '[[], []]';
"""

# Chunks that are removed, until their words are out of the lexical index; see retrieval/store/leaving.py.
_LEAVING = """
CREATE TABLE leaving (chunk_no INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL);
DROP TRIGGER chunk_removed;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO leaving (chunk_no, title, text) VALUES (old.chunk_no, old.title, old.text);
END;
"""

# Who asks for a file that is gone does not wait for what others removed.
_ERASURES_BY_FILE = """
CREATE INDEX erasures_of_file ON erasures (file_id);
"""

# A store that was removed is there for nobody, and goes when all that it held is out; see retrieval/clearing.py.
_REMOVED_STORES = """
ALTER TABLE stores ADD COLUMN removed_by TEXT; -- the principal who removed it; NULL: nobody has
ALTER TABLE stores ADD COLUMN former_name TEXT; -- with `removed_by`: its name is free again
ALTER TABLE stores ADD COLUMN removed_at INTEGER; -- with `removed_by`
ALTER TABLE stores ADD COLUMN removed_in INTEGER; -- with `removed_by`: the generation that took it away
CREATE INDEX stores_removed ON stores (store_no) WHERE removed_by IS NOT NULL;
-- 1: it has expired, and no search that was made before brings it back, since it is being emptied.
ALTER TABLE stores ADD COLUMN has_expired INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stores_expired ON stores (store_no) WHERE has_expired;
"""

MIGRATIONS = (
    _FIRST,
    _FILES,
    _PLACES,
    _ERASURES,
    _DEPARTED,
    _NEXT_VECTORS,
    _PERSONAL_DATA,
    _FLAGS,
    _FORMER_READERS,
    _INDEX,
    _READERS_BY_NAME,
    _COMPLETED_IN,
    _TURNS,
    _FORMER_READERS_OF_STORES,
    _REMOVED,
    _SEEN,
    _LEAVING,
    _ERASURES_BY_FILE,
    _REMOVED_STORES,
)


def refuse_newer(path: Path, *, found: int, known: int) -> None:
    """Raise SchemaTooNew where the file's version is above the one that this software knows."""
    if found > known:
        raise SchemaTooNew(path, found, known)
