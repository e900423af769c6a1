"""The native engine: one thread owns the device, the loop and it exchange messages only."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator
from collections.abc import Sequence as Items
from contextlib import suppress

from hrm_model.errors import EngineClosed, EngineError
from hrm_model.grammar import GrammarCompiler
from hrm_model.pages import PAGE_TOKENS
from hrm_model.request import Cancel, Purge, Request, longest, open_request
from hrm_model.runner import Runner
from hrm_model.scheduler import Scheduler
from hrm_model.sequence import Reading
from hrm_model.stepper import Stepper
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Event, Failed, Finished, Limits, Load, Prompt, Sampling

log = logging.getLogger(__name__)


class NativeEngine:
    """HRM-Text on torch. Implements the server's Engine port; see server/ports.py for the contract."""

    def __init__(
        self, runner: Runner, scheduler: Scheduler, tokenizer: Tokenizer, limits: Limits, *, draft_tokens: int = 0
    ) -> None:
        """Take the parts; `start()` begins.

        Args:
            draft_tokens: the most that is guessed ahead for one sequence in one step; 0 guesses nothing.
        """
        self._scheduler, self._tokenizer, self._limits = scheduler, tokenizer, limits
        self._draft_tokens = draft_tokens
        self._stepper = Stepper(runner, scheduler, tokenizer, draft_tokens=draft_tokens)
        self._grammars = GrammarCompiler(tokenizer)
        self._commands: queue.SimpleQueue[Request | Cancel | Purge | None] = queue.SimpleQueue()
        self._purged: list[tuple[Purge, Reading | None]] = []  # not told yet, and what was being read then
        self._next_number = 0
        self._open = 0  # calls of generate that have not returned; counted on the loop's side
        self._all_returned = asyncio.Event()
        self._unstarted: set[int] = set()  # requests whose first event has not come; also on the loop's side
        self._is_closed = False
        self._has_ended = False
        self._ending = threading.Lock()  # a request is queued before the thread's last look at the queue, or refused
        self._thread = threading.Thread(target=self._work, name="hrm-engine", daemon=True)

    def start(self) -> None:
        """Start the engine thread."""
        self._thread.start()

    @property
    def limits(self) -> Limits:
        return self._limits

    def count(self, texts: Items[str]) -> list[int]:
        return self._tokenizer.count(texts)

    def least(self, text: str) -> int:
        return self._tokenizer.least(text)

    def longest(self, prompt_tokens: int, n: int, *, given: int = 0) -> int:
        return longest(prompt_tokens, n, self._limits, given=given)

    def load(self) -> Load:
        stepper, began = self._stepper, self._stepper.step_began
        return Load(
            running=self._scheduler.running,
            waiting=len(self._unstarted),
            kv_tokens_used=self._scheduler.pages_used * PAGE_TOKENS,
            kv_tokens=self._limits.kv_tokens,
            step_age_s=None if began is None else time.monotonic() - began,
            drafted_tokens=stepper.drafted_tokens,
            accepted_tokens=stepper.accepted_tokens,
            asked_tokens=stepper.asked_tokens,
            reused_tokens=stepper.reused_tokens,
            kv_bytes=self._limits.kv_bytes,
            kept_tokens=self._scheduler.pages_kept * PAGE_TOKENS,
            is_alive=not self._has_ended,
        )

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, n: int = 1, partition: str | None = None
    ) -> AsyncGenerator[Event, None]:
        if self._is_closed:
            raise EngineClosed("the engine is shutting down")
        self._next_number += 1
        number, unfinished = self._next_number, set[int]()
        self._open += 1
        self._all_returned.clear()
        try:
            request = await self._opened(number, prompt, sampling, n, partition)
            with self._ending:
                if self._has_ended:
                    raise EngineClosed("the engine has shut down")
                self._commands.put(request)
            self._unstarted.add(number)
            unfinished.update(range(n))
            while unfinished:
                event = await request.inbox.get()
                self._unstarted.discard(number)
                if isinstance(event, BaseException):
                    unfinished.clear()
                    raise event
                if isinstance(event, Finished | Failed):
                    unfinished.discard(event.choice)
                yield event
        finally:
            self._unstarted.discard(number)
            self._open -= 1
            if not self._open:
                self._all_returned.set()
            if unfinished:
                self._commands.put(Cancel(number))

    async def _opened(self, number: int, prompt: Prompt, sampling: Sampling, n: int, partition: str | None) -> Request:
        # In a thread: thousands of tokens are spelled, and everybody else's answers pass through the loop meanwhile.
        request = await asyncio.to_thread(
            open_request,
            number,
            prompt,
            sampling,
            n,
            self._limits,
            self._tokenizer,
            self._draft_tokens,
            partition,
            loop=asyncio.get_running_loop(),
        )
        if sampling.grammar is not None:
            matchings = await self._grammars.compile(sampling.grammar, n, partition)
            for sequence, matching in zip(request.sequences, matchings, strict=True):
                sequence.matching = matching
        return request

    async def purge(self, partition: str | None = None) -> None:
        purge = Purge(partition)
        with self._ending:
            if self._has_ended or not self._thread.is_alive():
                return  # the cache has gone with its thread, or nothing has been read yet
            self._commands.put(purge)
        await asyncio.wrap_future(purge.done)

    async def drain(self, timeout_s: float) -> None:
        self._is_closed = True
        if self._open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_returned.wait(), timeout_s)
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Stop the thread; requests that still run end in `Failed`."""
        self._is_closed = True
        self._grammars.close()
        if self._thread.is_alive():
            self._commands.put(None)
            self._thread.join()
        else:
            self._finish()

    # The rest runs on the engine thread.

    def _work(self) -> None:
        try:
            self._stepper.settle()
            while self._take_commands():
                self._stepper.step()
        except Exception:
            log.exception("the engine's thread has died")
        finally:
            self._finish()

    def _finish(self) -> None:
        """Take no more, and tell everyone who still runs or waits: nobody may wait for a thread that is gone."""
        with self._ending:
            self._is_closed = self._has_ended = True
            while not self._commands.empty():
                match self._commands.get():
                    case Request() as request:
                        self._stepper.requests[request.number] = request
                    case Purge() as purge:
                        self._purged.append((purge, None))
            while self._purged:
                self._purged.pop()[0].tell()  # the cache has gone with its thread
        self._stepper.abandon(EngineClosed("the engine has shut down"))

    def _take_commands(self) -> bool:
        """Act on what the loop has sent, waiting for it when there is nothing else to do; False ends the thread."""
        block = self._scheduler.is_idle
        while True:
            self._tell_purged()
            try:
                command = self._commands.get(block=block)
            except queue.Empty:
                return True
            block = False
            match command:
                case None:
                    return False
                case Cancel(number):
                    self._stepper.cancel(number)
                case Purge():
                    self._purge(command)
                case Request():
                    self._stepper.add(command)

    def _purge(self, purge: Purge) -> None:
        """Purge; if it fails, tell who waits, and the thread ends too: it may be that nothing can be overwritten."""
        try:
            self._stepper.purge(purge.partition)
        except Exception as error:
            if purge.done.set_running_or_notify_cancel():
                failure = EngineError(f"the purge failed: {error}")
                failure.__cause__ = error
                purge.done.set_exception(failure)
            raise
        self._purged.append((purge, self._scheduler.reading))

    def _tell_purged(self) -> None:
        """Tell those whose purge is done: a prompt that was being read then is read, or given up."""
        reading, waiting = self._scheduler.reading, self._purged
        self._purged = [(purge, was) for purge, was in waiting if was is not None and was is reading]
        for purge, was in waiting:
            if was is None or was is not reading:
                purge.tell()
