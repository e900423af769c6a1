"""The settings of a provider: all that tokens need, or none of it, said before the server starts."""

from pathlib import Path
from typing import Any

import pytest

from server.provider import bearer_tokens
from server.settings import Settings
from server.settings_reading import SettingsError
from tests.identity_provider import AUDIENCE, ISSUER, Provider

pytestmark = pytest.mark.anyio

URL = "https://127.0.0.1:1/keys"


def test_without_a_provider_there_are_no_tokens() -> None:
    assert bearer_tokens(Settings()) is None


async def test_the_settings_of_a_provider_become_its_rules(tmp_path: Path) -> None:
    provider = Provider()
    tokens = bearer_tokens(
        Settings(
            oidc_issuer=ISSUER,
            oidc_audience=AUDIENCE,
            oidc_jwks_file=provider.publish(tmp_path / "jwks.json"),
            oidc_principal_claim="who.name",
            oidc_roles="ask,metrics",
        )
    )

    assert tokens is not None
    caller = await tokens(provider.token("f3a1", "claims", who={"name": "anna"}))
    assert caller.principal == "user:anna"
    assert caller.groups == {"group:claims"}
    assert caller.roles == {"ask", "metrics"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"oidc_issuer": ISSUER, "oidc_jwks_url": URL}, "both HRM_OIDC_ISSUER and HRM_OIDC_AUDIENCE"),
        ({"oidc_audience": AUDIENCE, "oidc_jwks_url": URL}, "both HRM_OIDC_ISSUER and HRM_OIDC_AUDIENCE"),
        ({"oidc_jwks_url": URL}, "both HRM_OIDC_ISSUER and HRM_OIDC_AUDIENCE"),
        ({"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE}, "from HRM_OIDC_JWKS_FILE or from HRM_OIDC_JWKS_URL"),
        (
            {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": URL, "oidc_jwks_file": Path("x")},
            "from HRM_OIDC_JWKS_FILE or from HRM_OIDC_JWKS_URL",
        ),
        (
            {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_file": Path("absent")},
            "absent, cannot be used",
        ),
        (
            {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": URL, "oidc_ca_file": Path("absent")},
            "HRM_OIDC_CA_FILE, absent, cannot be used",
        ),
    ],
)
def test_half_a_provider_is_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        bearer_tokens(Settings(**given))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("oidc_algorithms", "none"),
        ("oidc_algorithms", "RS256,HS256"),
        ("oidc_jwks_url", "http://login.example.org/keys"),
        ("oidc_jwks_url", "file:///etc/keys"),
        ("oidc_roles", "ask,act-for"),
        ("oidc_leeway_seconds", 301),
        ("oidc_max_life_seconds", 0),
    ],
)
def test_a_setting_that_would_open_a_door_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})
