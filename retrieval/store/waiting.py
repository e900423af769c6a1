"""Of the erasures that are not certified yet, those that somebody asks about: however many wait, it takes no longer."""

from retrieval.erasure import Erasure
from retrieval.store import erasures
from retrieval.store.database import Transaction

PIECE = 200  # erasures in memory


def behind(tx: Transaction, mark: int) -> tuple[list[Erasure], int]:
    """Some of those that were noted behind a mark, oldest first, and the mark behind them; 0 is before all."""
    rows = tx.rows(
        "SELECT erasure_no, erasure_id FROM erasures WHERE erasure_no > ? ORDER BY erasure_no LIMIT ?", mark, PIECE
    )
    return [erasures.one(tx, row[1]) for row in rows], rows[-1][0] if rows else mark


def of_file(tx: Transaction, file_id: str) -> Erasure | None:
    """The first that removed a file for good."""
    rows = tx.rows(
        "SELECT erasure_id FROM erasures WHERE file_id = ? AND is_whole ORDER BY erasure_no LIMIT 1", file_id
    )
    return erasures.one(tx, rows[0][0]) if rows else None
