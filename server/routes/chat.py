"""POST /v1/chat/completions."""

from collections.abc import AsyncGenerator
from time import time
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from server.events import AnswerEvent, Closed, Used, closing
from server.logs import Record
from server.pipeline import Answer
from server.routes.guard import AskRoute, CallerDep, PipelineDep, RecordDep, ServicesDep
from server.schemas.answer import ChatCompletion, ChatCompletionChunk
from server.schemas.chat import ChatRequest
from server.streaming import EventStream, sse, while_connected, whole

router = APIRouter(prefix="/v1", tags=["chat"], route_class=AskRoute)

_STREAM: dict[str, Any] = {
    "description": "The answer: one object, or with `stream` server-sent events of chunks, ended by `[DONE]`.",
    "model": ChatCompletion,
    "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/ChatCompletionChunk"}}},
}
STREAMED_MODELS = (ChatCompletionChunk,)


@router.post("/chat/completions", response_model=None, responses={200: _STREAM})
async def create_chat_completion(
    body: ChatRequest,
    request: Request,
    caller: CallerDep,
    pipeline: PipelineDep,
    services: ServicesDep,
    record: RecordDep,
) -> Response:
    """Answer a conversation from documents, streamed or whole."""
    head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time()), "model": body.model}
    public_url, heartbeat_s = services.policy.public_url, services.policy.heartbeat_s
    answer = await while_connected(request, pipeline.answer(body, caller))
    answer = Answer(_noted(answer.events, record), answer.engine)
    if not body.stream:
        async with closing(answer):
            return JSONResponse(await while_connected(request, whole(answer.events, head, public_url=public_url)))
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    frames = sse(answer.events, head, include_usage=include_usage, public_url=public_url, heartbeat_s=heartbeat_s)
    return EventStream(answer, frames)


async def _noted(events: AsyncGenerator[AnswerEvent, None], record: Record) -> AsyncGenerator[AnswerEvent, None]:
    """Pass events through, and note for the log what they say about the answer's size and end."""
    record.outcome = "left"
    try:
        async with closing(events):
            async for event in events:
                if isinstance(event, Closed):
                    record.outcome = event.verdict.status if event.verdict else event.reason
                elif isinstance(event, Used):
                    record.prompt_tokens, record.completion_tokens = event.prompt_tokens, event.completion_tokens
                yield event
    except Exception:
        record.outcome = "failed"
        raise
