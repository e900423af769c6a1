"""The settings for bearer JWTs of an OpenID Connect provider; server/provider.py makes something of them."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from server.settings_reading import spelled

_ALGORITHM = "(RS|PS|ES)(256|384|512)|EdDSA"
_ROLE = "admin|ingest|ask|metrics"
_CLAIM = r"^\S+$"
_NO_SPACES = spelled("the name of a claim, without spaces")


class TokenSettings(BaseSettings):
    """Immutable."""

    oidc_issuer: str | None = Field(
        default=None,
        min_length=1,
        description="Issuer (`iss`) of the bearer JWTs that are accepted beside keys; without it, none are.",
    )
    oidc_audience: str | None = Field(
        default=None, min_length=1, description="Audience (`aud`) that tokens must be for; mandatory with an issuer."
    )
    oidc_algorithms: str = Field(
        default="RS256,ES256",
        pattern=rf"^({_ALGORITHM})(,({_ALGORITHM}))*$",
        json_schema_extra=spelled(
            "one or more of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA, with commas"
            " between them; never HS*, whose key is a secret that both sides know"
        ),
        description="Algorithms that tokens may be signed with, separated by commas; of public keys only.",
    )
    oidc_jwks_file: Path | None = Field(
        default=None, description="File with the provider's public keys (JWKS); a new version counts at once."
    )
    oidc_jwks_url: str | None = Field(
        default=None,
        pattern=r"^https://[^\s#]+$",
        json_schema_extra=spelled(
            "an https address, as https://id.example.org/jwks.json, since keys could be forged otherwise"
        ),
        description="Where the provider's public keys are fetched from instead; no other address is asked for them.",
    )
    oidc_ca_file: Path | None = Field(
        default=None, description="Certificates to trust for that address, in PEM, instead of the system's."
    )
    oidc_refresh_seconds: int = Field(
        default=60, ge=1, le=86_400, description="The least time between two requests for the provider's keys."
    )
    oidc_principal_claim: str = Field(
        default="sub",
        pattern=_CLAIM,
        json_schema_extra=_NO_SPACES,
        description="Claim that names the person: x becomes `user:x`. With dots it leads into objects.",
    )
    oidc_groups_claim: str = Field(
        default="groups",
        pattern=_CLAIM,
        json_schema_extra=_NO_SPACES,
        description="Claim that lists the person's groups: x becomes `group:x`.",
    )
    oidc_roles_claim: str | None = Field(
        default=None,
        pattern=_CLAIM,
        json_schema_extra=_NO_SPACES,
        description="Claim that lists the person's roles (admin, ingest, ask, metrics; others are passed over).",
    )
    oidc_roles: str = Field(
        default="ask",
        pattern=rf"^({_ROLE})(,({_ROLE}))*$",
        json_schema_extra=spelled("one or more of admin, ingest, ask and metrics, with commas between them"),
        description="Roles of everybody with a token where no claim lists them.",
    )
    oidc_max_life_seconds: int | None = Field(
        default=None,
        ge=60,
        description="The longest time from a token's making (`iat`) to its end: what is good longer, or does not say,"
        " is refused. Without it, any.",
    )
    oidc_leeway_seconds: int = Field(
        default=30, ge=0, le=300, description="How far the provider's clock and this one may differ."
    )
