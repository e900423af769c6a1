"""Which sequence does what in the next step. Plain Python: no tensors, no threads, no clocks.

Pages for prompt and longest answer are reserved when a request is admitted, so that nothing that runs is ever
preempted: evicting an HRM answer and reading it again as part of a bidirectional prompt would change it.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hrm_model.errors import EngineOverloaded, NeverFits
from hrm_model.pages import PAGE_TOKENS, FreePages, pages_for
from hrm_model.types import Sampling

if TYPE_CHECKING:
    from hrm_model.grammar import Matching


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of one request."""

    request: int
    choice: int
    ids: list[int]  # prompt, then answer
    prompt_len: int  # ids given; the answer begins here
    prefix_len: int  # of those, the bidirectional ones
    sampling: Sampling  # with seed and max_tokens decided
    max_tokens: int
    pages: list[int] = field(default_factory=list)
    cached: int = 0  # tokens whose K/V are in the pages
    draft: list[int] = field(default_factory=list)  # guesses at what follows `ids`, to be checked in the next step
    matching: "Matching | None" = None  # where the answer stands in its grammar

    @property
    def reserved_tokens(self) -> int:
        """Tokens of cache that it may come to need."""
        return self.prompt_len + self.max_tokens

    @property
    def pending(self) -> list[int]:
        """Ids that the next step has to read: the whole prompt at first, then a token and the guesses after it."""
        return self.ids[self.cached :] + self.draft


@dataclass(frozen=True, slots=True)
class Step:
    """The sequences of one forward; `admitted` are those that begin in it."""

    sequences: tuple[Sequence, ...]
    admitted: tuple[Sequence, ...]


class Scheduler:
    """Owns the queue, the running set and the free pages."""

    def __init__(self, pages: int, *, max_running: int, max_waiting: int, prefill_tokens: int) -> None:
        """Start with everything free.

        Args:
            pages: of the cache.
            max_running: sequences in one step.
            max_waiting: requests that may wait for others to end.
            prefill_tokens: prompt tokens that may join one step; a longer prompt goes alone.
        """
        self._pages = pages
        self._free = FreePages(pages)
        self._max_running, self._max_waiting, self._prefill_tokens = max_running, max_waiting, prefill_tokens
        self._waiting: deque[list[Sequence]] = deque()
        self._running: list[Sequence] = []

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Sequences that have pages."""
        return len(self._running)

    @property
    def pages_used(self) -> int:
        """Pages reserved."""
        return self._pages - len(self._free)

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self._running and not self._waiting

    def add(self, choices: list[Sequence]) -> None:
        """Queue one request, all its choices together.

        Raises:
            NeverFits: it needs more pages, or more places in a step, than there are altogether.
            EngineOverloaded: the queue is full.
        """
        if _pages_of(choices) > self._pages or len(choices) > self._max_running:
            raise NeverFits(sum(sequence.reserved_tokens for sequence in choices), self._pages * PAGE_TOKENS)
        self._waiting.append(choices)
        if (held_up := self._held_up()) > self._max_waiting:
            self._waiting.pop()
            raise EngineOverloaded(held_up - 1, self._max_waiting)

    def next_step(self) -> Step:
        """Admit what fits, first come first served, and step everything that runs."""
        admitted: list[Sequence] = []
        tokens = 0
        while self._waiting and self._fits(self._waiting[0]):
            prompt = self._waiting[0][0].prompt_len  # read once for all choices
            if admitted and tokens + prompt > self._prefill_tokens:
                break
            tokens += prompt
            for sequence in self._waiting.popleft():
                sequence.pages = self._free.take(pages_for(sequence.reserved_tokens))
                self._running.append(sequence)
                admitted.append(sequence)
        return Step(tuple(self._running), tuple(admitted))

    def end(self, sequence: Sequence) -> None:
        """Take a running sequence out of the batch and free its pages."""
        self._running.remove(sequence)
        self._free.give(sequence.pages)
        sequence.pages = []

    def cancel(self, request: int) -> list[Sequence]:
        """Drop a request, waiting or running, and return the sequences that it still had."""
        dropped = [sequence for choices in self._waiting for sequence in choices if sequence.request == request]
        self._waiting = deque(choices for choices in self._waiting if choices[0].request != request)
        for sequence in [s for s in self._running if s.request == request]:
            self.end(sequence)
            dropped.append(sequence)
        return dropped

    def requests(self) -> set[int]:
        """The requests in hand."""
        return {s.request for s in self._running} | {choices[0].request for choices in self._waiting}

    def _fits(self, choices: list[Sequence]) -> bool:
        return _pages_of(choices) <= len(self._free) and len(self._running) + len(choices) <= self._max_running

    def _held_up(self) -> int:
        """Requests that wait for others to end; those in front of them have room and begin in the next steps."""
        pages, places = len(self._free), self._max_running - len(self._running)
        for ahead, choices in enumerate(self._waiting):
            pages -= _pages_of(choices)
            places -= len(choices)
            if pages < 0 or places < 0:
                return len(self._waiting) - ahead
        return 0


def _pages_of(choices: list[Sequence]) -> int:
    return sum(pages_for(sequence.reserved_tokens) for sequence in choices)
