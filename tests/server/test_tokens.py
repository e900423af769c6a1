"""Bearer JWTs: what a sound one makes of its holder, and every way of forging one."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from time import time
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from server.identity import Caller, Unauthenticated
from server.jwks import PublicKey, read_keys
from server.tokens import BearerTokens, TokenRules
from tests.identity_provider import AUDIENCE, ISSUER, Provider, claims_for

pytestmark = pytest.mark.anyio

PROVIDER = Provider()
FAR = 10_000


class Fixed:
    """Keys that never change; remembers which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        self.asked.append(kid)
        return read_keys(PROVIDER.jwks()).find(kid, algorithm)

    def warnings(self) -> list[str]:
        return []


def checking(**rules: Any) -> BearerTokens:
    algorithms = frozenset({"RS256", "ES256"})
    return BearerTokens(
        TokenRules(**({"issuer": ISSUER, "audience": AUDIENCE, "algorithms": algorithms} | rules)), Fixed()
    )


async def refused(token: str, tokens: BearerTokens | None = None) -> str:
    """The words that a forger is told."""
    with pytest.raises(Unauthenticated) as refusal:
        await (tokens or checking())(token)
    assert refusal.value.__cause__ is None
    return str(refusal.value)


def spelled(header: dict[str, Any], claims: object, signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_a_sound_token_names_its_holder_with_groups_and_roles() -> None:
    caller = await checking()(PROVIDER.token("anna", "claims", "staff"))

    assert caller == Caller("user:anna", frozenset({"group:claims", "group:staff"}), frozenset({"ask"}))


async def test_every_algorithm_that_is_allowed_is_understood() -> None:
    token = jwt.encode(claims_for("anna"), PROVIDER.ec, algorithm="ES256", headers={"kid": "ec-1"})

    assert (await checking()(token)).principal == "user:anna"
    await refused(token, checking(algorithms=frozenset({"RS256"})))


async def test_claims_may_have_other_names_and_lie_deeper() -> None:
    claims: dict[str, Any] = {
        "preferred_username": "anna",
        "realm_access": {"roles": ["ask", "ingest", "act-for", "offline_access"]},
        "https://example.org/groups": ["claims", "two words", 7, ""],
    }
    token = PROVIDER.token("f3a1", **claims)
    tokens = checking(
        principal_claim="preferred_username",
        groups_claim="https://example.org/groups",
        roles_claim="realm_access.roles",
    )

    caller = await tokens(token)

    assert caller.principal == "user:anna"
    assert caller.groups == {"group:claims"}
    assert caller.roles == {"ask", "ingest"}, "and not act-for, which only keys have"


async def test_without_its_claim_a_token_has_no_group_and_no_role() -> None:
    caller = await checking(roles_claim="resource_access.hrm.roles")(PROVIDER.token("anna", groups=None))

    assert (caller.groups, caller.roles) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"exp": int(time()) - FAR},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e999},
        {"nbf": int(time()) + FAR},
        {"iat": int(time()) + FAR},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "two words"},
        {"sub": "new\nline"},
        {"sub": "x" * 257},
    ],
)
async def test_a_token_that_says_something_else_is_refused_without_a_reason(claims: dict[str, Any]) -> None:
    # PyJWT does not sign every nonsense; a provider that has gone mad would.
    signing = jwt.PyJWS()
    payload = json.dumps({k: v for k, v in (claims_for("anna") | claims).items() if v is not None}).encode()
    token = signing.encode(payload, PROVIDER.rsa, algorithm="RS256", headers={"kid": PROVIDER.kid})

    assert await refused(token) == ""


@pytest.mark.parametrize("name", ["local", "LOCAL", "Local", "ｌｏｃａｌ", "loca\u2113", "admin", "Admin"])
async def test_no_account_takes_a_name_that_the_server_gives_by_itself(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.tokens")

    assert await refused(PROVIDER.token(name)) == ""
    assert "a name that this server keeps for itself" in caplog.text
    named = PROVIDER.token("f3a1", preferred_username=name)
    await refused(named, checking(principal_claim="preferred_username"))


@pytest.mark.parametrize("name", ["locale", "local@example.org", "administrator", "local.admin"])
async def test_a_name_that_only_resembles_those_is_anybodys(name: str) -> None:
    assert (await checking()(PROVIDER.token(name))).principal == f"user:{name}"


async def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    now = int(time())

    assert (await checking()(PROVIDER.token("anna", exp=now - 10, iat=now + 20, nbf=now + 20))).principal == "user:anna"
    await refused(PROVIDER.token("anna", exp=now - 60))
    await refused(PROVIDER.token("anna", exp=now - 10), checking(leeway_s=0))


async def test_a_token_that_is_good_for_too_long_is_refused_where_that_is_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "server.tokens")
    now, hour = int(time()), checking(max_life_s=3600)

    assert (await hour(PROVIDER.token("anna", iat=now, exp=now + 3600))).principal == "user:anna"
    await refused(PROVIDER.token("anna", iat=now, exp=now + 3601), hour)
    assert "longer than HRM_OIDC_MAX_LIFE_SECONDS" in caplog.text
    unsaid = {name: value for name, value in claims_for("anna").items() if name != "iat"}
    token = jwt.encode(unsaid, PROVIDER.rsa, algorithm="RS256", headers={"kid": PROVIDER.kid})
    await refused(token, hour)
    assert (await checking()(token)).principal == "user:anna"


async def test_a_public_key_is_no_secret_to_sign_with() -> None:
    public = PROVIDER.rsa.public_key()
    for shape in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        PROVIDER.jwks(),
    ):
        unsigned = spelled({"alg": "HS256", "typ": "JWT", "kid": PROVIDER.kid}, claims_for("root")).rpartition(".")[0]
        signature = hmac.new(shape, unsigned.encode(), hashlib.sha256).digest()
        await refused(f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", None, 0, [], {}, "RS256"])
async def test_a_token_without_a_signature_is_refused_whatever_it_calls_it(algorithm: object) -> None:
    await refused(spelled({"alg": algorithm, "kid": PROVIDER.kid}, claims_for("root")))


@pytest.mark.parametrize("algorithms", [{"none"}, {"HS256"}, {"RS256", "HS256"}, set()])
def test_no_setting_allows_algorithms_without_public_keys(algorithms: set[str]) -> None:
    with pytest.raises(ValueError, match="one or more of RS256"):
        checking(algorithms=frozenset(algorithms))


async def test_a_key_that_a_token_brings_along_is_not_looked_at() -> None:
    mine = generate_private_key(65537, 2048)
    brought = jwt.algorithms.RSAAlgorithm.to_jwk(mine.public_key(), as_dict=True)
    for header in (
        {"jwk": brought},
        {"jku": "https://evil.example.org/jwks"},
        {"x5u": "https://evil.example.org/cert"},
        {"x5c": ["AAAA"]},
        {"kid": "evil", "jku": "https://evil.example.org/jwks"},
    ):
        given: dict[str, Any] = {"kid": PROVIDER.kid, **header}
        await refused(jwt.encode(claims_for("root"), mine, algorithm="RS256", headers=given))
        # Beside a sound signature they change nothing either.
        if given["kid"] == PROVIDER.kid:
            assert (await checking()(PROVIDER.token("anna", headers=header))).principal == "user:anna"


@pytest.mark.parametrize(
    "kid", ["", "../../etc/passwd", "/dev/null", "' OR 1=1 --", "http://evil/", "rsa-1\0", "ec-1", "x" * 4000]
)
async def test_the_name_of_a_key_is_looked_up_and_nothing_else(kid: str) -> None:
    await refused(PROVIDER.token("root", headers={"kid": kid}))


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": True}, {"b64": False}])
async def test_a_header_that_must_be_understood_and_is_not_refuses_the_token(header: dict[str, Any]) -> None:
    await refused(spelled({"alg": "RS256", "kid": PROVIDER.kid, **header}, claims_for("root"), b"x"))


async def test_a_token_that_is_changed_in_any_character_is_refused() -> None:
    token = PROVIDER.token("anna")
    tokens = checking()

    for at in range(0, len(token), 7):
        # The last character of a part may hold bits that count for nothing; the one before does not.
        if token[at] != "." and token[at + 1 : at + 2] not in ("", "."):
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            await refused(changed, tokens)


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode()))
@settings(max_examples=150, deadline=None)
def test_nonsense_is_refused_and_never_an_error(text: str) -> None:
    for token in (text, f"{text}.{text}.{text}", f"e30.{text}.", f"eyJhbGciOiJSUzI1NiJ9.{text}.{text}"):
        anyio.run(refused, token)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "groups", "jti"])


@given(claims=st.dictionaries(names, json_values, max_size=4), header=st.dictionaries(st.just("kid"), json_values))
@settings(max_examples=60, deadline=None)
def test_signed_nonsense_is_judged_and_never_an_error(claims: dict[str, Any], header: dict[str, Any]) -> None:
    payload = json.dumps(claims_for("anna") | claims).encode()
    token = jwt.PyJWS().encode(payload, PROVIDER.rsa, algorithm="RS256", headers={"kid": PROVIDER.kid})
    _, _, rest = token.partition(".")
    forged = spelled({"alg": "RS256", **header}, 0).partition(".")[0]

    async def judge() -> None:
        try:
            caller = await checking()(token)
        except Unauthenticated:
            return
        assert caller.principal == f"user:{claims.get('sub', 'anna')}"
        assert caller.roles == {"ask"}

    anyio.run(judge)
    anyio.run(refused, f"{forged}.{rest}")


async def test_a_token_beyond_every_measure_is_refused_before_it_is_read() -> None:
    await refused("e30." + "A" * 20_000 + ".")
    await refused(spelled({"alg": "RS256"}, 0).replace(".", "." + base64.b64encode(b"[" * 9_000).decode(), 1))
    keys = Fixed()
    await refused("x" * 100, BearerTokens(TokenRules(ISSUER, AUDIENCE, frozenset({"RS256"})), keys))
    assert keys.asked == []


async def test_a_token_without_a_key_name_is_judged_where_only_one_key_suits(tmp_path: Path) -> None:
    token = jwt.encode(claims_for("anna"), PROVIDER.ec, algorithm="ES256")
    assert (await checking()(token)).principal == "user:anna"
