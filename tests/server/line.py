"""A raw connection to a server, for what no client library does."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from server.headers import SAFE
from server.schemas.objects import ErrorBody


class Line:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, *pieces: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Send something, and read one response."""
        for piece in pieces:
            self.writer.write(piece)
        return await self.response()

    async def response(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, json.loads(body)

    async def ends(self) -> bytes:
        """Wait until the server has hung up; what it said before that."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def line_to(url: str, *, receive_bytes: int | None = None) -> AsyncIterator[Line]:
    place = urlsplit(url)
    raw = socket.socket()
    raw.setblocking(False)
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    await asyncio.get_running_loop().sock_connect(raw, (place.hostname, place.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=2**16)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def is_safe(headers: dict[str, str]) -> bool:
    return all(headers.get(name.lower()) == value.lower() for name, value in SAFE.items())


def is_refusal(answer: tuple[int, dict[str, str], dict[str, Any]], status: int, code: str) -> bool:
    ErrorBody.model_validate(answer[2])
    assert is_safe(answer[1])
    return (answer[0], answer[2]["error"]["code"], answer[1].get("connection")) == (status, code, "close")
