"""Files and vector stores through the unmodified official Node client (make test-node installs it)."""

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from retrieval.embedder import MiniLM
from tests.e2e.stores import shop

pytestmark = [pytest.mark.anyio, pytest.mark.node]


async def test_the_node_client_uploads_polls_pages_searches_and_deletes(tmp_path: Path, embedder: MiniLM) -> None:
    script = Path(__file__).with_name("openai_stores.mjs")
    async with shop(tmp_path, embedder=embedder) as (url, _):
        ended = await anyio.run_process(["node", str(script), os.environ["NODE_CLIENT"], url, "sk-ines"], check=False)

    assert ended.returncode == 0, ended.stderr.decode()
    saw: dict[str, Any] = json.loads(ended.stdout)
    assert (saw["leave"], saw["polled"], saw["deleted"]) == ("completed", "completed", True)
    assert saw["batch"] == {"in_progress": 0, "completed": 1, "failed": 1, "cancelled": 0, "total": 2}
    assert saw["access"] == {"read": ["user:ben"], "write": []}
    assert saw["expires"] == 3600
    assert (saw["listed"], saw["files"], saw["counts"]["total"]) == (4, 4, 4)
    assert saw["found"] == [["leave.txt", {"year": 2024}]]
    assert saw["content"] == "Full-time staff receive 28 days of paid leave each year."
    assert saw["dims"] == [384, 384]
    assert "leave.txt" not in saw["gone"]
    assert saw["refusal"] == {"status": 404, "code": "vector_store_not_found"}
