"""A request's head: how long it is as it comes, and the form of target that only proxies send. Knows no routes."""

import re
from http import HTTPStatus

import h11

_END = re.compile(rb"\n\r?\n")  # as h11 has it
# The absolute form (RFC 9112, 3.2.2): its authority counts, whatever Host says.
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE)


class Heads(h11.Connection):
    """h11 on the server's side. By itself it bounds the heads alone that have not come to their end."""

    def __init__(self, max_bytes: int) -> None:
        """Begin.

        Args:
            max_bytes: of a request line and headers, with all their line breaks.
        """
        super().__init__(h11.SERVER, max_bytes)
        self._max_bytes = max_bytes

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event, as h11 has it.

        Raises:
            h11.RemoteProtocolError: what came is no HTTP, or a head is too long; `error_status_hint` says which.
        """
        if self.their_state is h11.IDLE:
            came, _ = self.trailing_data
            if len(came) > self._max_bytes and _END.search(came, 0, self._max_bytes) is None:
                raise h11.RemoteProtocolError("too long a head", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        event = super().next_event()
        return _to_origin(event) if isinstance(event, h11.Request) else event


def _to_origin(request: h11.Request) -> h11.Request:
    """The request as clients send it that ask no proxy."""
    match = _ABSOLUTE.fullmatch(request.target)
    if match is None:
        return request
    host, path = match.groups()
    headers = [(b"host", host), *((name, value) for name, value in request.headers if name != b"host")]
    target = path if path.startswith(b"/") else b"/" + path
    return h11.Request(method=request.method, headers=headers, target=target, http_version=request.http_version)
