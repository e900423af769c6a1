"""Wait for what another thread, task or process is about to do, without counting seconds."""

import asyncio
from collections.abc import Callable

_LONGEST_S = 60  # far longer than anything takes that works


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds.

    Raises:
        TimeoutError: it never does.
    """
    async with asyncio.timeout(_LONGEST_S):
        while not condition():  # noqa: ASYNC110 - the other side is a thread, which sets no event
            await asyncio.sleep(0.002)
