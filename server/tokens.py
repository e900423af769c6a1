"""Bearer JWTs of an OpenID Connect provider: from a token to a caller. Knows neither HTTP nor where keys come from."""

import logging
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import jwt

from server.identity import FIRST_KEY_HOLDER, ON_THIS_MACHINE, Caller, Role, Unauthenticated, is_name
from server.jwks import KeySource

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# What a token may make of a person; applications that act for others have keys, which can be revoked at once.
TOKEN_ROLES: tuple[Role, ...] = tuple(role for role in get_args(Role) if role != "act-for")
MAX_CHARS = 16_384
_RESERVED = frozenset({ON_THIS_MACHINE, FIRST_KEY_HOLDER})


class Refused(Exception):
    """Why a token is not accepted; for the log."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What makes a token acceptable, and where it names whom it is for.

    A claim is named as it is, or by a path with dots: `realm_access.roles`.
    """

    issuer: str
    audience: str
    algorithms: frozenset[str]
    principal_claim: str = "sub"
    groups_claim: str = "groups"
    roles_claim: str | None = None  # None: everybody has the default roles
    default_roles: frozenset[Role] = frozenset({"ask"})
    leeway_s: float = 30
    max_life_s: float | None = None  # from `iat` to `exp`; None: any, and `iat` may be left out


class BearerTokens:
    """Checks tokens against rules and keys."""

    def __init__(self, rules: TokenRules, keys: KeySource) -> None:
        """Raises ValueError where an algorithm is not one of public keys: `none` and HS* check nothing here."""
        if not rules.algorithms or not rules.algorithms <= set(ALGORITHMS):
            raise ValueError(f"The algorithms of tokens are one or more of {', '.join(ALGORITHMS)}.")
        self._rules, self._keys = rules, keys

    async def __call__(self, token: str) -> Caller:
        """Return whom a token is for.

        Raises:
            Unauthenticated: it is not acceptable, whatever is wrong with it.
            IdentityUnavailable: the provider's keys cannot be had at the moment.
        """
        try:
            return self._caller(await self._claims(token))
        except (jwt.PyJWTError, Refused, ValueError, OverflowError, TypeError) as error:
            log.info("a token was refused: %s", type(error).__name__ if not isinstance(error, Refused) else error)
            raise Unauthenticated from None

    def warnings(self) -> list[str]:
        """See `KeySource.warnings`."""
        return self._keys.warnings()

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_CHARS:
            raise Refused("it is too long")
        header = jwt.get_unverified_header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._rules.algorithms:
            raise Refused("its algorithm is not allowed")
        if "crit" in header or "b64" in header:
            raise Refused("its header asks for what is not understood here")
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise Refused("no key of the provider suits it")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            leeway=self._rules.leeway_s,
            options={"require": ["exp", "iss", "aud", *(() if self._rules.max_life_s is None else ("iat",))]},
        )
        if self._rules.max_life_s is not None and claims["exp"] - claims["iat"] > self._rules.max_life_s:
            raise Refused("it is good for longer than HRM_OIDC_MAX_LIFE_SECONDS")
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        rules = self._rules
        name = claim(claims, rules.principal_claim)
        if not is_name(name):
            raise Refused(f"its claim {rules.principal_claim} names nobody that an access list could know")
        principal = f"user:{name}"
        if _folded(principal) in _RESERVED:
            raise Refused(f"its claim {rules.principal_claim} is a name that this server keeps for itself: {name}")
        # A group that no list can name opens nothing, so it is left out.
        groups = frozenset(f"group:{group}" for group in texts(claims, rules.groups_claim) if is_name(group))
        roles = rules.default_roles
        if rules.roles_claim is not None:
            given = texts(claims, rules.roles_claim)
            roles = frozenset(role for role in TOKEN_ROLES if role in given)
        return Caller(principal=principal, groups=groups, roles=roles)


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """What a token says under a name, or along a path of names; None if it says nothing there."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def texts(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The texts of a list, or the one text that stands in its place."""
    found = claim(claims, path)
    return frozenset(entry for entry in (found if isinstance(found, list) else [found]) if isinstance(entry, str))


def _folded(principal: str) -> str:
    """A name as people read it: `ＬＯＣＡＬ` is `local`, whether or not a list would take the two for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", principal).casefold()).strip()
