"""POST /v1/chat/completions."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from server.chat_form import ChatForm
from server.json_body import JsonRequest
from server.routes.guard import AskRoute, CallerDep, MeterDep, PipelineDep, RecordDep, ServicesDep
from server.routes.sending import send
from server.schemas.answer import ChatCompletion, ChatCompletionChunk
from server.schemas.chat import ChatRequest
from server.streaming import while_connected
from server.traced import TracedAnswer

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
    request: JsonRequest,
    caller: CallerDep,
    meter: MeterDep,
    pipeline: PipelineDep,
    services: ServicesDep,
    record: RecordDep,
) -> Response:
    """Answer a conversation from documents, streamed or whole."""
    body, traced = body.seeded(), TracedAnswer("chat", services.model.id)
    answer = await while_connected(request, traced.begun(pipeline.answer, body, caller, meter))
    form = ChatForm(services.policy.public_url, tells_generation="admin" in caller.roles)
    return await send(traced.followed(answer), form, body, request, caller, services, record, prefix="chatcmpl")
