"""Which sequence does what in the next step. Plain Python: no tensors, no threads, no clocks.

Pages for prompt and longest answer are reserved when a request is admitted, so that nothing that runs is ever
preempted: evicting an HRM answer and reading it again as part of a bidirectional prompt would change it.

A short prompt is read in the same forward in which others write. A long one is read beside them, some layers in each
step, so that it holds nobody up; it cannot be cut by tokens, as each of them reads all the others.
"""

from collections import deque

from hrm_model.errors import EngineOverloaded, InvalidSampling, NeverFits
from hrm_model.pages import PAGE_TOKENS, PagePool, pages_for
from hrm_model.reuse import KeptPrompt, KeptPrompts
from hrm_model.sequence import Choices, Reading, Sequence, Step, held_up, pages_of


class Scheduler:
    """Owns the queue, the running set and the pages."""

    def __init__(
        self,
        pages: int,
        *,
        max_running: int,
        max_waiting: int,
        prefill_tokens: int,
        slice_tokens: int,
        kept_pages: int = 0,
    ) -> None:
        """Start with everything free.

        Args:
            pages: of the cache.
            max_running: sequences in one step.
            max_waiting: requests that may wait for others to end.
            prefill_tokens: prompt tokens that may be read together while nobody writes; a longer prompt goes alone.
            slice_tokens: prompt tokens that may join the others' step; longer prompts are read in slices beside it.
            kept_pages: pages that may hold prompts for those who ask the same again.
        """
        self._max_running, self._max_waiting = max_running, max_waiting
        self._prefill_tokens, self.slice_tokens = prefill_tokens, slice_tokens
        self._pool = PagePool(pages)
        self._kept = KeptPrompts(self._pool, kept_pages)
        self._waiting: deque[Choices] = deque()
        self._unread: deque[Choices] = deque()  # have pages
        self._reading: Reading | None = None
        self._readers: list[Choices] = []  # of `_reading`
        self._doomed: list[Sequence] = []  # cancelled, while their pages are still written to
        self._running: list[Sequence] = []
        self._remains: list[int] = []  # pages that purged sequences have let go

    @property
    def running(self) -> int:
        """Sequences that have pages."""
        return len(self._running) + len(self._doomed) + sum(map(len, (*self._unread, *self._readers)))

    @property
    def pages_used(self) -> int:
        """Pages reserved."""
        return self._pool.size - self._pool.free - self._pool.idle

    @property
    def pages_kept(self) -> int:
        """Pages that hold prompts for those who ask the same again."""
        return self._kept.pages

    @property
    def reading(self) -> Reading | None:
        """The prompts that are read beside the others, if any are."""
        return self._reading

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self.running and not self._waiting

    def add(self, choices: Choices) -> None:
        """Queue one request, all its choices together.

        Raises:
            InvalidSampling: it has more choices than there are places in a step.
            NeverFits: it needs more pages than there are altogether.
            EngineOverloaded: the queue is full.
        """
        if len(choices) > self._max_running:
            raise InvalidSampling("n", f"{len(choices)} choices; the engine writes at most {self._max_running} at once")
        if (pages := pages_of(choices)) > self._pool.size:
            raise NeverFits(pages * PAGE_TOKENS, self._pool.size * PAGE_TOKENS, self._too_much(choices))
        self._waiting.append(choices)
        if (held_up := self._held_up()) > self._max_waiting:
            self._waiting.pop()
            raise EngineOverloaded(held_up - 1, self._max_waiting)

    def _too_much(self, choices: Choices) -> str | None:
        """Which parameter of a request that never fits would have to be smaller; None: neither, but the prompt."""
        first = choices[0]
        if len(choices) > 1 and pages_of(choices[:1]) <= self._pool.size:
            return "n"
        return "max_tokens" if pages_for(first.prompt_len + len(first.given) + 1) <= self._pool.size else None

    def next_step(self) -> Step:
        """Admit what fits, first come first served, and step everything that runs."""
        admitted = self._admit()
        self._recall_unread()
        if self._reading is None:
            self._begin_reading()
        self._join()
        return Step(tuple(self._running), tuple(admitted), self._reading, frozenset(self._awaiting()))

    def end_reading(self, *, is_read: bool = True) -> tuple[Sequence, ...]:
        """Take note that the prompts of `reading` are read: who asked is in the next steps, all choices of each.

        Args:
            is_read: False where it failed; those who asked have their prompts before them again.
        """
        for choices in self._readers if is_read else ():
            leader = choices[0]
            for sequence in choices:
                sequence.first, sequence.source, sequence.cached = leader.first, leader.pages, leader.prompt_len
        begun = [sequence for choices in self._readers for sequence in choices]
        self._running += begun
        self._leave_reading()
        return tuple(begun)

    def keep(self, sequence: Sequence, first: object) -> None:
        """Keep the prompt that `sequence` has read, and the logits after it, for those who ask the same again."""
        if (key := sequence.key) is not None:
            self._kept.keep(key, sequence.pages[: pages_for(sequence.prompt_len)], first)

    def purge(self, partition: str | None) -> list[int]:
        """Forget kept prompts, of one partition or all, and return the pages that were let go since the last purge.

        What is in hand goes on, but is not kept; `remains` has its pages once they are let go, and those of every
        prompt that is being read.
        """
        unread = [sequence for line in (self._waiting, self._unread, self._readers) for one in line for sequence in one]
        for sequence in (*unread, *self._running, *self._doomed):
            if partition in (None, sequence.partition):
                sequence.partition, sequence.is_purged = None, True
        for sequence in self.being_read:  # it writes over what others had in its pages, unless it breaks off
            sequence.is_purged = True
        self._kept.purge(partition)
        return self._pool.sweep()

    @property
    def being_read(self) -> list[Sequence]:
        """Those whose prompt is being read, and those that were cancelled meanwhile."""
        return [*(sequence for choices in self._readers for sequence in choices), *self._doomed]

    def unwritten(self) -> list[int]:
        """The rows that somebody has had before, and whoever holds or keeps them now has not written yet.

        Not those of a prompt that is being read: it writes them over, or they are in `remains` if it breaks off.
        """
        return self._pool.sweep_behind(
            [
                *((sequence.pages, 0) for choices in self._unread for sequence in choices),
                *((sequence.pages, sequence.prompt_len if sequence.choice == 0 else 0) for sequence in self.being_read),
                *((sequence.pages, sequence.written) for sequence in self._running),
                *self._kept.in_use(),
            ]
        )

    def remains(self) -> list[int]:
        """The pages that purged sequences have let go since this was last asked; nobody has taken them in between."""
        remains, self._remains = self._pool.sweep(self._remains), []
        return remains

    def end(self, sequence: Sequence) -> None:
        """Take a running sequence out of the batch and free its pages."""
        self._running.remove(sequence)
        self._free(sequence)

    def cancel(self, request: int) -> list[Sequence]:
        """Drop a request, waiting or running, and return the sequences that it still had."""
        dropped: list[Sequence] = []
        for line in (self._waiting, self._unread):
            for choices in [choices for choices in line if choices[0].request == request]:
                line.remove(choices)
                dropped += choices
        for sequence in [s for s in self._running if s.request == request]:
            self._running.remove(sequence)
            dropped.append(sequence)
        for sequence in dropped:
            self._free(sequence)
        for choices in [choices for choices in self._readers if choices[0].request == request]:
            self._readers.remove(choices)
            self._doomed += choices
            dropped += choices
            if not self._readers:
                self._leave_reading()
        return dropped

    def _admit(self) -> list[Sequence]:
        admitted: list[Sequence] = []
        while self._waiting:
            choices = self._waiting[0]
            kept = self._kept.find(choices[0].key)
            needed = pages_of(choices) - (choices[0].shareable if kept else 0)
            # Full pages of the prompt that is found are shared, not taken; the last one is copied, and may be taken.
            room = self._pool.free + self._pool.idle
            if kept:
                room -= self._pool.idle_of(kept.pages[: choices[0].shareable])
            if len(choices) > self._max_running - self.running or needed > room:
                break
            self._waiting.popleft()
            shared = self._pool.hold(kept.pages[: choices[0].shareable]) if kept else []
            while needed > self._pool.free:
                self._kept.drop_oldest()
            self._reserve(choices, shared)
            if kept:
                self._recall(choices, kept)
            else:
                self._unread.append(choices)
            admitted += choices
        return admitted

    def _reserve(self, choices: Choices, shared: list[int]) -> None:
        """Give each choice its pages; those that the prompt fills are the same for all."""
        for sequence in choices:
            if shared:
                first = shared if sequence is choices[0] else self._pool.hold(shared)
                sequence.pages = first + self._pool.take(pages_for(sequence.reserved_tokens) - len(shared))
            else:
                sequence.pages = self._pool.take(pages_for(sequence.reserved_tokens))
                shared = sequence.pages[: sequence.shareable]

    def _recall(self, choices: Choices, kept: KeptPrompt) -> None:
        for sequence in choices:
            sequence.first, sequence.source, sequence.cached = kept.first, list(kept.pages), sequence.prompt_len
        self._running += choices

    def _recall_unread(self) -> None:
        """Let those begin whose prompt another has read since they got their pages."""
        for choices in list(self._unread):
            if (kept := self._kept.find(choices[0].key)) is not None:
                self._unread.remove(choices)
                self._recall(choices, kept)

    def _begin_reading(self) -> None:
        """Choose who reads beside the others: a long prompt alone, or everyone there is while nobody writes."""
        if not self._running and sum(choices[0].prompt_len for choices in self._unread) <= self.slice_tokens:
            return  # they may as well be read in one forward
        for choices in list(self._unread):
            leader = choices[0]
            if self._running:
                if leader.prompt_len > self.slice_tokens:
                    self._readers = [choices]
                    break
            elif (
                not self._readers
                or sum(other[0].prompt_len for other in self._readers) + leader.prompt_len <= self._prefill_tokens
            ):
                if not self._is_being_read(leader):
                    self._readers.append(choices)
            else:
                break
        if self._readers:
            for choices in self._readers:
                self._unread.remove(choices)
            self._reading = Reading(tuple(choices[0] for choices in self._readers))

    def _join(self) -> None:
        """Let short prompts join the others' step."""
        left = self.slice_tokens
        for choices in list(self._unread):
            leader = choices[0]
            if leader.prompt_len <= left and not self._is_being_read(leader):
                self._unread.remove(choices)
                self._running += choices
                left -= leader.prompt_len

    def _is_being_read(self, leader: Sequence) -> bool:
        """Say whether another reads the same prompt for the same partition, and will have it kept."""
        key = leader.key
        return key is not None and any(other.key == key for other in self._read_now())

    def _read_now(self) -> list[Sequence]:
        """Who reads a prompt at the moment that will be kept."""
        leaders = [choices[0] for choices in self._readers] + [s for s in self._running if not s.cached]
        return [leader for leader in leaders if self._kept.takes(pages_for(leader.prompt_len))]

    def _awaiting(self) -> list[int]:
        """Requests that another in front of them will have read the prompt for."""
        awaiting: list[int] = []
        keys = {leader.key for leader in self._read_now()} if self._unread else set()
        for leader, *_ in self._unread:
            if leader.key is not None and leader.key in keys:
                awaiting.append(leader.request)
            if self._kept.takes(pages_for(leader.prompt_len)):
                keys.add(leader.key)
        return awaiting

    def _leave_reading(self) -> None:
        self._reading, self._readers = None, []
        for sequence in self._doomed:
            self._free(sequence)
        self._doomed = []

    def _free(self, sequence: Sequence) -> None:
        freed = self._pool.release(sequence.pages)
        if sequence.is_purged:
            self._remains += freed
        sequence.pages = []

    def _held_up(self) -> int:
        return held_up(self._waiting, self._pool.free + self._pool.idle, self._max_running - self.running)
