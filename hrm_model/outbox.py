"""What the engine's thread has to say, handed over to the event loops that wait for it once a step."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence

from hrm_model.request import Request
from hrm_model.types import Event

log = logging.getLogger(__name__)

_Letter = tuple[Request, Event | BaseException]


class Outbox:
    """Collects events, in order. One thread may use it.

    A loop that is woken takes the interpreter from whoever woke it, and a core from the threads that compute. Woken for
    each event of a large step, it would do so as often as the step has answers.
    """

    def __init__(self) -> None:
        self._letters: defaultdict[asyncio.AbstractEventLoop, list[_Letter]] = defaultdict(list)

    def put(self, request: Request, *events: Event | BaseException) -> None:
        """Have something for whoever waits for a request."""
        self._letters[request.loop] += [(request, event) for event in events]

    def post(self) -> None:
        """Hand over what there is; a loop that is gone wants none."""
        while self._letters:
            loop, letters = self._letters.popitem()
            try:
                loop.call_soon_threadsafe(_deliver, letters)
            except RuntimeError:
                log.info("%d events are for an event loop that is closed", len(letters))


def _deliver(letters: Sequence[_Letter]) -> None:
    for request, event in letters:
        request.inbox.put_nowait(event)
