"""What the store remembers of its own changes, for indexes that are to be caught up: no more than they can ask for.

An index that is further behind finds no stamp of its generation, and is made anew from the store.
"""

from retrieval.store.database import Database, Transaction

# A server's index is seconds behind. A folder of a hundred thousand files can be read meanwhile without one.
KEPT = 100_000
# Generations in one transaction: a store that was never cleared has millions, and nobody is to wait for all of them.
TOGETHER = 5_000


def forget_oldest(database: Database, kept: int = KEPT) -> None:
    """Drop some of the generations that are kept no longer, with what they removed. Blocks.

    Not of chunks whose words are still in the lexical index: they are told from stored ones by having been removed.
    """
    with database.read() as tx:
        if _last_to_go(tx, kept) is None:
            return
    with database.write() as tx:
        last = _last_to_go(tx, kept)
        tx.run(
            "DELETE FROM removals WHERE generation <= ? AND NOT EXISTS"
            " (SELECT 1 FROM leaving WHERE leaving.chunk_no = removals.chunk_no)",
            last,
        )
        tx.run("DELETE FROM generations WHERE generation <= ?", last)


def _last_to_go(tx: Transaction, kept: int) -> int | None:
    # One query for each end, or SQLite reads all rows for both.
    oldest, newest = tx.rows(
        "SELECT (SELECT min(generation) FROM generations), (SELECT max(generation) FROM generations)"
    )[0]
    return None if oldest is None or newest - oldest < kept else min(oldest + TOGETHER - 1, newest - kept)
