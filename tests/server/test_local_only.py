"""A server without keys is for people at its machine, not for the web pages that they visit."""

import httpx
import pytest
from fastapi import FastAPI

from server.local_only import LocalOnly

pytestmark = pytest.mark.anyio


async def ask(*, is_open: bool, **headers: str) -> httpx.Response:
    app = FastAPI()

    @app.get("/v1/models")
    async def models() -> str:
        return "models"

    transport = httpx.ASGITransport(app=LocalOnly(app, is_open=lambda: is_open))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        return await client.get("/v1/models", headers=headers)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
async def test_local_names_are_let_in(host: str) -> None:
    assert (await ask(is_open=True, host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:8000", "10.0.0.1", "", "[", "127.0.0.1.nip.example", "localhost:evil"],
)
async def test_a_foreign_name_that_resolves_to_this_machine_is_turned_away(host: str) -> None:
    response = await ask(is_open=True, host=host)

    assert response.status_code == 403
    assert response.json()["error"]["code"] == "local_only"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
async def test_a_foreign_page_is_turned_away(origin: str) -> None:
    assert (await ask(is_open=True, origin=origin)).status_code == 403


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
async def test_what_a_proxy_passes_on_is_turned_away(header: str) -> None:
    assert (await ask(is_open=True, **{header: "203.0.113.9"})).status_code == 403


async def test_a_local_page_is_let_in() -> None:
    assert (await ask(is_open=True, origin="http://localhost:3000")).status_code == 200


async def test_with_keys_the_keys_decide() -> None:
    assert (await ask(is_open=False, host="ask.example.org", origin="https://app.example.org")).status_code == 200
