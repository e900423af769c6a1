"""Limits on the wire: whose they are, the headers that tell of them, and their end with the response."""

from dataclasses import replace
from math import ceil
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.deps import Policy
from server.identity import Caller, Limits
from server.limiter import Limiter, Subject, Turn

TURN = "turn"


class Quota:
    """ASGI middleware: tells in each response what is left, and ends the request's turn however it ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and (turn := state.get(TURN)):
                MutableHeaders(scope=message).update(headers_of(turn))
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            if turn := state.get(TURN):
                turn.end()


def begin(state: dict[str, Any], caller: Caller, policy: Policy, limiter: Limiter) -> None:
    """Admit a caller's request; `Quota` ends it.

    Raises:
        OverLimit: see `Limiter.admit`.
    """
    turn = Turn(limiter, subjects_of(caller, policy))
    state[TURN] = turn  # before it is admitted: a refusal tells how far it was from a limit
    turn.admit()


def subjects_of(caller: Caller, policy: Policy) -> list[Subject]:
    """The key, and the person behind it: of an application's key, the one it acts for."""
    person = Subject(caller.principal, "this person", policy.person_limits)
    if caller.key_id is None:
        return [person]
    limits, is_shared = _over(caller.limits, policy.key_limits), caller.application is not None
    return [Subject(f"key {caller.key_id}", "this key", limits, is_shared), person]


def headers_of(turn: Turn) -> dict[str, str]:
    """OpenAI's headers, for what is limited."""
    headers: dict[str, str] = {}
    for standing in turn.standings():
        headers[f"x-ratelimit-limit-{standing.resource}"] = str(standing.limit)
        headers[f"x-ratelimit-remaining-{standing.resource}"] = str(standing.remaining)
        headers[f"x-ratelimit-reset-{standing.resource}"] = _duration(standing.reset_s)
    return headers


def _over(own: Limits, usual: Limits) -> Limits:
    """A key's own limits, and the usual ones where it has none."""
    return replace(usual, **dict(own.given()))


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `0s`, `59s`, `1m1s`."""
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
