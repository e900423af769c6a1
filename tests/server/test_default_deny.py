"""Every route of the application: what it answers to whom, found by walking all there are."""

from dataclasses import replace

import httpx
import pytest

from server.app import create_app
from server.identity import Caller, Role, Unauthenticated
from tests.fakes.serving import services
from tests.server.every_route import calls

pytestmark = pytest.mark.anyio

OPEN = {"GET /livez", "GET /readyz"}
# For every caller, whatever its roles: these tell nobody more than that caller may know.
FOR_CALLERS = {"GET /v1/models", "GET /v1/models/{model:path}", "GET /v1/erasures", "GET /v1/erasures/{erasure_id}"}
FOR_CALLERS |= {"GET /openapi.json"}
FOR_METRICS = {"GET /metrics"}
ROLES: dict[str, Role] = {
    "ask": "ask",
    "ingest": "ingest",
    "metrics": "metrics",
    "act-for": "act-for",
    "admin": "admin",
}


async def by_role(authorization_header: str | None, on_behalf_of: str | None = None) -> Caller:
    """Know a caller by the one role that its key is named for."""
    role = (authorization_header or "").removeprefix("Bearer ")
    if role not in ROLES:
        raise Unauthenticated
    return Caller("user:x", roles=frozenset({ROLES[role]}))


def client(key: str | None) -> httpx.AsyncClient:
    app = create_app(replace(services(), authenticate=by_role))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)


async def statuses(key: str | None) -> dict[str, int]:
    async with client(key) as asking:
        return {name: (await asking.request(method, path)).status_code for name, method, path in calls()}


@pytest.mark.parametrize("key", [None, "forged"])
async def test_without_a_credential_only_the_probes_answer(key: str | None) -> None:
    found = await statuses(key)

    assert len(found) > 30
    assert {name for name, status in found.items() if status != 401} == OPEN
    assert {found[name] for name in OPEN} == {200}


async def test_a_role_opens_its_own_routes_and_no_others() -> None:
    opened = {
        role: {name for name, status in (await statuses(role)).items() if status != 403} - OPEN - FOR_CALLERS
        for role in ROLES
    }

    everything = {name for name, _, _ in calls()} - OPEN - FOR_CALLERS
    assert opened["admin"] == everything
    assert opened["metrics"] == FOR_METRICS
    assert opened["act-for"] == set()
    assert opened["ask"] | opened["ingest"] == everything - FOR_METRICS
    assert {name for name in opened["ask"] - opened["ingest"] if not name.endswith(("/search", "/content"))} == {
        "POST /v1/chat/completions",
        "POST /v1/completions",
        "POST /v1/embeddings",
    }
    assert all(name.startswith(("POST", "DELETE")) for name in opened["ingest"] - opened["ask"])


async def test_methods_and_paths_that_there_are_not_tell_strangers_nothing() -> None:
    async with client(None) as stranger:
        for method, path in (("OPTIONS", "/v1/models"), ("TRACE", "/v1/files"), ("GET", "/docs"), ("GET", "/admin")):
            answer = await stranger.request(method, path)
            assert answer.status_code in (404, 405)
            assert set(answer.json()) == {"error"}


async def test_a_parameter_that_a_route_does_not_read_is_a_400_that_names_it() -> None:
    async with client("admin") as asking:
        for name, method, path in calls():
            if name in OPEN:
                continue
            answer = await asking.request(method, path, params={"tempurature": "0"})
            assert answer.status_code == 400, name
            assert answer.json()["error"] == {
                "message": "Unknown parameter: 'tempurature'.",
                "type": "invalid_request_error",
                "param": "tempurature",
                "code": "unknown_parameter",
            }
