"""One request from inside a container's network, as a program: python -m tests.image.visitor URL KEY < BODY.

KEY may be empty, BODY is JSON, null for a GET. Prints the status and the JSON that came back.
"""

import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def main(url: str, key: str) -> None:
    """Make the request."""
    body = json.load(sys.stdin)
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    request = Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urlopen(request, timeout=120) as response:
            print(json.dumps([response.status, json.load(response)]))
    except HTTPError as error:
        print(json.dumps([error.code, json.load(error)]))
    except OSError as error:
        print(json.dumps([0, str(error)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
