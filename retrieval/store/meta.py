"""What the store says about itself: its generation, and whose vectors it holds."""

from secrets import token_hex

from retrieval.errors import EmbedderMismatch
from retrieval.store.database import Transaction

BEFORE_ANYTHING = (0, "")


def generation(tx: Transaction) -> tuple[int, str]:
    """The newest generation and its stamp; (0, "") before the first change."""
    found = tx.row("SELECT generation, stamp FROM generations ORDER BY generation DESC LIMIT 1")
    return BEFORE_ANYTHING if found is None else (found[0], found[1])


def stamp_of(tx: Transaction, number: int) -> str | None:
    """The stamp of one generation; None: the store has never had it."""
    if number == 0:
        return BEFORE_ANYTHING[1]
    found = tx.row("SELECT stamp FROM generations WHERE generation = ?", number)
    return None if found is None else str(found[0])


def advance(tx: Transaction) -> int:
    """Open the next generation, in the transaction that makes the change."""
    return tx.insert("INSERT INTO generations (stamp) VALUES (?)", token_hex(8))


def revoke(tx: Transaction) -> int:
    """Open the next generation, for a change that takes something away from somebody."""
    number = advance(tx)
    tx.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('revoked', ?)", str(number))
    return number


def revoked(tx: Transaction) -> int:
    """The last generation that took something away; 0 before the first."""
    found = tx.row("SELECT value FROM meta WHERE key = 'revoked'")
    return 0 if found is None else int(found[0])


def restart(tx: Transaction) -> None:
    """Begin another history: whatever was derived from the store so far is of no use any more."""
    tx.run("UPDATE generations SET stamp = ? || generation", token_hex(4))
    advance(tx)


def embedder(tx: Transaction) -> str:
    """Whose vectors the store holds; empty before the first opening."""
    found = tx.row("SELECT value FROM meta WHERE key = 'embedder'")
    return "" if found is None else str(found[0])


def claim_embedder(tx: Transaction, fingerprint: str) -> None:
    """Record whose vectors the store holds, or make sure that they are of the same embedder.

    Raises:
        EmbedderMismatch: the store was built with another one.
    """
    tx.run("INSERT INTO meta (key, value) VALUES ('embedder', ?) ON CONFLICT DO NOTHING", fingerprint)
    (stored,) = tx.rows("SELECT value FROM meta WHERE key = 'embedder'")[0]
    if stored != fingerprint:
        raise EmbedderMismatch(stored, fingerprint)
