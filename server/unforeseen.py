"""What nobody foresaw ends here: as a 500, and as a line that tells kind and place but quotes no request."""

import logging

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import INTERNAL, error_body
from server.faults import kind_and_place

log = logging.getLogger(__name__)


class Unforeseen:
    """ASGI middleware around the routes. The web framework would pass such an error on to the server, which logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001  # whatever it is, its words must not get out
            if has_begun:
                # Nothing can be said any more. A response that is not completed makes the server hang up.
                log.error("a response broke off: %s", kind_and_place(error))
                return
            await JSONResponse(error_body(error), status_code=INTERNAL.status)(scope, receive, send)
