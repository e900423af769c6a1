"""TLS over real sockets: who gets in, by which version, and what changes when the files do."""

import asyncio
import logging
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from cryptography import x509

from server.tls import NOT_TAKEN, Minimum, Tls, TlsError, TlsFiles
from tests.authority import Authority, Pair
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import MODEL, listening, services

pytestmark = pytest.mark.anyio

# asyncio hangs up without sending the alert that OpenSSL has written.
REFUSED = "EOF occurred|reset by peer|Broken pipe"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


def files(pair: Pair, client_ca: Path | None = None, minimum: Minimum = "1.2") -> TlsFiles:
    return TlsFiles(pair.certificate, pair.key, client_ca, minimum)


def trusting(authority: Authority, own: Pair | None = None) -> ssl.SSLContext:
    """What a client trusts, and what it shows of itself."""
    context = ssl.create_default_context(cafile=authority.certificate)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


@dataclass(frozen=True)
class Greeting:
    """What a client knows after a handshake and an answer."""

    serial: int
    version: str | None
    session: ssl.SSLSession | None
    is_resumed: bool | None


async def greet(url: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Greeting:
    """Shake hands and read an answer: what TLS 1.3 has against a client's certificate comes after the handshake."""

    def shake() -> Greeting:
        plain = socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=10)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secure:
            secure.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            if not secure.recv(65536).startswith(b"HTTP/1.1 200"):
                raise ConnectionResetError("reset by peer instead of an answer")
            shown = secure.getpeercert(binary_form=True)
            assert shown is not None
            serial = x509.load_der_x509_certificate(shown).serial_number
            return Greeting(serial, secure.version(), secure.session, secure.session_reused)

    return await asyncio.to_thread(shake)


async def test_the_openai_client_works_with_a_certificate_of_its_own(authority: Authority, pair: Pair) -> None:
    tls = Tls(files(pair, client_ca=authority.certificate))
    context = trusting(authority, authority.issue("client"))
    async with (
        listening(services(ScriptedEngine("28 ", "days.")), tls.context) as url,
        openai.AsyncOpenAI(
            base_url=f"{url}/v1",
            api_key="sk-ann",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=context),
        ) as client,
    ):
        stream = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "How long?"}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert text == "28 days."


@pytest.mark.parametrize("shown", ["none", "a stranger's"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_needs_a_certificate_of_the_authority(
    authority: Authority, pair: Pair, tmp_path: Path, shown: str, version: ssl.TLSVersion
) -> None:
    (tmp_path / "else").mkdir()
    own = None if shown == "none" else Authority(tmp_path / "else", "stranger").issue("client")
    context = trusting(authority, own)
    context.maximum_version = version
    async with listening(services(), Tls(files(pair, client_ca=authority.certificate)).context) as url:
        with pytest.raises(OSError, match=REFUSED):
            await greet(url, context)


@pytest.mark.parametrize("shown", ["with its authority's", "alone"])
async def test_an_authority_below_a_root_lets_in_its_own_clients_and_no_others_of_the_root(
    tmp_path: Path, shown: str
) -> None:
    root = Authority(tmp_path, "root")
    staff, guests = Authority(tmp_path, "staff", below=root), Authority(tmp_path, "guests", below=root)
    clients = [staff.issue("ann"), guests.issue("eve")]
    if shown == "with its authority's":
        for client, authority in zip(clients, (staff, guests), strict=True):
            client.certificate.write_bytes(client.certificate.read_bytes() + authority.certificate.read_bytes())
    server = Authority(tmp_path, "authority")
    async with listening(services(), Tls(files(server.issue("server"), staff.certificate)).context) as url:
        await greet(url, trusting(server, clients[0]))

        with pytest.raises(OSError, match=REFUSED):
            await greet(url, trusting(server, clients[1]))


@pytest.mark.parametrize(
    ("minimum", "offered", "spoken"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_1, None),
        ("1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("1.2", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.3", ssl.TLSVersion.TLSv1_2, None),
        ("1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_versions_are_refused(
    authority: Authority, pair: Pair, minimum: Minimum, offered: ssl.TLSVersion, spoken: str | None
) -> None:
    context = old(authority, offered)
    async with listening(services(), Tls(files(pair, minimum=minimum)).context) as url:
        if spoken is None:
            with pytest.raises(OSError, match=REFUSED):
                await greet(url, context)
        else:
            assert (await greet(url, context)).version == spoken


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_the_client_of_the_test_above_does_speak_the_old_version(authority: Authority, pair: Pair) -> None:
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.minimum_version = ssl.TLSVersion.TLSv1_1
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.load_cert_chain(pair.certificate, pair.key)
    async with listening(services(), lax) as url:
        assert (await greet(url, old(authority, ssl.TLSVersion.TLSv1_1))).version == "TLSv1.1"


def old(authority: Authority, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def test_new_files_serve_from_the_next_handshake_on(authority: Authority, pair: Pair) -> None:
    tls = Tls(files(pair))
    async with listening(services(), tls.context) as url:
        assert (await greet(url, trusting(authority))).serial == pair.serial

        renewed = authority.issue("server")

        assert (await greet(url, trusting(authority))).serial == renewed.serial != pair.serial
    assert tls.warnings() == []


async def test_a_link_that_points_elsewhere_is_a_change(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    # As Kubernetes exchanges a mounted secret: the folder that both paths go through becomes another one.
    other = authority.issue("other")
    current = tmp_path / "current"
    for name, one in (("a", pair), ("b", other)):
        (tmp_path / name).mkdir()
        one.certificate.rename(tmp_path / name / "tls.crt")
        one.key.rename(tmp_path / name / "tls.key")
    current.symlink_to("a")
    async with listening(services(), Tls(TlsFiles(current / "tls.crt", current / "tls.key")).context) as url:
        assert (await greet(url, trusting(authority))).serial == pair.serial

        point(current, Path("b"))

        assert (await greet(url, trusting(authority))).serial == other.serial


def test_files_that_were_away_for_a_moment_are_no_trouble_afterwards(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    current = tmp_path / "current"
    current.symlink_to(pair.certificate.parent)
    tls = Tls(TlsFiles(current / pair.certificate.name, current / pair.key.name))
    assert tls.warnings() == []
    current.unlink()
    assert tls.warnings() == [NOT_TAKEN]

    current.symlink_to(pair.certificate.parent)

    assert tls.warnings() == []


def test_what_was_read_in_the_middle_of_a_change_is_not_the_last_word(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    half, current = tmp_path / "half", tmp_path / "current"
    os.mkfifo(half)
    current.symlink_to(pair.certificate)
    tls = Tls(TlsFiles(current, pair.key))
    looks = [Thread(target=tls.warnings, daemon=True) for _ in range(2)]
    point(current, half)

    looks[0].start()
    with half.open("wb") as writer:  # opens once the first reads
        point(current, pair.certificate)
        looks[1].start()
        looks[1].join(0.5)
        writer.write(b"half a certificate")
    for look in looks:
        look.join(10)

    assert tls.warnings() == []


def point(link: Path, target: Path) -> None:
    """Let a link name something else, with no moment in which it names nothing."""
    link.with_suffix(".next").symlink_to(target)
    link.with_suffix(".next").replace(link)


@pytest.mark.parametrize("breakage", ["half exchanged", "truncated", "gone"])
async def test_a_broken_pair_leaves_the_old_one_in_place_and_shows(
    authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture, breakage: str
) -> None:
    tls = Tls(files(pair))
    kept = pair.certificate.read_bytes()
    async with listening(services(warnings=tls.warnings), tls.context) as url:
        match breakage:
            case "half exchanged":
                authority.issue("server")
                pair.certificate.write_bytes(kept)
            case "truncated":
                pair.certificate.write_bytes(kept[:80])
            case "gone":
                pair.key.unlink()
        with caplog.at_level(logging.WARNING, "server.tls"):
            assert (await greet(url, trusting(authority))).serial == pair.serial
            async with httpx.AsyncClient(verify=trusting(authority)) as client:
                ready = (await client.get(f"{url}/readyz")).json()
        renewed = authority.issue("server")

        assert (await greet(url, trusting(authority))).serial == renewed.serial

    assert ready == {"status": "ok", "warnings": [NOT_TAKEN]}
    (line,) = caplog.messages
    assert str(pair.certificate.parent) in line
    assert tls.warnings() == []


async def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(
    authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    (tmp_path / "else").mkdir()
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    context = trusting(authority, authority.issue("client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose sessions may be resumed by their number alone
    async with listening(services(), Tls(files(pair, client_ca=trusted)).context) as url:
        first = await greet(url, context)
        assert (await greet(url, context, first.session)).is_resumed

        trusted.write_bytes(Authority(tmp_path / "else", "other").certificate.read_bytes())

        for session in (None, first.session):
            with pytest.raises(OSError, match=REFUSED):
                await greet(url, context, session)


@pytest.mark.parametrize(
    ("lasts", "said"), [(timedelta(days=-1), "ended on "), (timedelta(days=3), "ends on "), (timedelta(days=60), None)]
)
def test_a_certificate_that_ends_soon_is_a_warning(authority: Authority, lasts: timedelta, said: str | None) -> None:
    warnings = Tls(files(authority.issue("server", lasts=lasts))).warnings()

    assert [said in warning for warning in warnings] == [True] * (said is not None) if said else warnings == []


def test_files_that_cannot_serve_are_named_with_the_reason(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    other, locked = authority.issue("other"), authority.issue("locked", password=b"secret")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    cases = [
        (TlsFiles(pair.certificate, other.key), "other.key: the key is not the certificate's"),
        (TlsFiles(locked.certificate, locked.key), "key is encrypted"),
        (TlsFiles(empty, pair.key), "empty.pem holds no certificate"),
        (TlsFiles(pair.certificate, empty), "empty.pem holds no private key"),
        (TlsFiles(pair.certificate, tmp_path / "absent"), "absent: No such file"),
        (TlsFiles(pair.certificate, pair.key, empty), "empty.pem holds no certificate"),
    ]
    for given, reason in cases:
        with pytest.raises(TlsError, match=reason):
            Tls(given)
