"""A file as the body of a response: whole, from where it was opened, and closed however the response ends."""

import os
from collections.abc import AsyncGenerator
from typing import BinaryIO

from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_PIECE_BYTES = 64 * 1024


class WholeFile(StreamingResponse):
    """Starlette's own looks for the file again by its name, when it may have been deleted, and refuses odd ranges in
    words of its own; parts are not to be had here, which HTTP leaves to the server."""

    def __init__(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        headers = {"Content-Length": str(size)}
        super().__init__(_pieces(file), media_type="application/octet-stream", headers=headers)
        self._file = file

    def close(self) -> None:
        """Close the file of a response that is not to be sent."""
        self._file.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


async def _pieces(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    while piece := await run_sync(file.read, _PIECE_BYTES):
        yield piece
