"""Events to frames, and events to one body: two renderings of one stream. The only file that knows SSE."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from server.errors import ClientLeft, error_body
from server.events import AnswerEvent, Spoken, Used, closing, following, settled
from server.pipeline import Answer
from server.wire import Json, usage

T = TypeVar("T")
HEARTBEAT = b": waiting\n\n"
DONE = b"data: [DONE]\n\n"


class Form(Protocol):
    """How a route spells answers: the same chunks are streamed, or folded into one body."""

    @property
    def chunk_object(self) -> str:
        """The `object` of a frame."""
        ...

    @property
    def whole_object(self) -> str:
        """The `object` of a whole answer."""
        ...

    def chunks(self, event: Spoken) -> list[Json]:
        """The choices that one event puts on the wire, in the order in which clients expect them."""
        ...

    def folded(self, index: int, chunks: Sequence[Json]) -> Json:
        """A choice of a whole answer, made of all its chunks."""
        ...


def frame(payload: Mapping[str, Any]) -> bytes:
    """One SSE event, its closing blank line included."""
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


async def sse(
    events: AsyncGenerator[AnswerEvent, None], head: Json, form: Form, *, include_usage: bool, heartbeat_s: float
) -> AsyncGenerator[bytes, None]:
    """Chunks, then `[DONE]`; or chunks, then an error frame and no `[DONE]`."""
    head = {**head, "object": form.chunk_object}
    asked = {"usage": None} if include_usage else {}
    try:
        async with closing(events), closing(_with_silences(events, heartbeat_s)) as heard:
            async for event in heard:
                if event is None:
                    yield HEARTBEAT
                elif isinstance(event, Used):
                    if include_usage:
                        yield frame({**head, "choices": [], "usage": usage(event)})
                else:
                    for choice in form.chunks(event):
                        yield frame({**head, "choices": [choice], **asked})
    except Exception as error:  # noqa: BLE001  # the status is sent: whatever goes wrong now ends in a frame
        yield frame(error_body(error))
    else:
        yield DONE


async def whole(events: AsyncGenerator[AnswerEvent, None], head: Json, form: Form) -> Json:
    """The answer that is not streamed: the deltas of the same chunks, folded."""
    chunks = defaultdict[int, list[Json]](list)
    total: Json = {}
    async with closing(events):
        async for event in events:
            if isinstance(event, Used):
                total = usage(event)
                continue
            for chunk in form.chunks(event):
                chunks[chunk["index"]].append(chunk)
    assert total, "an answer ends with Used"
    return {
        **head,
        "object": form.whole_object,
        "choices": [form.folded(index, chunks[index]) for index in sorted(chunks)],
        "usage": total,
    }


class EventStream(StreamingResponse):
    """Frames of an answer. However the response ends, the answer is closed, even if no frame was ever read."""

    def __init__(self, answer: Answer, frames: AsyncGenerator[bytes, None]) -> None:
        # Proxies buffer responses unless told not to (nginx reads X-Accel-Buffering).
        super().__init__(frames, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._answer = answer
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with closing(self._answer), closing(self._frames):
            await super().__call__(scope, receive, send)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`, and cancel it when the client hangs up.

    Raises:
        ClientLeft: it did.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        await settled(working, leaving)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _with_silences(
    events: AsyncGenerator[AnswerEvent, None], heartbeat_s: float
) -> AsyncGenerator[AnswerEvent | None, None]:
    """The events, and a None for every `heartbeat_s` without one."""
    while True:
        awaited = asyncio.ensure_future(following(events))
        try:
            while not (await asyncio.wait({awaited}, timeout=heartbeat_s))[0]:
                yield None
            event = awaited.result()
        finally:
            await settled(awaited)
        if event is None:
            return
        yield event
