"""Every answer and every act leaves a record before its response ends; what cannot be recorded does not happen."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.responses import Response

from server.audit.facts import AnswerFacts, act_of
from server.deps import Services
from server.events import AnswerEvent, Used, closing
from server.identity import Caller

# Looking at what there is changes nothing; reading a document does matter.
_READING = "GET"
_READ_AND_RECORDED = "/content"


def facts_of(request: Request, caller: Caller, services: Services, asked: Mapping[str, Any]) -> AnswerFacts | None:
    """What will be recorded of an answer; None where nothing is recorded.

    Args:
        asked: the request's body as JSON has it, its seed decided.
    """
    if services.audit is None:
        return None
    return AnswerFacts(caller, request.state.request_id, _route(request), asked, services.origin)


async def recorded(
    events: AsyncGenerator[AnswerEvent, None], facts: AnswerFacts, services: Services
) -> AsyncGenerator[AnswerEvent, None]:
    """Pass an answer through, and record it before its last event; also when it fails, or nobody reads it to the end.

    Raises:
        AuditUnavailable: the record cannot be written, so the answer does not end well either.
    """
    is_recorded = False

    async def record() -> None:
        nonlocal is_recorded
        is_recorded = True  # once, also when it fails
        assert services.audit is not None
        with CancelScope(shield=True):
            await run_sync(services.audit.append, facts.record(), facts.texts())

    try:
        async with closing(events):
            async for event in events:
                facts.hear(event)
                if isinstance(event, Used):
                    await record()
                yield event
    except Exception as error:
        facts.outcome, facts.error = "failed", type(error).__name__
        raise
    finally:
        if not is_recorded:
            await record()


async def record_act(
    request: Request, caller: Caller, services: Services, status: int, response: Response | None
) -> None:
    """Record what was done through any other route; nothing for a mere look.

    Raises:
        AuditUnavailable: see above.
    """
    if services.audit is None or (request.method == _READING and not _route(request).endswith(_READ_AND_RECORDED)):
        return
    body = bytes(getattr(response, "body", b"")) if response is not None else b""
    act = act_of(caller, request.state.request_id, request.method, _route(request), request.path_params, status, body)
    with CancelScope(shield=True):
        await run_sync(services.audit.append, act, {})


def _route(request: Request) -> str:
    path: str = request.scope["route"].path
    return path
