"""An answer to its response: streamed or whole, in the form of the route that was asked."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from time import time
from uuid import uuid4

from fastapi.responses import JSONResponse, Response

from server.deps import Services
from server.events import AnswerEvent, Closed, closing
from server.identity import Caller
from server.json_body import JsonRequest
from server.logs import Record
from server.pipeline import Answer
from server.routes.auditing import recorded
from server.schemas.fields import Streamed
from server.streaming import EventStream, Form, sse, while_connected, whole


async def send(
    answer: Answer,
    form: Form,
    body: Streamed,
    request: JsonRequest,
    caller: Caller,
    services: Services,
    record: Record,
    *,
    prefix: str,
) -> Response:
    """Send an answer that the engine has begun.

    Args:
        prefix: what its id begins with.
    """
    head = {"id": f"{prefix}-{uuid4().hex}", "created": int(time()), "model": body.model}
    record.spent = answer.spent
    noted = replace(answer, events=_noted(answer.events, record))
    answer = await recorded(noted, request, caller, services, body.seed)
    if not body.stream:
        async with closing(answer):
            return JSONResponse(await while_connected(request, whole(answer.events, head, form)))
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    heartbeat_s = services.policy.heartbeat_s
    return EventStream(answer, sse(answer.events, head, form, include_usage=include_usage, heartbeat_s=heartbeat_s))


async def _noted(events: AsyncGenerator[AnswerEvent, None], record: Record) -> AsyncGenerator[AnswerEvent, None]:
    """Pass events through, and note for the log what they say about the answer's end."""
    record.outcome = "left"
    try:
        async with closing(events):
            async for event in events:
                if isinstance(event, Closed):
                    record.outcome = event.verdict.status if event.verdict else event.reason
                yield event
    except Exception:
        record.outcome = "failed"
        raise
