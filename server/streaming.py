"""Events to frames, and events to one body: two renderings of one stream. The only file that knows SSE."""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from anyio import CancelScope
from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from server.errors import ClientLeft, error_body
from server.events import AnswerEvent, Closed, Opened, Said, Used, closing
from server.pipeline import Answer
from server.wire import annotations, citations, grounding, intent, logprobs, usage

Json = dict[str, Any]
T = TypeVar("T")
HEARTBEAT = b": waiting\n\n"
DONE = b"data: [DONE]\n\n"


def frame(payload: Mapping[str, Any]) -> bytes:
    """One SSE event, its closing blank line included."""
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


async def sse(
    events: AsyncGenerator[AnswerEvent, None], head: Json, *, include_usage: bool, public_url: str, heartbeat_s: float
) -> AsyncGenerator[bytes, None]:
    """Chunks, then `[DONE]`; or chunks, then an error frame and no `[DONE]`."""
    head = {**head, "object": "chat.completion.chunk"}
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
                    for choice in _chunks(event, public_url):
                        yield frame({**head, "choices": [choice], **asked})
    except Exception as error:  # noqa: BLE001  # the status is sent: whatever goes wrong now ends in a frame
        yield frame(error_body(error))
    else:
        yield DONE


async def whole(events: AsyncGenerator[AnswerEvent, None], head: Json, *, public_url: str) -> Json:
    """The answer that is not streamed: the deltas of the same chunks, folded."""
    choices: dict[int, Json] = {}
    total: Json = {}
    async with closing(events):
        async for event in events:
            if isinstance(event, Used):
                total = usage(event)
                continue
            for chunk in _chunks(event, public_url):
                _fold(chunk, choices.setdefault(chunk["index"], _empty(chunk["index"])))
    assert total, "an answer ends with Used"
    return {
        **head,
        "object": "chat.completion",
        "choices": [choices[index] for index in sorted(choices)],
        "usage": total,
    }


class EventStream(StreamingResponse):
    """Frames of an answer. However the response ends, the answer is closed, even if no frame was ever read."""

    def __init__(self, answer: Answer, frames: AsyncGenerator[bytes, None]) -> None:
        # Proxies buffer responses unless told not to (nginx reads X-Accel-Buffering).
        super().__init__(
            frames, media_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
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
        await _cancelled(working, leaving)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _with_silences(
    events: AsyncGenerator[AnswerEvent, None], heartbeat_s: float
) -> AsyncGenerator[AnswerEvent | None, None]:
    """The events, and a None for every `heartbeat_s` without one."""
    while True:
        following = asyncio.ensure_future(_next(events))
        try:
            while not (await asyncio.wait({following}, timeout=heartbeat_s))[0]:
                yield None
            event = following.result()
        finally:
            await _cancelled(following)
        if event is None:
            return
        yield event


async def _next(events: AsyncGenerator[AnswerEvent, None]) -> AnswerEvent | None:
    return await anext(events, None)


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and wait until it has cleaned up."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    with CancelScope(shield=True):
        for task in running:
            with suppress(asyncio.CancelledError, Exception):
                await task


def _chunks(event: Opened | Said | Closed, public_url: str) -> list[Json]:
    """The choices that one event puts on the wire, in the order in which clients expect them."""
    match event:
        case Opened(choice, sources):
            delta: Json = {"role": "assistant", "content": ""}
            if sources is not None:
                delta["context"] = {"citations": citations(sources, public_url), "intent": intent(sources)}
            return [_chunk(choice, delta)]
        case Said(choice, text, tokens):
            return [_chunk(choice, {"content": text}, logprobs=logprobs(tokens))]
        case Closed(choice, reason, sources, verdict):
            chunks = []
            closing_delta: Json = {}
            if sources is not None and verdict is not None:
                if verdict.marks:
                    chunks.append(_chunk(choice, {"annotations": annotations(verdict, sources, public_url)}))
                closing_delta["context"] = {"grounding": grounding(verdict, sources)}
            return [*chunks, _chunk(choice, closing_delta, reason=reason)]


def _chunk(choice: int, delta: Json, *, logprobs: Json | None = None, reason: str | None = None) -> Json:
    return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}


def _empty(index: int) -> Json:
    message: Json = {"role": "assistant", "content": "", "refusal": None, "annotations": []}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _fold(chunk: Json, choice: Json) -> None:
    message, delta = choice["message"], chunk["delta"]
    message["content"] += delta.get("content", "")
    message["annotations"] += delta.get("annotations", [])
    if "context" in delta:
        message["context"] = {**message.get("context", {}), **delta["context"]}
    if chunk["logprobs"] is not None:
        so_far = choice["logprobs"]["content"] if choice["logprobs"] else []
        choice["logprobs"] = {"content": [*so_far, *chunk["logprobs"]["content"]], "refusal": None}
    choice["finish_reason"] = choice["finish_reason"] or chunk["finish_reason"]
