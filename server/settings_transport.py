"""The settings of the addresses that are listened on, and of what is spoken there."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from server.settings_reading import spelled

_ADDRESS = r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$"
_LAST_PORT = 65535
_ORIGIN = r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?"


class TransportSettings(BaseSettings):
    """Immutable."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Any other than loopback needs an API key first.",
    )
    port: int = Field(default=8000, ge=0, le=_LAST_PORT, description="Port to listen on; 0 takes a free one.")
    metrics_listen: str | None = Field(
        default=None,
        pattern=_ADDRESS,
        json_schema_extra=spelled("an address and a port, as 127.0.0.1:8001 or [::1]:8001"),
        description="Address and port, as 127.0.0.1:8001, where /metrics and nothing else is told to whoever can reach "
        "it, without a key; by TLS where TLS is set. Unset, there is none.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the server's certificate and those above it; with it, only TLS is spoken.",
    )
    tls_key: Path | None = Field(
        default=None,
        description="PEM file of the certificate's private key; as the other TLS files, read again when it changes.",
    )
    tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities; with it, clients need a certificate of one of them.",
    )
    tls_minimum: Literal["1.2", "1.3"] = Field(default="1.2", description="The oldest version of TLS that is spoken.")
    cors_origins: str = Field(
        default="",
        pattern=rf"^({_ORIGIN}(,{_ORIGIN})*)?$",
        json_schema_extra=spelled(
            "origins as browsers send them, as https://app.example.org, with commas between them; each named, as *"
            " would let in every page"
        ),
        description="Origins of web pages that may call, exactly as browsers send them, with commas; empty: none.",
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; name both or neither")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        return self

    @model_validator(mode="after")
    def _metrics_have_a_place_of_their_own(self) -> Self:
        if self.metrics_address is None:
            return self
        host, port = self.metrics_address
        if port > _LAST_PORT:
            raise ValueError(f"metrics_listen names port {port}, and the last one is {_LAST_PORT}")
        if port and (host, port) == (self.host, self.port):
            raise ValueError("metrics_listen is the address of host and port; give the metrics one of their own")
        return self

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of the metrics' own listener; an IPv6 address without its brackets."""
        if self.metrics_listen is None:
            return None
        host, _, port = self.metrics_listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def metrics_are_exposed(self) -> bool:
        """Whether other machines may read the metrics with neither a key nor a certificate."""
        if self.metrics_address is None or is_loopback(self.metrics_address[0]):
            return False
        return self.tls_client_ca is None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
