"""The native engine: one thread owns the device, the loop and it exchange messages only."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator
from collections.abc import Sequence as Items
from contextlib import suppress

from hrm_model.errors import EngineClosed, EngineError, RequestRefused
from hrm_model.grammar import GrammarCompiler
from hrm_model.pages import PAGE_TOKENS
from hrm_model.request import Cancel, Request, open_request
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.scheduler import Scheduler, Sequence
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import (
    Counts,
    Event,
    Failed,
    Finished,
    Limits,
    Load,
    Prompt,
    Sampling,
    Seconds,
    Started,
    Text,
    TokenLogprob,
)

log = logging.getLogger(__name__)

DRAFTING_SEQUENCES = 4  # that may draft their fill in one step; more share what these would take


class NativeEngine:
    """HRM-Text on torch. Implements the server's Engine port; see server/ports.py for the contract."""

    def __init__(
        self, runner: Runner, scheduler: Scheduler, tokenizer: Tokenizer, limits: Limits, *, draft_tokens: int = 0
    ) -> None:
        """Take the parts; `start()` begins.

        Args:
            draft_tokens: the most that is guessed ahead for one sequence in one step; 0 guesses nothing.
        """
        self._runner, self._scheduler, self._tokenizer, self._limits = runner, scheduler, tokenizer, limits
        self._draft_tokens = draft_tokens
        self._drafted = self._accepted = 0
        self._end_token = tokenizer.control(END_ANSWER)
        self._grammars = GrammarCompiler(tokenizer)
        self._commands: queue.SimpleQueue[Request | Cancel | None] = queue.SimpleQueue()
        self._requests: dict[int, Request] = {}
        self._next_number = 0
        self._open = 0  # calls of generate that have not returned; counted on the loop's side
        self._all_returned = asyncio.Event()
        self._unstarted: set[int] = set()  # requests whose first event has not come; also on the loop's side
        self._is_closed = False
        self._has_ended = False
        self._ending = threading.Lock()  # a request is queued before the thread's last look at the queue, or refused
        self._step_began: float | None = None
        self._thread = threading.Thread(target=self._work, name="hrm-engine", daemon=True)

    def start(self) -> None:
        """Start the engine thread."""
        self._thread.start()

    @property
    def limits(self) -> Limits:
        return self._limits

    def count(self, texts: Items[str]) -> list[int]:
        return self._tokenizer.count(texts)

    def load(self) -> Load:
        began = self._step_began
        return Load(
            running=self._scheduler.running,
            waiting=len(self._unstarted),
            kv_tokens_used=self._scheduler.pages_used * PAGE_TOKENS,
            kv_tokens=self._limits.kv_tokens,
            step_age_s=None if began is None else time.monotonic() - began,
            drafted_tokens=self._drafted,
            accepted_tokens=self._accepted,
            is_alive=not self._has_ended,
        )

    async def generate(self, prompt: Prompt, sampling: Sampling, *, n: int = 1) -> AsyncGenerator[Event, None]:
        self._next_number += 1
        request = open_request(
            self._next_number, prompt, sampling, n, self._limits, self._tokenizer, self._draft_tokens
        )
        if sampling.grammar is not None:
            matching = await self._grammars.compile(sampling.grammar)
            for sequence in request.sequences:
                sequence.matching = matching.copy()
        with self._ending:
            if self._is_closed:
                raise EngineClosed("the engine is shutting down")
            self._commands.put(request)
        self._open += 1
        self._all_returned.clear()
        self._unstarted.add(request.number)
        unfinished = set(range(n))
        try:
            while unfinished:
                event = await request.inbox.get()
                self._unstarted.discard(request.number)
                if isinstance(event, BaseException):
                    unfinished.clear()
                    raise event
                if isinstance(event, Finished | Failed):
                    unfinished.discard(event.choice)
                yield event
        finally:
            self._unstarted.discard(request.number)
            self._open -= 1
            if not self._open:
                self._all_returned.set()
            if unfinished:
                self._commands.put(Cancel(request.number))

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
            while self._take_commands():
                self._step()
        except Exception:
            log.exception("the engine's thread has died")
        finally:
            self._finish()

    def _step(self) -> None:
        step = self._scheduler.next_step()
        if not step.sequences:
            return
        self._step_began = now = time.monotonic()
        for number in dict.fromkeys(sequence.request for sequence in step.admitted):
            request = self._requests[number]
            request.started_at = now
            request.send(Started(request.sequences[0].prompt_len))
        drafted = self._draft(step.sequences)
        try:
            results = self._runner.step(step.sequences)
        except Exception as error:
            # The batch's tensors are lost, the engine is not: everyone in this step is told.
            log.exception("a step of %d sequences failed", len(step.sequences))
            self._step_began = None
            for sequence in step.sequences:
                self._fail(sequence, error)
        else:
            self._step_began = None  # before anyone is told: who has an answer finds the engine at rest
            for sequence, result, guessed in zip(step.sequences, results, drafted, strict=True):
                self._learn(sequence, guessed, len(result) - 1)
                for drawn in result:
                    self._deliver(sequence, drawn)
                    if not sequence.pages:
                        break  # the answer has ended; what was drawn after its end is nobody's

    def _draft(self, sequences: Items[Sequence]) -> list[int]:
        """Guess ahead where few sequences share the step: a full batch is better filled with their next tokens.

        Returns:
            For each how much was guessed from its prompt; what its grammar forces is no guess to learn from.
        """
        guessed: list[int] = []
        room = self._draft_tokens * DRAFTING_SEQUENCES // max(1, len(sequences)) if self._draft_tokens else 0
        for sequence in sequences:
            answered = len(sequence.ids) - sequence.prompt_len
            most = min(room, sequence.max_tokens - answered - 1)
            drafter = self._requests[sequence.request].drafters[sequence.choice]
            matching, forced = sequence.matching, list[int]()
            # Not before the first token: choices that begin together share the reading of their prompt.
            if matching is not None and answered and most > 0:
                forced = matching.forced(most)
            proposed = [] if forced else drafter.propose(sequence.ids[sequence.prompt_len :], most)
            if matching is not None:
                proposed = matching.fitting(proposed)
            sequence.draft = forced or proposed
            guessed.append(len(proposed))
        return guessed

    def _learn(self, sequence: Sequence, drafted: int, accepted: int) -> None:
        if drafted:
            self._drafted, self._accepted = self._drafted + drafted, self._accepted + accepted
            answered = len(sequence.ids) + accepted + 1 - sequence.prompt_len
            self._requests[sequence.request].drafters[sequence.choice].learn(drafted, accepted, answered)

    def _finish(self) -> None:
        """Take no more, and tell everyone who still runs or waits: nobody may wait for a thread that is gone."""
        with self._ending:
            self._is_closed = self._has_ended = True
            while not self._commands.empty():
                if isinstance(command := self._commands.get(), Request):
                    self._requests[command.number] = command
        self._step_began = None
        for request in list(self._requests.values()):
            self._abandon(request)

    def _take_commands(self) -> bool:
        """Act on what the loop has sent, waiting for it when there is nothing else to do; False ends the thread."""
        block = self._scheduler.is_idle
        while True:
            try:
                command = self._commands.get(block=block)
            except queue.Empty:
                return True
            block = False
            match command:
                case None:
                    return False
                case Cancel(number):
                    self._scheduler.cancel(number)
                    self._requests.pop(number, None)
                case Request():
                    self._enqueue(command)

    def _enqueue(self, request: Request) -> None:
        try:
            self._scheduler.add(request.sequences)
        except RequestRefused as error:
            request.send(error)
        else:
            self._requests[request.number] = request

    def _deliver(self, sequence: Sequence, result: Drawn | NotFinite) -> None:
        if isinstance(result, NotFinite):
            fault = sequence.matching.fault if sequence.matching is not None else None
            return self._fail(sequence, fault or result)
        request = self._requests[sequence.request]
        answer = request.answers[sequence.choice]
        now = time.monotonic()
        if not request.first_at:
            request.first_at = now
        sequence.ids.append(result.token)
        if sequence.matching is not None:
            sequence.matching.accept(result.token)
        text = answer.push(result.token, is_last=sequence.matching is not None and sequence.matching.is_complete)
        if result.token != self._end_token:
            request.unsaid_tokens[sequence.choice] = request.unsaid_tokens.get(sequence.choice, 0) + 1
            request.unsaid.setdefault(sequence.choice, []).extend(self._logprobs(result))
        tokens = request.unsaid_tokens.get(sequence.choice, 0)
        if text or (answer.reason is not None and tokens):
            logprobs = tuple(request.unsaid.pop(sequence.choice, ()))
            request.unsaid_tokens[sequence.choice] = 0
            request.send(Text(sequence.choice, text, tokens, logprobs))
        if answer.reason is not None:
            counts = Counts(sequence.prompt_len, answer.tokens)
            seconds = Seconds(
                request.started_at - request.queued_at, request.first_at - request.started_at, now - request.first_at
            )
            self._end(sequence, Finished(sequence.choice, answer.reason, counts, seconds))
        return None

    def _logprobs(self, drawn: Drawn) -> tuple[TokenLogprob, ...]:
        if drawn.logprob is None:
            return ()
        name = self._tokenizer.decode
        top = tuple((name([token]), value) for token, value in drawn.top)
        return (TokenLogprob(name([drawn.token]), drawn.logprob, top),)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        failure = error if isinstance(error, EngineError) else EngineError(f"generation failed: {error}")
        if failure is not error:
            failure.__cause__ = error
        self._end(sequence, Failed(sequence.choice, failure))

    def _end(self, sequence: Sequence, event: Finished | Failed) -> None:
        self._scheduler.end(sequence)
        request = self._requests[sequence.request]
        request.open.discard(sequence.choice)
        if not request.open:
            del self._requests[request.number]
        request.send(event)

    def _abandon(self, request: Request) -> None:
        error = EngineClosed("the engine has shut down")
        has_started = request.started_at > 0
        self._scheduler.cancel(request.number)
        del self._requests[request.number]
        request.send(*((Failed(choice, error) for choice in request.open) if has_started else (error,)))
