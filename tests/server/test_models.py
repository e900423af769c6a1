"""GET /v1/models: what each caller may ask."""

from pathlib import Path

import pytest

from server.schemas.objects import Model, ModelList
from tests.fakes.serving import CLAIMS, HANDBOOK, MODEL, client_of, services, stock, stocked

pytestmark = pytest.mark.anyio


async def test_the_list_has_the_plain_id_first_and_an_alias_for_each_readable_store(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    await stock(shelf, tmp_path, {"x.txt": CLAIMS}, store="secret", read="user:root")

    async with client_of(services(shelf=shelf)) as client:
        mine = (await client.get("/v1/models")).json()
    async with client_of(services(shelf=shelf), "sk-admin") as client:
        all_of_them = (await client.get("/v1/models")).json()

    ModelList.model_validate(mine)
    assert [model["id"] for model in mine["data"]] == [MODEL, f"{MODEL}@none", f"{MODEL}@handbook"]
    assert [model["id"] for model in all_of_them["data"]][-1] == f"{MODEL}@secret"


@pytest.mark.parametrize("name", [MODEL, f"{MODEL}@none", f"{MODEL}@handbook"])
async def test_each_id_of_the_list_can_be_retrieved(tmp_path: Path, name: str) -> None:
    async with client_of(services(shelf=await stocked(tmp_path, HANDBOOK))) as client:
        response = await client.get(f"/v1/models/{name}")

    Model.model_validate(response.json())
    assert response.json()["id"] == name
    assert response.json()["max_model_len"] == 4096


async def test_an_alias_of_a_forbidden_store_does_not_exist(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    async with client_of(services(shelf=shelf)) as client:
        absent = await client.get(f"/v1/models/{MODEL}@secret")
        await stock(shelf, tmp_path, {"x.txt": CLAIMS}, store="secret", read="user:root")
        forbidden = await client.get(f"/v1/models/{MODEL}@secret")
        unknown = await client.get("/v1/models/org/other")

    assert (absent.status_code, absent.json()) == (forbidden.status_code, forbidden.json())
    assert absent.json()["error"]["code"] == unknown.json()["error"]["code"] == "model_not_found"


async def test_models_are_for_callers_with_a_key() -> None:
    async with client_of(services(), key=None) as client:
        assert (await client.get("/v1/models")).status_code == 401
