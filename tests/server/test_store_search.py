"""POST /v1/vector_stores/{store}/search: which passages it leaves out."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.schemas.store_files import AttributesChange
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


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**53 + 2, 1e300])
async def test_a_number_that_would_be_compared_as_another_one_is_refused(tmp_path: Path, number: float) -> None:
    filters = {"type": "eq", "key": "n", "value": number}

    async with client_of(services(shelf=await stocked(tmp_path, HANDBOOK))) as client:
        asked = {"query": QUERY, "filters": filters}
        refused = await client.post("/v1/vector_stores/handbook/search", json=asked)

    assert refused.status_code == 400, refused.text
    assert "a number must lie within ±2^53" in refused.json()["error"]["message"]


def test_a_name_that_the_store_would_cut_short_is_refused() -> None:
    with pytest.raises(ValidationError, match="cannot hold a NUL"):
        AttributesChange.model_validate({"attributes": {"a\0b": "c", "a": "d"}})


def test_the_largest_number_can_be_given_to_a_file_and_no_larger_one() -> None:
    with pytest.raises(ValidationError, match="a number must lie within"):
        AttributesChange.model_validate({"attributes": {"n": 2**53 + 1}})

    assert AttributesChange.model_validate({"attributes": {"n": 2**53}}).attributes == {"n": 2**53}
