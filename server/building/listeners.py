"""Where the server is reached: opened before anything is loaded, so that a taken port is said at once."""

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from server.process import listen
from server.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that clients can connect to already, though nobody answers them yet."""

    answers: socket.socket
    metrics: socket.socket | None  # for /metrics alone, without a key


@contextmanager
def open_listeners(settings: Settings, model_id: str) -> Iterator[Listeners]:
    """Listen for a block, and tell the log where.

    Raises:
        OSError: an address cannot be had; the message names it.
    """
    with ExitStack() as opened:
        watched = None
        if settings.metrics_address is not None:
            watched = opened.enter_context(listen(*settings.metrics_address))
            url = _url(watched, settings)
            if settings.metrics_are_exposed:
                log.warning("%s/metrics needs no key: whoever can reach that address reads it", url)
            else:
                log.info("metrics are at %s/metrics", url)
        answers = opened.enter_context(listen(settings.host, settings.port))
        log.info("listening on %s, loading %s", _url(answers, settings), model_id)
        yield Listeners(answers, watched)


def _url(listener: socket.socket, settings: Settings) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http{'s' if settings.tls_certificate else ''}://{shown}:{port}"
