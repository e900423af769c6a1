"""One request from inside a container's network, as a program: python -m tests.image.visitor < REQUEST.

REQUEST is JSON: `method`, `url`, `headers`, `body` (text or null), and `trust`, an authority's file or null. Prints
status, headers and text as JSON; status 0 where nobody answered.
"""

import json
import ssl
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def main() -> None:
    """Make the request."""
    asked = json.load(sys.stdin)
    body = None if asked["body"] is None else asked["body"].encode()
    request = Request(asked["url"], body, asked["headers"], method=asked["method"])
    trusted = ssl.create_default_context(cafile=asked["trust"]) if asked["trust"] else None
    try:
        with urlopen(request, timeout=120, context=trusted) as response:
            said = [response.status, dict(response.headers), response.read().decode()]
    except HTTPError as error:
        said = [error.code, dict(error.headers), error.read().decode()]
    except OSError as error:
        said = [0, {}, str(error)]
    print(json.dumps(said))


if __name__ == "__main__":
    main()
