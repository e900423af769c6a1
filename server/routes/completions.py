"""POST /v1/completions."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from server.completion_form import CompletionForm
from server.json_body import JsonRequest
from server.routes.guard import AskRoute, CallerDep, CompletionsDep, MeterDep, RecordDep, ServicesDep
from server.routes.sending import send
from server.schemas.completion import Completion, CompletionChunk, CompletionRequest
from server.streaming import while_connected
from server.traced import TracedAnswer

router = APIRouter(prefix="/v1", tags=["completions"], route_class=AskRoute)

_STREAM: dict[str, Any] = {
    "description": "The answers: one object, or with `stream` server-sent events of chunks, ended by `[DONE]`.",
    "model": Completion,
    "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/CompletionChunk"}}},
}
STREAMED_MODELS = (CompletionChunk,)


@router.post("/completions", response_model=None, responses={200: _STREAM})
async def create_completion(
    body: CompletionRequest,
    request: JsonRequest,
    caller: CallerDep,
    meter: MeterDep,
    completions: CompletionsDep,
    services: ServicesDep,
    record: RecordDep,
) -> Response:
    """Answer prompts as they are, without looking anything up, streamed or whole."""
    body, traced = body.seeded(), TracedAnswer("text_completion", services.model.id)
    answer, prompts = await while_connected(request, traced.begun(completions.answer, body, caller, meter))
    form = CompletionForm(
        prompts=prompts,
        n=body.answers,
        with_echo=bool(body.echo),
        with_logprobs=body.logprobs is not None,
        with_ids=bool(body.return_token_ids),
    )
    return await send(traced.followed(answer), form, body, request, caller, services, record, prefix="cmpl")
