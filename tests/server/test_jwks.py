"""Where a provider's keys come from: a file that is replaced, or one https address, over real sockets and real TLS."""

import json
import os
import resource
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from typing import Any

import anyio
import anyio.to_thread
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from server.identity import IdentityUnavailable, Unauthenticated
from server.jwks import AMBIGUOUS, FRESH_S, KEPT_S, NOT_HAD, NOT_TAKEN, KeyAddress, KeyFile, KeySetRefused, read_keys
from server.tokens import BearerTokens, TokenRules
from tests.authority import Authority
from tests.identity_provider import AUDIENCE, ISSUER, Provider

pytestmark = pytest.mark.anyio

RULES = TokenRules(ISSUER, AUDIENCE, frozenset({"RS256"}))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """The address, and what it answers with."""

    url: str = ""
    body: bytes = b""
    status: int = 200  # 0: it hangs up without a word
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    is_asked: threading.Event = field(default_factory=threading.Event)
    trickles: bool = False  # a byte now and then, without end
    connected: int = 0


@contextmanager
def listening(authority: Authority) -> Iterator[Site]:
    site = Site()
    site.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.is_asked.set()
            site.gate.wait(30)
            if site.trickles:
                self.trickle()
            if not site.status:
                return
            self.send_response(site.status)
            for name, value in site.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in site.headers:
                self.send_header("Content-Length", str(len(site.body)))
            self.end_headers()
            self.wfile.write(site.body)

        def trickle(self) -> None:
            site.connected += 1
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-filler: ")
                while site.trickles:
                    self.wfile.write(b"x")
                    sleep(0.05)
            finally:
                site.connected -= 1

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that do not trust the certificate go away."""

    server = Server(("127.0.0.1", 0), Handler)
    pair = authority.issue("provider")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site.url = f"https://127.0.0.1:{server.server_port}/keys?realm=bank"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def site(authority: Authority) -> Iterator[Site]:
    with listening(authority) as found:
        yield found


@pytest.fixture
def provider() -> Provider:
    return Provider()


def waiting_threads() -> int:
    """Threads of the pool that are in the midst of something, or rest there."""
    return sum(thread.name.startswith("AnyIO") for thread in threading.enumerate())


@contextmanager
def no_file_may_be_opened() -> Iterator[None]:
    """This process has no descriptor left in the meantime."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def entry(key: Any = None, **facts: Any) -> dict[str, Any]:
    public = (key or generate_rsa(65537, 2048)).public_key()
    made: dict[str, Any] = RSAAlgorithm.to_jwk(public, as_dict=True)
    return made | facts


async def test_a_new_version_of_the_file_counts_from_the_next_token_on(provider: Provider, tmp_path: Path) -> None:
    file = provider.publish(tmp_path / "jwks.json")
    tokens = BearerTokens(RULES, KeyFile(file))
    before = provider.token("anna")
    assert (await tokens(before)).principal == "user:anna"

    provider.turn("rsa-2")
    after = provider.token("anna")
    with pytest.raises(Unauthenticated):
        await tokens(after)
    provider.publish(file)

    assert (await tokens(after)).principal == "user:anna"
    with pytest.raises(Unauthenticated):
        await tokens(before)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": []}', None])
async def test_a_version_that_cannot_be_used_leaves_the_last_one_in_force(
    provider: Provider, tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = provider.publish(tmp_path / "jwks.json")
    tokens = BearerTokens(RULES, KeyFile(file))
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)

    for _ in range(2):
        assert (await tokens(provider.token("anna"))).principal == "user:anna"
        assert tokens.warnings() == [NOT_TAKEN]
    assert caplog.text.count("the keys from before stay in force") == 1, "probes do not fill the log"
    provider.publish(file)
    assert tokens.warnings() == []


async def test_a_file_that_was_away_and_is_the_same_again_is_nothing_to_see_to(
    provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "certs").mkdir()
    file = provider.publish(tmp_path / "certs" / "jwks.json")
    tokens = BearerTokens(RULES, KeyFile(file))
    file.parent.rename(tmp_path / "away")
    assert tokens.warnings() == [NOT_TAKEN]

    (tmp_path / "away").rename(file.parent)

    assert tokens.warnings() == []


async def test_a_version_that_could_not_be_read_is_read_with_the_next_token(provider: Provider, tmp_path: Path) -> None:
    file = provider.publish(tmp_path / "jwks.json")
    tokens = BearerTokens(RULES, KeyFile(file))
    withdrawn = provider.token("anna")
    provider.turn("rsa-2")
    provider.publish(file)
    with no_file_may_be_opened():
        assert (await tokens(withdrawn)).principal == "user:anna", "nobody can know yet that its key was taken back"

    with pytest.raises(Unauthenticated):
        await tokens(withdrawn)
    assert (await tokens(provider.token("anna"))).principal == "user:anna"


async def test_a_version_of_the_same_size_and_age_counts_too(provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(provider.jwks().ljust(2000))
    tokens = BearerTokens(RULES, KeyFile(file))
    withdrawn, seen = provider.token("anna"), file.stat()
    provider.turn("rsa-2")

    file.write_bytes(provider.jwks().ljust(2000))
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    with pytest.raises(Unauthenticated):
        await tokens(withdrawn)


def test_a_set_with_a_secret_or_without_a_key_is_refused() -> None:
    for listed, words in (
        ([entry(d="AAAA")], "holds a secret key"),
        ([entry(), {"kty": "oct", "k": "AAAA", "kid": "x"}], "holds a secret key"),
        ([entry(use="enc")], "no public key for signatures"),
        ([entry(generate_rsa(65537, 1024))], "no public key for signatures"),
        ([{"kty": "RSA", "n": "!", "e": "AQAB"}, {"kty": "EC", "crv": "P-999"}, 7], "no public key for signatures"),
        ({}, "no list of keys"),
    ):
        with pytest.raises(KeySetRefused, match=words):
            read_keys(json.dumps({"keys": listed}).encode())
    with pytest.raises(KeySetRefused, match="not JSON"):
        read_keys(b"[" * 100_000)


def test_a_key_is_for_its_own_algorithms_and_curve() -> None:
    wide = ECAlgorithm.to_jwk(generate_ec(SECP384R1()).public_key(), as_dict=True)
    keys = read_keys(json.dumps({"keys": [entry(kid="a", alg="RS512"), entry(kid="b"), wide | {"kid": "c"}]}).encode())

    suits = {
        (kid, algorithm)
        for kid in ("a", "b", "c")
        for algorithm in ("RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "HS256")
        if keys.find(kid, algorithm)
    }

    assert suits == {("a", "RS512"), ("b", "RS256"), ("b", "RS512"), ("b", "PS256"), ("c", "ES384")}
    assert keys.find(None, "RS256") is not None
    assert keys.find(None, "RS512") is None, "it could be two"


@pytest.mark.parametrize("listed_as", [{}, {"alg": None}, {"kid": "another"}])
def test_a_key_that_is_listed_twice_is_one(listed_as: dict[str, Any]) -> None:
    key = entry(kid="a", alg="RS256")
    twice = {name: value for name, value in (key | listed_as).items() if value is not None}

    keys = read_keys(json.dumps({"keys": [key, twice]}).encode())

    assert keys.find("a", "RS256") is not None
    assert keys.find(None, "RS256") is not None
    assert keys.warnings() == []


async def test_different_keys_under_one_id_are_something_to_see_to(
    site: Site, authority: Authority, provider: Provider, tmp_path: Path
) -> None:
    mine = json.loads(provider.jwks())["keys"]
    file, several = tmp_path / "jwks.json", json.dumps({"keys": [*mine, entry(kid=mine[0]["kid"])]}).encode()
    file.write_bytes(several)
    site.body = several
    from_file, from_there = KeyFile(file), KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60)

    for source in (from_file, from_there):
        with pytest.raises(Unauthenticated):
            await BearerTokens(RULES, source)(provider.token("anna"))
        assert source.warnings() == [AMBIGUOUS]


def test_keys_of_one_id_that_are_for_different_algorithms_are_told_apart() -> None:
    wide = ECAlgorithm.to_jwk(generate_ec(SECP384R1()).public_key(), as_dict=True)
    listed = [entry(kid="a", alg="RS256"), entry(kid="a", alg="RS512"), wide | {"kid": "a"}]

    keys = read_keys(json.dumps({"keys": listed}).encode())

    assert all(keys.find("a", algorithm) for algorithm in ("RS256", "RS512", "ES384"))
    assert keys.warnings() == []


async def test_keys_are_fetched_when_first_needed_and_kept(
    site: Site, authority: Authority, provider: Provider
) -> None:
    site.body = provider.jwks()
    tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60))
    assert site.asked == []

    for _ in range(3):
        assert (await tokens(provider.token("anna"))).principal == "user:anna"

    assert site.asked == ["/keys?realm=bank"]


async def test_an_unknown_key_is_asked_for_but_not_more_often_than_the_setting_says(
    site: Site, authority: Authority, provider: Provider
) -> None:
    clock = Clock()
    site.body = provider.jwks()
    tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60, clock=clock))
    await tokens(provider.token("anna"))
    provider.turn("rsa-2")
    site.body = provider.jwks()

    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await tokens(provider.token("anna"))
    assert len(site.asked) == 1
    clock.now += 60
    assert (await tokens(provider.token("anna"))).principal == "user:anna"
    assert len(site.asked) == 2


async def test_a_provider_that_is_away_leaves_known_keys_in_force_for_a_day(
    site: Site, authority: Authority, provider: Provider
) -> None:
    clock = Clock()
    site.body = provider.jwks()
    tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60, clock=clock))
    await tokens(provider.token("anna"))
    site.status = 500

    clock.now = FRESH_S
    assert tokens.warnings() == []
    assert (await tokens(provider.token("anna"))).principal == "user:anna"
    assert len(site.asked) == 2
    assert tokens.warnings() == [NOT_HAD], "before they are too old"
    clock.now = KEPT_S
    with pytest.raises(IdentityUnavailable):
        await tokens(provider.token("anna"))
    site.status, clock.now = 200, KEPT_S + 60
    assert (await tokens(provider.token("anna"))).principal == "user:anna"
    assert tokens.warnings() == []


async def test_a_key_that_the_provider_took_back_ends_within_an_hour(
    site: Site, authority: Authority, provider: Provider
) -> None:
    clock = Clock()
    site.body = provider.jwks()
    tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60, clock=clock))
    before = provider.token("anna")
    await tokens(before)
    provider.turn("rsa-2")
    site.body = provider.jwks()

    clock.now = FRESH_S

    with pytest.raises(Unauthenticated):
        await tokens(before)


async def test_without_any_key_a_token_cannot_be_judged(site: Site, authority: Authority, provider: Provider) -> None:
    for status, body, headers in (
        (404, b"", {}),
        (200, b"nonsense", {}),
        (200, b" " * (1024 * 1024 + 1), {}),
        (302, b"", {"Location": site.url.replace("/keys", "/elsewhere")}),
    ):
        site.status, site.body, site.headers = status, body, headers
        tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60))
        with pytest.raises(IdentityUnavailable):
            await tokens(provider.token("anna"))

    assert {path.partition("?")[0] for path in site.asked} == {"/keys"}, "no redirect was followed"


async def test_a_certificate_of_somebody_else_is_not_trusted(site: Site, tmp_path: Path, provider: Provider) -> None:
    site.body = provider.jwks()
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other, "stranger").certificate

    for trusted in (stranger, None):
        with pytest.raises(IdentityUnavailable):
            await BearerTokens(RULES, KeyAddress(site.url, ca_file=trusted, refresh_s=60))(provider.token("anna"))
    assert site.asked == []


async def test_a_slow_provider_holds_up_nobody_whose_key_is_known(
    site: Site, authority: Authority, provider: Provider
) -> None:
    clock = Clock()
    site.body = provider.jwks()
    tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60, clock=clock))
    known = provider.token("anna")
    await tokens(known)
    site.gate.clear()
    site.is_asked.clear()
    clock.now = FRESH_S
    provider.turn("rsa-2")
    unknown = provider.token("ben")

    async def stranger() -> None:
        with pytest.raises(Unauthenticated):
            await tokens(unknown)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stranger)
        with anyio.fail_after(20):
            await anyio.to_thread.run_sync(site.is_asked.wait, abandon_on_cancel=True)
            for _ in range(50):
                assert (await tokens(known)).principal == "user:anna"
        assert not site.gate.is_set()
        site.gate.set()


async def test_a_provider_that_never_ends_its_answer_is_left_for_good(
    site: Site, authority: Authority, provider: Provider
) -> None:
    clock = Clock()
    site.trickles = True
    keys = KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60, fetch_s=0.5, clock=clock)
    before = waiting_threads()

    for _ in range(4):
        with pytest.raises(IdentityUnavailable):
            await BearerTokens(RULES, keys)(provider.token("anna"))
        clock.now += 60

    assert len(site.asked) == 4
    with anyio.fail_after(10):
        while site.connected:  # noqa: ASYNC110  # the site learns of it as it writes
            await anyio.sleep(0.05)
    assert waiting_threads() == before
    site.trickles, site.body = False, provider.jwks()
    assert (await BearerTokens(RULES, keys)(provider.token("anna"))).principal == "user:anna"


async def test_an_answer_that_breaks_off_brings_no_keys(site: Site, authority: Authority, provider: Provider) -> None:
    site.body, site.headers = provider.jwks(), {"Content-Length": "9000"}

    for site.status in (200, 0):
        tokens = BearerTokens(RULES, KeyAddress(site.url, ca_file=authority.certificate, refresh_s=60))
        with anyio.fail_after(5), pytest.raises(IdentityUnavailable):
            await tokens(provider.token("anna"))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/keys",
        "file:///etc/passwd",
        "ftp://x/keys",
        "https:///keys",
        "https://127.0.0.1:port/keys",
        "https://[::1/keys",
    ],
)
def test_an_address_that_is_not_https_or_cannot_be_asked_for_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="is not an https address"):
        KeyAddress(url, ca_file=None, refresh_s=60)
