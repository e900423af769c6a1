"""Slugs of stores, as addresses have them: made of names, and telling nothing of stores that somebody may not see."""

import re
from secrets import token_hex
from unicodedata import normalize

from retrieval.store.database import Transaction
from retrieval.store.stores import exists
from retrieval.types import Reader


def free_slug(tx: Transaction, name: str | None, reader: Reader) -> str:
    """A slug made of a name, that no store has yet.

    It is the plain name only for a reader who sees all stores, and who may be told which names are taken: for all
    others something random is always added, as adding it where it is needed would tell of stores that they may not see.
    """
    plain = normalize("NFKD", name or "").encode("ascii", "ignore").decode().casefold()
    base = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:50].replace("vs_", "vs-") or "store"
    sees_all = all(one.is_admin and one.stores is None for one in reader.each())
    slug = base if sees_all and base != "none" else None
    while slug is None or exists(tx, slug):
        slug = f"{base}-{token_hex(4)}"
    return slug
