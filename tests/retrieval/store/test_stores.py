"""retrieval.store.stores: whose stores they are."""

from pathlib import Path

import pytest

from retrieval.store import stores
from retrieval.store.database import Database
from retrieval.types import Reader


def test_a_reader_without_a_user_name_cannot_own_a_store(tmp_path: Path) -> None:
    group = Reader(frozenset({"group:claims"}), is_admin=True)

    with pytest.raises(ValueError, match="cannot own"), Database(tmp_path / "store.db").write() as tx:
        stores.create(tx, "shop", group, None)
