"""POST /v1/vector_stores/{store}/search: which passages it leaves out."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.serving import HANDBOOK, client_of, services, stocked

pytestmark = pytest.mark.anyio

QUERY = "paid leave days desk"  # in both documents, better in one


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, 1),
        ({"ranking_options": {"ranker": "auto"}}, 1),
        ({"ranking_options": {"score_threshold": 0}}, 2),
        ({"ranking_options": {"score_threshold": 0.9}}, 0),
    ],
)
async def test_the_operator_says_what_scores_too_low_where_the_request_does_not(
    tmp_path: Path, asked: dict[str, Any], found: int
) -> None:
    given = services(shelf=await stocked(tmp_path, HANDBOOK), score_threshold=0.6)
    body = {"query": QUERY, **asked}

    async with client_of(given) as client:
        page = (await client.post("/v1/vector_stores/handbook/search", json=body)).json()

    assert len(page["data"]) == found, [hit["score"] for hit in page["data"]]
