"""Whether a store is sound: nothing in it contradicts anything else."""

from pathlib import Path

from retrieval.store import leaving
from retrieval.store.database import Database


def problems(data_dir: Path) -> list[str]:
    """What SQLite, the lexical index or our own rules find wrong with a store."""
    database = Database(data_dir / "store.db")
    found: list[str] = []
    leaving.take_out(database)  # as the next purge does
    with database.write() as tx:
        tx.run("INSERT INTO chunk_words (chunk_words, rank) VALUES ('integrity-check', 1)")  # raises where wrong
        found += [str(row) for row in tx.rows("PRAGMA integrity_check") if row != ("ok",)]
        found += [f"foreign key: {row}" for row in tx.rows("PRAGMA foreign_key_check")]
        found += [
            f"{filename} is {status} with {chunks} chunks and {vectors} vectors"
            for filename, status, chunks, vectors in tx.rows(
                "SELECT filename, status, count(chunks.chunk_no), count(vectors.chunk_no)"
                " FROM documents JOIN files USING (file_no)"
                " LEFT JOIN chunks USING (document_no) LEFT JOIN vectors USING (chunk_no) GROUP BY document_no"
            )
            if chunks != vectors or (chunks > 0) != (status == "completed")
        ]
        found += [
            f"{filename} waits without a job"
            for (filename,) in tx.rows(
                "SELECT filename FROM documents JOIN files USING (file_no)"
                " WHERE status = 'in_progress' AND NOT EXISTS (SELECT 1 FROM jobs"
                " WHERE jobs.document_no = documents.document_no AND jobs.status IN ('queued', 'running'))"
            )
        ]
        known = {row[0] for row in tx.rows("SELECT file_id FROM files")}
    kept = {path.name for path in (data_dir / "files").iterdir() if not path.name.startswith(".")}
    found += [f"{name}: in the store or the folder alone" for name in known ^ kept]
    database.close()
    return found
