"""Words of removed chunks on their way out of the lexical index, those of a few chunks in one transaction.

The index overwrites what it drops word by word, which takes seconds for a large document, and no writer is to wait for
all of that. Searches pass over the chunks meanwhile, as they are among the `removals`. What a process that dies leaves
of them, the next purge takes out.
"""

import time

from retrieval.store.database import Database, Transaction

TOGETHER = 64
# A writer that waits looks again after at most 0.1 s (SQLite's busy handler).
PAUSE_S = 0.12
_BETWEEN_PAUSES_S = 0.25


def take_out(database: Database) -> None:
    """Take out those that are there, letting other writers in between. Blocks; what others add meanwhile is theirs."""
    with database.read() as tx:
        last = tx.rows("SELECT max(chunk_no) FROM leaving")[0][0]
    if last is None:
        return
    paused = -_BETWEEN_PAUSES_S
    while True:
        with database.write() as tx:
            if not _take_some(tx, last):
                return
        if time.monotonic() - paused >= _BETWEEN_PAUSES_S:
            time.sleep(PAUSE_S)
            paused = time.monotonic()


def forget(tx: Transaction) -> None:
    """Drop them all, where the index is made anew from the chunks there are."""
    tx.run("DELETE FROM leaving")


def _take_some(tx: Transaction, last: int) -> bool:
    """Take the first ones out, as far as the last one; say whether there are others up to it."""
    ends = tx.rows("SELECT chunk_no FROM leaving WHERE chunk_no <= ? ORDER BY chunk_no LIMIT ?", last, TOGETHER)
    if not ends:
        return False
    tx.run(
        "INSERT INTO chunk_words (chunk_words, rowid, title, text)"
        " SELECT 'delete', chunk_no, title, text FROM leaving WHERE chunk_no <= ?",
        ends[-1][0],
    )
    tx.run("DELETE FROM leaving WHERE chunk_no <= ?", ends[-1][0])
    return bool(tx.rows("SELECT 1 FROM leaving WHERE chunk_no <= ? LIMIT 1", last))
