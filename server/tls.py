"""TLS from files: who may connect and how, and new certificates without a restart. Knows no HTTP."""

import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Literal

from cryptography.x509 import load_pem_x509_certificates

log = logging.getLogger(__name__)

Minimum = Literal["1.2", "1.3"]
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# TLS 1.2 with forward secrecy and authenticated encryption alone; 1.3 has nothing else anyway.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
NOT_TAKEN = "the TLS files have changed and cannot be used; the certificate before them serves on"
_SOON = timedelta(days=14)


class TlsError(Exception):
    """The files cannot serve TLS; the message names them and says why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificate and key are, and whom they let in."""

    certificate: Path  # PEM, the server's own first, then those between it and the root
    key: Path
    client_ca: Path | None = None  # set: a client must show a certificate that one of these has signed
    minimum: Minimum = "1.2"

    def signature(self) -> tuple[tuple[int, ...], ...]:
        """What differs once a file is written or replaced, behind links too."""
        found = [path.stat() for path in (self.certificate, self.key, self.client_ca) if path is not None]
        return tuple((one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Files that were read together and belong together."""

    context: ssl.SSLContext
    expires: datetime
    clients: bytes | None  # the authorities whose clients are let in


class Tls:
    """The TLS side of a listener. It looks at its files whenever somebody connects or asks how it is.

    May be used from any thread: handshakes are the loop's, and whoever asks how it is may be a worker.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Load the files.

        Raises:
            TlsError: they cannot be used.
        """
        self._files = files
        self._seen: tuple[tuple[int, ...], ...] | None = _signature(files)
        self._loaded = load(files)
        self._first_clients = self._loaded.clients
        self._problem: str | None = None
        self._one_at_a_time = Lock()
        # A listener keeps the context that it was given, so each handshake is handed over to the newest one.
        self.context = _bare(files)
        self.context.sni_callback = self._hand_over

    def warnings(self) -> list[str]:
        """What somebody has to see to while TLS goes on; nothing that is a secret."""
        self._refresh()
        found = [] if self._problem is None else [NOT_TAKEN]
        return found + ageing(self._loaded.expires)

    def _hand_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, old: ssl.SSLContext
    ) -> int | None:
        self._refresh()
        connection.context = self._loaded.context
        # A resumed session shows no certificate again. OpenSSL keeps sessions of TLS 1.2 beside the listener's context,
        # so that they would outlive an authority that was taken away; whoever is refused shakes hands anew.
        is_outdated = self._loaded.clients != self._first_clients
        return ssl.ALERT_DESCRIPTION_CERTIFICATE_EXPIRED if is_outdated and connection.session_reused else None

    def _refresh(self) -> None:
        with self._one_at_a_time:  # or the slower of two would have the last word, with the older files
            before, self._seen = self._seen, None  # where one is not even there, all are read again once it is
            try:
                seen = _signature(self._files)
                if seen == before:
                    self._seen = seen
                    return
                # Before they are read: what is written meanwhile shows as one more change.
                self._seen = seen
                self._loaded, self._problem = load(self._files), None
            except TlsError as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    log.warning("%s: %s", NOT_TAKEN, error)
            else:
                log.info("new TLS files serve from now on; the certificate ends %s", f"{self._loaded.expires:%Y-%m-%d}")


def load(files: TlsFiles) -> Loaded:
    """Read the files.

    Raises:
        TlsError: one cannot be read, is not what it should be, or they do not belong together.
    """
    context = _bare(files)
    _expect_pem(files.key, "PRIVATE KEY")
    expires = _end_of(files.certificate)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as error:
        reason = "the key is not the certificate's" if error.reason == "KEY_VALUES_MISMATCH" else _reason(error)
        raise TlsError(f"{files.certificate} with {files.key}: {reason}.") from error
    clients = None
    if files.client_ca is not None:
        _end_of(files.client_ca)
        clients = _bytes(files.client_ca)
        try:
            context.load_verify_locations(cadata=clients.decode("ascii", "replace"))
        except ssl.SSLError as error:
            raise TlsError(f"{files.client_ca}: {_reason(error)}.") from error
    return Loaded(context, expires, clients)


def ageing(expires: datetime) -> list[str]:
    """What to say of a certificate that ends then."""
    left = expires - datetime.now(UTC)
    if left <= timedelta():
        return [f"the TLS certificate ended on {expires:%Y-%m-%d}"]
    return [f"the TLS certificate ends on {expires:%Y-%m-%d}"] if left < _SOON else []


def _bare(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[files.minimum]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if files.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        # An authority below a root is trusted by itself: with the root beside it, all that the root signs would be.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        # What a ticket resumes cannot be told from here; see also `Tls._hand_over`.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _signature(files: TlsFiles) -> tuple[tuple[int, ...], ...]:
    try:
        return files.signature()
    except OSError as error:
        raise TlsError(f"{error.filename}: {error.strerror}.") from error


def _expect_pem(path: Path, kind: str) -> None:
    if f"{kind}-----".encode() not in _bytes(path):
        raise TlsError(f"{path} holds no {kind.lower()} in PEM.")


def _end_of(path: Path) -> datetime:
    try:
        return load_pem_x509_certificates(_bytes(path))[0].not_valid_after_utc
    except ValueError as error:
        raise TlsError(f"{path} holds no certificate in PEM.") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}.") from error


def _no_password() -> str:
    # Without this OpenSSL asks on the terminal, and a server would wait there for ever.
    raise TlsError("the TLS key is encrypted; store it decrypted, readable to the server alone.")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
