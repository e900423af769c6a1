"""Who is told of requests, where somebody is named to tell: an extra, which may not be installed."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from server.settings import Settings
from server.settings_reading import SettingsError

if TYPE_CHECKING:
    from server.otel import OtelTracer


def open_tracer(settings: Settings) -> "OtelTracer | None":
    """What sends spans; None where nobody is named to send them to.

    Raises:
        SettingsError: somebody is, and the extra that it takes is not installed.
    """
    return None if settings.otel_endpoint is None else sender()(settings.otel_endpoint)


def sender() -> "Callable[[str], OtelTracer]":
    """What makes a tracer for an endpoint.

    Raises:
        SettingsError: the extra that it takes is not installed.
    """
    try:
        from server.otel import exporting
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "opentelemetry":
            raise
        raise SettingsError(
            "HRM_OTEL_ENDPOINT is set, and OpenTelemetry is not installed: "
            "`pip install 'hrm-serve[otel]'`, or leave HRM_OTEL_ENDPOINT out."
        ) from error
    return exporting
