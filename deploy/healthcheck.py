"""Whether the server in this container lives: exit status 0, or 1 with the reason. Nothing but Python is needed.

    healthcheck.py [/readyz]

It asks over loopback for /livez, or for the path that is given, as the server's environment says: over TLS where that
is spoken, without checking a certificate that names another host, and past any proxy. Where clients need certificates
it has none to show: a handshake has to do for /livez, and says nothing of any other path.
"""

import os
import socket
import ssl
import sys
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

TIMEOUT_S = 4
LIVES = "/livez"


def check(path: str, port: int, *, tls: bool, client_certificates: bool) -> None:
    """Return if the server says that it does.

    Raises:
        OSError: it does not answer, or not with 200.
    """
    context = ssl._create_unverified_context()
    if tls and client_certificates:
        if path != LIVES:
            raise OSError(f"who has no certificate is not told of {path}")
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as bare, context.wrap_socket(bare):
            return
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    with opener.open(f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}", timeout=TIMEOUT_S):
        return


if __name__ == "__main__":
    try:
        check(
            sys.argv[1] if len(sys.argv) > 1 else LIVES,
            int(os.environ.get("HRM_PORT") or 8000),
            # An empty variable is one that is not set, as the server has it.
            tls=bool(os.environ.get("HRM_TLS_CERTIFICATE")),
            client_certificates=bool(os.environ.get("HRM_TLS_CLIENT_CA")),
        )
    except OSError as error:
        sys.exit(f"the server does not answer: {error}")
