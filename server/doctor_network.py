"""What is wrong with how an installation is reached, and with what it reaches. Looks, and changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime

from server import tls
from server.building import policy
from server.building.spans import sender
from server.finding import Check, Finding, Level
from server.jwks import has_system_authorities
from server.process import listen
from server.provider import bearer_tokens
from server.settings import Settings
from server.settings_reading import SettingsError
from server.storage import kept_private
from server.tls import TlsError


def _provider(settings: Settings) -> Iterator[Finding]:
    try:
        bearer_tokens(settings)
    except SettingsError as error:
        yield Finding("identity provider", "error", str(error), "see docs/access.md for what tokens need")
        return
    if settings.oidc_jwks_url is not None and settings.oidc_ca_file is None and not has_system_authorities():
        said = f"this system trusts no authority, so nothing at {settings.oidc_jwks_url} is believed"
        yield Finding("identity provider", "error", said, "install ca-certificates, or set HRM_OIDC_CA_FILE")


def _tls(settings: Settings) -> Iterator[Finding]:
    files = policy.tls_files(settings)
    if files is None:
        if not settings.is_loopback:
            said = f"is off, and the server listens on {settings.host}"
            yield Finding("TLS", "warning", said, "see docs/transport.md, unless a proxy ends TLS in front of it")
        return
    try:
        loaded = tls.load(files)
    except TlsError as error:
        yield Finding("TLS", "error", str(error), "put a certificate and its key there, both as PEM")
        return
    for said in tls.ageing(loaded.expires):
        level: Level = "error" if loaded.expires <= datetime.now(UTC) else "warning"
        yield Finding("TLS", level, said, f"renew {files.certificate}; no restart is needed")
    if not kept_private(files.key.stat(), files.key.parent.stat()):
        yield Finding("TLS", "warning", f"others may read {files.key}", f"chmod 600 {files.key}")
    yield Finding("TLS", "ok", f"the certificate lasts until {loaded.expires:%Y-%m-%d}")


def _ports(settings: Settings) -> Iterator[Finding]:
    places = [("port", "--port", (settings.host, settings.port))]
    if settings.metrics_address is not None:
        places.append(("metrics", "--metrics-listen", settings.metrics_address))
    for about, flag, (host, port) in places:
        try:
            listen(host, port).close()
        except OSError as error:
            todo = f"right if the server runs; otherwise stop who listens, or {flag}"
            yield Finding(about, "warning", str(error), todo)
        else:
            yield Finding(about, "ok", f"{host} port {port} is free")
    if settings.metrics_are_exposed:
        said = f"whoever can reach {settings.metrics_listen} reads them, without a key"
        yield Finding("metrics", "warning", said, "let only Prometheus reach it, or set HRM_TLS_CLIENT_CA")


def _spans(settings: Settings) -> Iterator[Finding]:
    if settings.otel_endpoint is not None:
        try:
            sender()
        except SettingsError as error:
            yield Finding("tracing", "error", str(error), "the server does not start until one of the two is done")


CHECKS: tuple[Check, ...] = (_provider, _tls, _ports, _spans)
