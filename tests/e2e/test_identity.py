"""Keys and tokens before a real server: started with a provider, its keys turned and a key rotated while it runs."""

from pathlib import Path

import httpx

from server.jwks import NOT_TAKEN
from tests.e2e.served import serving, write_checkpoint
from tests.identity_provider import AUDIENCE, ISSUER, Provider


def test_tokens_and_rotated_keys_count_from_the_next_request_on(tmp_path: Path) -> None:
    provider = Provider()
    jwks = provider.publish(tmp_path / "jwks.json")
    flags = ["--oidc-issuer", ISSUER, "--oidc-audience", AUDIENCE, "--oidc-jwks-file", str(jwks)]
    with serving(tmp_path, write_checkpoint(tmp_path / "hrm-tiny"), flags) as served:

        def status(credential: str | None, person: str | None = None) -> int:
            headers = {"Authorization": f"Bearer {credential}"} if credential else {}
            if person is not None:
                headers["X-On-Behalf-Of"] = f"Bearer {person}"
            return httpx.get(f"{served.url}/v1/vector_stores", headers=headers, timeout=30).status_code

        assert status(None) == 401, "a provider is a credential to have, also while there is no key"
        first = provider.token("anna")
        assert status(first) == 200
        provider.turn("rsa-2")
        second = provider.token("anna")
        assert status(second) == 401
        provider.publish(jwks)
        assert (status(first), status(second)) == (401, 200)
        jwks.write_text('{"keys": []}')
        ready = httpx.get(f"{served.url}/readyz").json()
        assert (ready["status"], ready["warnings"], status(second)) == ("ok", [NOT_TAKEN], 200)
        provider.publish(jwks)
        assert httpx.get(f"{served.url}/readyz").json()["warnings"] == []

        made = served.command("keys", "create", "--principal", "user:portal", "--role", "ask", "--role", "act-for")
        old = made.stdout.strip()
        key_id = served.command("keys", "list").stdout.split("\t")[0]
        assert (status(old), status(old, second), status(old, first), status(second, second)) == (200, 200, 401, 403)
        new = served.command("keys", "rotate", key_id, "--overlap", "1h").stdout.strip()
        assert (status(old, second), status(new, second)) == (200, 200)
        served.command("keys", "rotate", key_id, "--overlap", "0")
        assert (status(old, second), status(new, second)) == (401, 401)
