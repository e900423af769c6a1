"""The index of a store, chosen and changed through the official client."""

from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.stores import client_of, shop

pytestmark = pytest.mark.anyio


async def test_a_store_is_searched_exactly_unless_it_asks_for_a_graph(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        plain = await client.vector_stores.create(name="plain")
        graphed = await client.vector_stores.create(name="graphed", extra_body={"index": "hnsw"})

        assert (plain.to_dict()["index"], graphed.to_dict()["index"]) == ("exact", "hnsw")
        assert (await client.vector_stores.retrieve(graphed.id)).to_dict()["index"] == "hnsw"


async def test_the_index_changes_when_it_is_named_and_stays_when_it_is_not(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        store = (await client.vector_stores.create(name="rules", extra_body={"index": "hnsw"})).id
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store, file=("a.txt", b"The canteen opens at noon."), poll_interval_ms=20
        )
        assert file.status == "completed", file.last_error

        renamed = await client.vector_stores.update(store, name="house rules")
        found = await client.vector_stores.search(store, query="canteen")
        changed = await client.post(f"/vector_stores/{store}", body={"index": "exact"}, cast_to=dict[str, Any])
        found_exactly = await client.vector_stores.search(store, query="canteen")

        assert (renamed.to_dict()["index"], changed["index"]) == ("hnsw", "exact")
        assert [hit.to_dict() for hit in found.data] == [hit.to_dict() for hit in found_exactly.data]
        assert len(found.data) == 1


async def test_no_other_index_is_taken(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _), client_of(url) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.vector_stores.create(name="rules", extra_body={"index": "ivf"})

        assert refused.value.param == "index"
