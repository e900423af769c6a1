"""What the engine's thread hands over: all of it, in order, by one word to each loop."""

import asyncio
from unittest.mock import patch

import pytest

from hrm_model.outbox import Outbox
from hrm_model.request import Request, open_request
from hrm_model.types import Event, Limits, Question, Sampling, Text
from tests.engines import Tiny

pytestmark = pytest.mark.anyio

LIMITS = Limits(context_tokens=256, kv_tokens=256, default_max_tokens=8, max_context_tokens=128)

ONE, TWO, THREE = (Text(0, text, 1) for text in ("one", "two", "three"))


def heard(inbox: "asyncio.Queue[Event | BaseException]") -> list[object]:
    return [inbox.get_nowait() for _ in range(inbox.qsize())]


async def test_a_loop_is_woken_once_and_everybody_on_it_hears_what_is_theirs_in_order(tiny: Tiny) -> None:
    first, second = (
        open_request(number, Question("Who?"), Sampling(), 1, LIMITS, tiny.tokenizer, 0) for number in range(2)
    )
    outbox = Outbox()

    outbox.put(first, ONE)
    outbox.put(second, TWO)
    outbox.put(first, THREE)
    await asyncio.sleep(0)
    assert first.inbox.empty(), "it was put down, and not posted"
    loop = asyncio.get_running_loop()
    with patch.object(loop, "call_soon_threadsafe", wraps=loop.call_soon_threadsafe) as woken:
        outbox.post()
        outbox.post()
    await asyncio.sleep(0)

    assert woken.call_count == 1
    assert heard(first.inbox) == [ONE, THREE]
    assert heard(second.inbox) == [TWO]


async def test_a_loop_that_is_gone_keeps_nothing_from_the_others(tiny: Tiny) -> None:
    async def opened() -> Request:
        return open_request(0, Question("Who?"), Sampling(), 1, LIMITS, tiny.tokenizer, 0)

    gone = await asyncio.to_thread(asyncio.run, opened())
    here = await opened()
    outbox = Outbox()

    for request in (gone, here):
        outbox.put(request, ONE)
    outbox.post()
    await asyncio.sleep(0)

    assert heard(here.inbox) == [ONE]
