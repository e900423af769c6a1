"""What an answer is on its way from the pipeline to the wire: one stream of values, rendered in two ways."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, TypeVar

from anyio import CancelScope

from hrm_model.types import FinishReason, TokenLogprob
from retrieval.types import Passage
from server.grounding.cite import Verdict
from server.spent import Spent

EndReason = FinishReason | Literal["tool_calls"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What was looked up and what the model got to read of it, in the order in which markers count it."""

    passages: tuple[Passage, ...]
    queries: tuple[str, ...]
    retrieved: int
    truncated: bool  # something that was found did not fit into the prompt, or not whole
    generation: int | None  # of the index; None: nothing was looked up, the caller brought the passages
    stores: tuple[str, ...] | None = None  # where it was looked up, by the names they were asked for with
    store_ids: tuple[str, ...] | None = None  # likewise, by their ids
    left_out: int = 0  # of those retrieved; neighbours among the others are one passage


@dataclass(frozen=True, slots=True)
class Opened:
    """A choice begins. `sources` is None where nothing was to be looked up."""

    choice: int
    sources: Sources | None


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of the answer as the client gets it, markers included; its text may be empty beside logprobs or ids.

    Where the server puts in words of its own, there are no ids.
    """

    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Recited:
    """What an answer was given as its beginning, and how likely that was; of an echo, and nothing that was drawn."""

    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True)
class Called:
    """A piece of a function call; the first one has its id and name, the others have neither."""

    choice: int
    call_id: str
    name: str
    arguments: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Words of the server in the place of an answer that has a form of its own, in which they cannot stand."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A choice ended. `verdict` is None where there were no sources to check against."""

    choice: int
    reason: EndReason
    sources: Sources | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Used:
    """The last event: tokens of the whole request, all choices together."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @classmethod
    def of(cls, spent: Spent) -> Self:
        """What has been spent by now."""
        return cls(spent.prompt, spent.completion, spent.cached)


Spoken = Opened | Recited | Said | Called | Refused | Closed  # what belongs to one choice
AnswerEvent = Spoken | Used


class Closable(Protocol):
    """What has an end that can be asked for."""

    def aclose(self) -> Awaitable[None]:
        """Stop."""
        ...


T = TypeVar("T", bound=Closable)
S = TypeVar("S")


@asynccontextmanager
async def closing(thing: T) -> AsyncIterator[T]:
    """Close a generator on the way out, and let that finish even when the reason for leaving is a cancellation."""
    try:
        yield thing
    finally:
        with CancelScope(shield=True):
            await thing.aclose()


async def following(stream: AsyncGenerator[S, None]) -> S | None:
    """The next value as a task can wait for it; None after the last."""
    return await anext(stream, None)


async def settled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and wait until it has cleaned up; what a task had to say is dropped."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    with CancelScope(shield=True):
        for task in running:
            with suppress(asyncio.CancelledError, Exception):
                await task
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, not raised: raising it again would lose the place that it came from
