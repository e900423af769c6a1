"""Several generations side by side, read as one stream."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from hrm_model.types import Event, Started
from server.events import closing, following, settled


class NotStarted(Exception):
    """A generation raised in the place of its first event; `error` is what, `index` is which one."""

    def __init__(self, index: int, error: BaseException) -> None:
        super().__init__(f"generation {index}: {error}")
        self.index = index
        self.error = error


class Together:
    """Generations with a common beginning and a common end. Closing it frees all of them, begun or not."""

    def __init__(self, streams: Sequence[AsyncGenerator[Event, None]]) -> None:
        self._streams = streams

    async def begin(self) -> list[Started]:
        """Wait until every generation has started.

        Raises:
            NotStarted: one of them has not; the others are closed.
        """
        firsts = [asyncio.ensure_future(following(stream)) for stream in self._streams]
        started: list[Started] = []
        try:
            await asyncio.wait(firsts, return_when=asyncio.FIRST_EXCEPTION)
            for index, first in enumerate(firsts):
                if first.done() and (error := first.exception()) is not None:
                    raise NotStarted(index, error)
            for first in firsts:
                event = first.result()
                assert isinstance(event, Started), "an engine begins with Started"
                started.append(event)
        except BaseException:
            await settled(*firsts)
            await self.aclose()
            raise
        return started

    async def events(self) -> AsyncGenerator[tuple[int, Event], None]:
        """What follows, as it comes, beside the number of its generation."""
        reading = {asyncio.ensure_future(following(stream)): index for index, stream in enumerate(self._streams)}
        try:
            while reading:
                done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=reading.__getitem__):
                    index = reading.pop(task)
                    event = task.result()
                    if event is not None:
                        reading[asyncio.ensure_future(following(self._streams[index]))] = index
                        yield index, event
        finally:
            await settled(*reading)

    async def aclose(self) -> None:
        """Stop."""
        for stream in self._streams:
            async with closing(stream):
                pass
