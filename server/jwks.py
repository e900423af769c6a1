"""Public keys of an identity provider (RFC 7517): from a file that may be replaced, or from one https address.

Nothing that a token says decides where keys come from.
"""

import json
import logging
import os
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import combinations
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import anyio
import httpx
from anyio.to_thread import run_sync
from jwt import PyJWK, PyJWKError
from jwt.exceptions import InvalidKeyError

from server.identity import IdentityUnavailable
from server.settings_reading import variable

log = logging.getLogger(__name__)

MAX_BYTES = 1024 * 1024
FETCH_S = 10.0
# A key that was taken back must not live on here for long, and a provider may be away for a night.
FRESH_S, KEPT_S = 3_600.0, 86_400.0
MIN_RSA_BITS = 2048
NOT_TAKEN = "the file of the identity provider's keys cannot be used; the keys from before stay in force"
AMBIGUOUS = "the identity provider lists different keys under one id, so tokens that name it are refused"
NOT_HAD = "the identity provider's keys could not be had when they were last asked for"
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # how OpenSSL finds a certificate in a folder
_ASKED = {"Accept": "application/json", "Accept-Encoding": "identity"}


class KeySetRefused(ValueError):
    """A document is no set of public keys; the message says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key, and what it is good for."""

    kid: str | None
    kind: str  # RSA, EC or OKP
    curve: str | None
    algorithm: str | None  # the only one that it is for; None: any that suits
    key: Any  # as cryptography has it

    def suits(self, algorithm: str) -> bool:
        """Say whether it may check signatures of an algorithm."""
        if self.kind != _KINDS.get(algorithm[:2]) or self.algorithm not in (None, algorithm):
            return False
        return self.kind == "RSA" or self.curve == _CURVES.get(algorithm)

    def rivals(self, other: "PublicKey") -> bool:
        """Say whether a token that names one may mean the other."""
        is_for_the_same = (self.kind, self.curve) == (other.kind, other.curve)
        is_for_the_same &= None in (self.algorithm, other.algorithm) or self.algorithm == other.algorithm
        return self.kid == other.kid and is_for_the_same and self.key != other.key


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a provider at one time."""

    keys: tuple[PublicKey, ...] = ()

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The one key that a token means, however often it is listed; None also where it could be several."""
        suitable = [key for key in self.keys if key.suits(algorithm) and kid in (None, key.kid)]
        is_one = bool(suitable) and all(one.key == suitable[0].key for one in suitable)
        return suitable[0] if is_one else None

    def warnings(self) -> list[str]:
        """See `KeySource`."""
        named = [key for key in self.keys if key.kid is not None]
        return [AMBIGUOUS] if any(one.rivals(other) for one, other in combinations(named, 2)) else []


class KeySource(Protocol):
    """Where keys come from."""

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key that a token means, or None.

        Raises:
            IdentityUnavailable: keys cannot be had at the moment.
        """
        ...

    def warnings(self) -> list[str]:
        """What somebody has to see to while known keys go on; may block, and asks no other machine."""
        ...


def read_keys(document: bytes) -> KeySet:
    """Read a JWKS. Keys for encryption, and of kinds that are not for signatures here, are left out.

    Raises:
        KeySetRefused: it is none, it holds no key that can be used, or it holds a secret.
    """
    try:
        given = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise KeySetRefused("it is not JSON") from error
    listed = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(listed, list):
        raise KeySetRefused("it has no list of keys")
    keys = tuple(key for entry in listed if isinstance(entry, dict) and (key := _key(entry)) is not None)
    if not keys:
        raise KeySetRefused("it holds no public key for signatures (RSA of 2048 bits, EC or Ed25519)")
    return KeySet(keys)


def _key(entry: dict[str, Any]) -> PublicKey | None:
    if "d" in entry or "k" in entry:
        raise KeySetRefused("it holds a secret key, which belongs to the provider alone")
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = PyJWK(entry).key
    except (PyJWKError, InvalidKeyError, ValueError, TypeError):  # of a curve or an algorithm that is not known here
        return None
    if entry["kty"] == "RSA" and key.key_size < MIN_RSA_BITS:
        return None
    return PublicKey(entry.get("kid"), entry["kty"], entry.get("crv"), entry.get("alg"), key)


class KeyFile:
    """Keys from a file, read anew when it changes. A version that cannot be used leaves the last one in force."""

    def __init__(self, path: Path) -> None:
        """Read it once.

        Raises:
            KeySetRefused, OSError: it cannot be used.
        """
        self._path = path
        self._lock = threading.Lock()
        self._problem: str | None = None
        self._version: tuple[int, ...] | None = self._seen()
        self._keys = read_keys(path.read_bytes())

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """See `KeySource`."""
        return (await run_sync(self._current)).find(kid, algorithm)

    def warnings(self) -> list[str]:
        """See `KeySource`."""
        keys = self._current()
        return [*([] if self._problem is None else [NOT_TAKEN]), *keys.warnings()]

    def _current(self) -> KeySet:
        with self._lock:
            before, self._version = self._version, None  # what could not be read is tried again
            try:
                version = self._seen()
                document = None if version == before else self._path.read_bytes()
                self._version = version
                if document is not None:
                    self._keys, self._problem = read_keys(document), None
                    log.info("%s was read anew: %s keys", self._path, len(self._keys.keys))
            except (OSError, KeySetRefused) as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    log.error("%s cannot be used, so the keys from before stay in force: %s", self._path, error)
            return self._keys

    def _seen(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class KeyAddress:
    """Keys from an https address: asked when first needed, when they grow old, and for a key that is not known.

    Redirects are not followed and proxies not used, so that no other host is ever asked.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None,
        refresh_s: float,
        fetch_s: float = FETCH_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            ca_file: certificates to trust instead of the system's.
            refresh_s: the least time between two requests, however many tokens name keys that are not known.
            fetch_s: how long one request may take, from looking up the name to the last byte.

        Raises:
            ValueError: it is not an https address.
            OSError: the certificates cannot be read.
        """
        self._url = _https(url)
        self._host = self._url.host
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._refresh_s, self._fetch_s, self._clock = refresh_s, fetch_s, clock
        self._keys = KeySet()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._is_away = False
        self._turn = anyio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """See `KeySource`. Only who needs a key that is not there waits for the provider."""
        known = self._keys.find(kid, algorithm)
        if known is not None and (self._is_within(FRESH_S) or (self._turn.locked() and self._is_within(KEPT_S))):
            return known
        async with self._turn:
            if self._tried_at is None or self._clock() - self._tried_at >= self._refresh_s:
                self._tried_at = self._clock()
                await self._fetch()
        if not self._is_within(KEPT_S):
            raise IdentityUnavailable
        return self._keys.find(kid, algorithm)

    def warnings(self) -> list[str]:
        """See `KeySource`."""
        return [*([NOT_HAD] if self._is_away else []), *self._keys.warnings()]

    def _is_within(self, seconds: float) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at < seconds

    async def _fetch(self) -> None:
        try:
            with anyio.fail_after(self._fetch_s):
                document = await self._get()
            self._keys = read_keys(document)
            self._fetched_at, self._is_away = self._clock(), False
        except (OSError, httpx.HTTPError, KeySetRefused) as error:
            self._is_away = True
            log.error("the keys of %s cannot be had: %s", self._host, str(error) or type(error).__name__)

    async def _get(self) -> bytes:
        # Not in a thread: one that waits for a provider cannot be ended, and a provider that sends a byte now and then
        # would be waited for without end.
        document = b""
        async with (
            httpx.AsyncClient(verify=self._context, trust_env=False, timeout=None) as client,  # `fetch_s`
            client.stream("GET", self._url, headers=_ASKED) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                raise KeySetRefused(f"it answers with status {answer.status_code}")
            async for data in answer.aiter_raw():
                document += data
                if len(document) > MAX_BYTES:
                    raise KeySetRefused(f"it is larger than {MAX_BYTES} bytes")
        return document


def has_system_authorities() -> bool:
    """Whether this system trusts anybody: without a file of certificates of one's own, nobody is believed otherwise."""
    if ssl.create_default_context().cert_store_stats()["x509_ca"]:
        return True
    # Read when a certificate of them is needed, and not before.
    paths = ssl.get_default_verify_paths()
    folders = variable(paths.openssl_capath_env, paths.openssl_capath).split(os.pathsep)
    return any(_HASHED.fullmatch(name) for folder in folders for name in _names_in(folder))


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # what is not there or cannot be read, nobody is believed for
        return []


def _https(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url} is not an https address") from error
    if parsed.scheme != "https" or not parsed.host:
        raise ValueError(f"{url} is not an https address")
    return parsed
