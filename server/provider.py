"""From the settings of an OpenID Connect provider to what checks its tokens."""

from typing import cast

from server.identity import Role
from server.jwks import KeyAddress, KeyFile, KeySetRefused, KeySource
from server.settings_reading import SettingsError
from server.settings_tokens import TokenSettings
from server.tokens import BearerTokens, TokenRules


def bearer_tokens(settings: TokenSettings) -> BearerTokens | None:
    """What checks tokens; None where no issuer is named.

    Raises:
        SettingsError: an issuer without all that it needs, or the reverse; or the keys cannot be used.
    """
    issuer, audience = settings.oidc_issuer, settings.oidc_audience
    places = (settings.oidc_jwks_file, settings.oidc_jwks_url)
    if issuer is None and audience is None and places == (None, None):
        return None
    if issuer is None or audience is None:
        raise SettingsError("Tokens need both HRM_OIDC_ISSUER and HRM_OIDC_AUDIENCE: one of them is not set.")
    if places.count(None) != 1:
        raise SettingsError("Tokens need the provider's keys, from HRM_OIDC_JWKS_FILE or from HRM_OIDC_JWKS_URL.")
    roles = frozenset(cast(Role, role) for role in settings.oidc_roles.split(","))
    rules = TokenRules(
        issuer=issuer,
        audience=audience,
        algorithms=frozenset(settings.oidc_algorithms.split(",")),
        principal_claim=settings.oidc_principal_claim,
        groups_claim=settings.oidc_groups_claim,
        roles_claim=settings.oidc_roles_claim,
        default_roles=roles,
        max_life_s=settings.oidc_max_life_seconds,
        leeway_s=settings.oidc_leeway_seconds,
    )
    return BearerTokens(rules, _keys(settings))


def _keys(settings: TokenSettings) -> KeySource:
    if settings.oidc_jwks_file is not None:
        try:
            return KeyFile(settings.oidc_jwks_file)
        except (OSError, KeySetRefused) as error:
            raise SettingsError(f"HRM_OIDC_JWKS_FILE, {settings.oidc_jwks_file}, cannot be used: {error}.") from error
    assert settings.oidc_jwks_url is not None, "one of the two was checked to be there"
    try:
        return KeyAddress(
            settings.oidc_jwks_url, ca_file=settings.oidc_ca_file, refresh_s=settings.oidc_refresh_seconds
        )
    except OSError as error:
        raise SettingsError(f"HRM_OIDC_CA_FILE, {settings.oidc_ca_file}, cannot be used: {error}.") from error
    except ValueError as error:
        raise SettingsError(f"HRM_OIDC_JWKS_URL: {error}.") from error
