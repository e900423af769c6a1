"""What documents are called that were found on disk: by a name under which their content is there."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from retrieval.kinds import title_of
from retrieval.store import contents
from retrieval.store.contents import StoredChunk
from retrieval.store.database import Transaction
from retrieval.store.meta import advance


def keep_true(tx: Transaction, document_no: int, is_there: Callable[[str], bool] = lambda source: True) -> None:
    """Give a document the name of a source that holds it, or is being read, if none of the name it has does any more.

    Files that were uploaded by themselves keep the name they came with.

    Args:
        is_there: says of a source whether it is still to be found.
    """
    file_no, filename, is_upload = tx.rows(
        "SELECT file_no, filename, is_upload FROM documents JOIN files USING (file_no) WHERE document_no = ?",
        document_no,
    )[0]
    name = filename if is_upload else _true_name(tx, document_no, filename, is_there)
    if name == filename:
        return
    tx.run("UPDATE files SET filename = ? WHERE file_no = ?", name, file_no)
    before, after = title_of(Path(filename)), title_of(Path(name))
    titled = tx.rows(
        # What was redacted may have lost a name that the file's still has.
        "SELECT document_no, text FROM documents WHERE file_no = ? AND title = ? AND personal_data != 'redact'",
        file_no,
        before,
    )
    for number, text in titled:
        if before not in text.splitlines():  # otherwise a heading says so
            _title(tx, number, before, after)


def _true_name(tx: Transaction, document_no: int, filename: str, is_there: Callable[[str], bool]) -> str:
    """The document's name if it is true, else the first that is, else the one it has."""
    first = filename
    # Looked at one by one: thousands of files may be equal, and as a rule one of the first has the name.
    sources = chain(
        tx.each("SELECT source FROM sources WHERE document_no = ? ORDER BY store_no, source", document_no),
        tx.each("SELECT source FROM jobs WHERE document_no = ? AND status IN ('queued', 'running')", document_no),
    )
    for (source,) in sources:
        name = Path(source).name
        if (name == filename or first == filename) and is_there(source):
            if name == filename:
                return filename
            first = name
    return first


def _title(tx: Transaction, document_no: int, before: str, after: str) -> None:
    # As new chunks, since whoever has read a chunk takes it to stay as it is; their vectors are the old ones, in which
    # such a title weighs little.
    generation = advance(tx)
    tx.run("UPDATE documents SET title = ? WHERE document_no = ?", after, document_no)
    chunks = [
        StoredChunk(start, end, after + title.removeprefix(before), *rest)
        for start, end, title, *rest in tx.rows(
            "SELECT start_char, end_char, title, text, vector, page, locator"
            " FROM chunks JOIN vectors USING (chunk_no) WHERE document_no = ? ORDER BY chunk_no",
            document_no,
        )
    ]
    contents.announce_removal(tx, document_no, generation)
    tx.run("DELETE FROM chunks WHERE document_no = ?", document_no)
    contents.put_chunks(tx, document_no, chunks)
