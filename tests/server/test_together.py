"""server.together: several generations with one beginning and one end."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from hrm_model.types import Counts, Event, Finished, Seconds, Started, Text
from server.events import closing
from server.together import NotStarted, Together

pytestmark = pytest.mark.anyio

END = Finished(0, "stop", Counts(1, 1), Seconds(0.0, 0.0, 0.0))


class Told:
    """Generations that say what they are told to, and note when they are closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    async def says(
        self, name: str, *texts: str, error: Exception | None = None, wait: asyncio.Event | None = None
    ) -> AsyncGenerator[Event, None]:
        try:
            if wait is not None:
                await wait.wait()
            if error is not None:
                raise error
            yield Started(len(name))
            for text in texts:
                await asyncio.sleep(0)
                yield Text(0, text, 1)
            yield END
        finally:
            self.closed.append(name)


async def test_every_event_comes_once_beside_the_number_of_its_generation() -> None:
    told = Told()
    together = Together([told.says("a", "1", "2", "3"), told.says("bb", "x"), told.says("ccc")])

    started = await together.begin()
    async with closing(together.events()) as events:
        heard = [(index, event) async for index, event in events]

    assert [first.prompt_tokens for first in started] == [1, 2, 3]
    for index, texts in enumerate((["1", "2", "3"], ["x"], [])):
        mine = [event for number, event in heard if number == index]
        assert mine == [*(Text(0, text, 1) for text in texts), END]


async def test_one_that_does_not_start_ends_those_that_have_and_those_that_wait() -> None:
    told, never = Told(), asyncio.Event()
    together = Together(
        [told.says("started", "1"), told.says("waiting", wait=never), told.says("refused", error=ValueError("no"))]
    )

    async with asyncio.timeout(5):
        with pytest.raises(NotStarted) as refusal:
            await together.begin()

    assert refusal.value.index == 2
    assert isinstance(refusal.value.error, ValueError)
    assert sorted(told.closed) == ["refused", "started", "waiting"]


async def test_a_beginning_that_is_cancelled_leaves_nothing_open() -> None:
    told, never = Told(), asyncio.Event()
    beginning = asyncio.create_task(Together([told.says("a"), told.says("b", wait=never)]).begin())
    await asyncio.sleep(0.01)

    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning

    assert sorted(told.closed) == ["a", "b"]


@pytest.mark.parametrize("read", [0, 1, 3])
async def test_closing_it_closes_all_however_much_was_read(read: int) -> None:
    told = Told()
    together = Together([told.says("a", "1", "2"), told.says("b", "3", "4")])
    await together.begin()
    events = together.events()
    for _ in range(read):
        await anext(events)

    async with closing(together), closing(events):
        pass

    assert sorted(told.closed) == ["a", "b"]
