"""Every answer and every act leaves a record before its response ends; what cannot be recorded does not happen."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.responses import Response

from retrieval.errors import StoreNotFound
from server.audit.chain import AuditUnavailable, RecordOwed
from server.audit.facts import AnswerFacts, act_of
from server.audit.naming import names_a_store
from server.deps import Services
from server.errors import NotReady
from server.events import AnswerEvent, Used, closing
from server.identity import Caller
from server.json_body import JsonRequest
from server.pipeline import Answer
from server.ports import Audit
from server.quota import TURN

T = TypeVar("T")
_TURN = RunVar[CapacityLimiter]("who writes the audit log")

# Looking at what there is changes nothing; reading a document does matter.
_READING = "GET"
_READ_AND_RECORDED = "/content"


class Recording:
    """An answer on its way, which leaves one record: before its last event, or when it is closed before that.

    One that is read while it is made is noted down before its first event, should this process not live to record it.
    """

    def __init__(self, answer: Answer, facts: AnswerFacts, audit: Audit) -> None:
        self._answer, self._facts, self._audit = answer, facts, audit
        self._note: asyncio.Future[int] | None = None
        self._writing: asyncio.Future[Any] | None = None

    async def events(self) -> AsyncGenerator[AnswerEvent, None]:
        """The answer's events.

        Raises:
            AuditUnavailable: the record cannot be written, so the answer does not end well either.
            RecordOwed: so it is, and the answer has been read; it was noted, and the record waits.
        """
        try:
            async for event in self._answer.events:
                self._facts.hear(event)
                if isinstance(event, Used):
                    await self._record()
                elif self._note is None and self._facts.asked.get("stream"):
                    await self._begin()
                yield event
        except Exception as error:
            self._facts.outcome, self._facts.error = "failed", type(error).__name__
            raise

    async def aclose(self) -> None:
        """Stop, and record what has not been."""
        async with closing(self._answer):
            pass
        if self._writing is None:
            await self._record()
        else:  # whoever began it may have been cancelled meanwhile; if it failed, they were told
            await asyncio.wait({self._writing})

    async def _begin(self) -> None:
        # How far a killed server came is not known: no count of tokens, rather than one of the beginning.
        record, texts = {**self._facts.record(), "tokens": {}, "outcome": "cut off"}, self._facts.texts()
        self._note = asyncio.ensure_future(_in_turn(self._audit.begin, record, {"question": texts["question"]}))
        with CancelScope(shield=True):
            await asyncio.shield(self._note)

    async def _record(self) -> None:
        # A task of its own: whoever waits for the last event may leave before a thread has taken the record on.
        self._writing = asyncio.ensure_future(self._append(self._facts.record(), self._facts.texts()))
        with CancelScope(shield=True):
            await asyncio.shield(self._writing)

    async def _append(self, record: dict[str, Any], texts: dict[str, str]) -> None:
        if self._note is not None:  # whoever waited for it may have left meanwhile
            await asyncio.wait({self._note})
        note = None if self._note is None or self._note.exception() else self._note.result()
        await _appended(self._audit, record, texts, note)


async def recorded(
    answer: Answer, request: JsonRequest, caller: Caller, services: Services, seed: int | None
) -> Answer:
    """The same answer, recorded where records are kept.

    Args:
        seed: what the draws depend on, which may be the server's choice.
    """
    if services.audit is None:
        return answer
    request.state.is_recorded = True
    # As it was sent, so that it can be shown to be what was sent.
    given = request.sent
    asked, seed_is_ours = {**given, "seed": seed}, seed is not None and given.get("seed") is None
    origin, defaults = services.origin(), services.policy.defaults()
    turn = getattr(request.state, TURN, None)
    most = None if turn is None else turn.max_tokens
    about = caller, request.state.request_id, _route(request), asked, origin, defaults
    facts = AnswerFacts(*about, spent=answer.spent, most_tokens=most, seed_is_ours=seed_is_ours)
    recording = Recording(answer, facts, services.audit)
    return replace(answer, events=recording.events(), engine=recording)


async def note_act(request: Request, caller: Caller, services: Services) -> int | None:
    """Note down what is about to change something, which may be done and the process gone before it is on record.

    Returns:
        What `record_act` is to be told; None: nothing is recorded here.

    Raises:
        AuditUnavailable: it cannot be noted, and so must not be done.
    """
    if services.audit is None:
        return None
    return await _in_turn(services.audit.begin, *await _act(request, caller, services, None, None))


async def record_act(
    request: Request,
    caller: Caller,
    services: Services,
    status: int | None,
    made: Response | None,
    *,
    also_a_look: bool = False,
    note: int | None = None,
) -> None:
    """Record what was done through any other route; nothing for a mere look, unless that is wanted.

    Args:
        status: None: it was cut off, and may have been done.
        made: a response that may name what was made. Not one of any other route: it is parsed on the event loop, and
            the vectors or passages of a large one would hold up every stream.
        note: what `note_act` returned.

    Raises:
        RecordOwed: it was noted, may have been done, and the record waits.
        AuditUnavailable: the record cannot be written, and nothing has changed.
    """
    is_look = request.method == _READING and not _route(request).endswith(_READ_AND_RECORDED)
    if services.audit is None or (is_look and not also_a_look):
        return
    await _appended(services.audit, *await _act(request, caller, services, status, made), note)


async def _act(
    request: Request, caller: Caller, services: Services, status: int | None, made: Response | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """What is recorded, and the texts that are hashed beside it."""
    body = b"" if made is None else bytes(made.body)
    request_id, known = request.state.request_id, request.state.act
    is_done = status is not None and status < HTTPStatus.BAD_REQUEST
    is_found = is_done or await _is_found(request, caller, services, status)
    what = request.method, _route(request), request.path_params
    act, words = act_of(caller, request_id, *what, status, body, is_found=is_found)
    return {**act, **known.record}, {**words, **known.texts}


async def _is_found(request: Request, caller: Caller, services: Services, status: int | None) -> bool:
    """Whether the store that a path names was there for the caller when that was first asked: the act may delete it."""
    found: bool | None = getattr(request.state, "store_is_found", None)
    if found is None:
        found = False
        # What failed may have failed for the store's database.
        if names_a_store(request.path_params) and (status is None or status < HTTPStatus.INTERNAL_SERVER_ERROR):
            with CancelScope(shield=True), suppress(StoreNotFound, NotReady):
                await services.library.store(request.path_params["store"], caller.reader())
                found = True
        request.state.store_is_found = found
    return found


async def _appended(audit: Audit, record: dict[str, Any], texts: dict[str, str], note: int | None) -> None:
    """Add a record, if need be in the place of a note.

    Raises:
        RecordOwed: what was noted has been done, and the record waits.
        AuditUnavailable: the record cannot be written, and there will be none.
    """
    try:
        await _in_turn(partial(audit.append, record, texts, note=note))
    except AuditUnavailable as error:
        if note is None:
            raise
        raise RecordOwed(str(error)) from error


async def _in_turn(function: Callable[..., T], *arguments: Any) -> T:
    """Call in a thread, and wait for it whatever happens: what is written has to be known.

    One call at a time: a log that cannot be written holds up one thread, and not all there are.
    """
    try:
        turn = _TURN.get()
    except LookupError:
        turn = CapacityLimiter(1)
        _TURN.set(turn)
    with CancelScope(shield=True):
        done = await run_sync(function, *arguments, limiter=turn)
    return done  # noqa: RET504  # to mypy, a scope may end its block


def _route(request: Request) -> str:
    path: str = request.scope["route"].path
    return path
