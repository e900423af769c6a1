"""Whether the server in this container lives: exit status 0, or 1 with the reason. Nothing but Python is needed.

It asks over loopback, as the server's environment says: over TLS where that is spoken, without checking a certificate
that names another host. Where clients need certificates it has none to show, and a handshake has to do.
"""

import os
import socket
import ssl
import sys
from urllib.request import urlopen

TIMEOUT_S = 4


def check(port: int, *, tls: bool, client_certificates: bool) -> None:
    """Return if the server lives.

    Raises:
        OSError: it does not answer, or not with 200.
    """
    context = ssl._create_unverified_context() if tls else None
    if context is not None and client_certificates:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as bare, context.wrap_socket(bare):
            return
    with urlopen(f"{'https' if tls else 'http'}://127.0.0.1:{port}/livez", timeout=TIMEOUT_S, context=context):
        return


if __name__ == "__main__":
    try:
        check(
            int(os.environ["HRM_PORT"]),
            tls="HRM_TLS_CERTIFICATE" in os.environ,
            client_certificates="HRM_TLS_CLIENT_CA" in os.environ,
        )
    except OSError as error:
        sys.exit(f"the server does not answer: {error}")
