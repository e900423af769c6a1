"""What the engine's thread does: requests in, steps, events out. It has no thread and no queue of its own."""

import logging
import time
from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass

from hrm_model.errors import EngineError, RequestRefused
from hrm_model.outbox import Outbox
from hrm_model.request import Request
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.scheduler import Scheduler
from hrm_model.sequence import Reading, Sequence, Step
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Counts, Failed, Finished, FinishReason, Scored, Seconds, Started, Text, TokenLogprob

log = logging.getLogger(__name__)

FAILED_STEPS = 8  # in a row, and nothing good between them: then it is the device or the engine, and no request
DRAFTING_SEQUENCES = 4  # that may draft their fill in one step; more share what these would take


@dataclass(frozen=True, slots=True)
class _Before:
    """A sequence as it was before a step, for the case that the step has to be made again."""

    cached: int
    draft: list[int]
    first: object
    source: list[int]


class Stepper:
    """Owns the requests, the scheduler and the runner; whoever calls it is the engine's thread."""

    def __init__(self, runner: Runner, scheduler: Scheduler, tokenizer: Tokenizer, *, draft_tokens: int) -> None:
        self.requests: dict[int, Request] = {}
        self.step_began: float | None = None  # time.monotonic of the running step, or part of one
        self.drafted_tokens = self.accepted_tokens = 0
        self.asked_tokens = self.reused_tokens = 0  # of prompts that might be, and were, found again
        self._runner, self._scheduler, self._tokenizer = runner, scheduler, tokenizer
        self._draft_tokens = draft_tokens
        self._unsure: list[Sequence] = []  # have pages; whether their prompts are found is not known yet
        self._fault: Exception | None = None  # of the running step
        self._is_good = False  # whether anything of the running step went well
        self._failed_steps = 0  # in a row
        self._outbox = Outbox()

    def settle(self) -> None:
        """Prepare the thread that is to make the steps, on that thread."""
        self._runner.settle()

    def add(self, request: Request) -> None:
        """Queue a request, or send it its refusal."""
        try:
            self._scheduler.add(request.sequences)
        except RequestRefused as error:
            self._outbox.put(request, error)
            self._outbox.post()
        else:
            self.requests[request.number] = request

    def cancel(self, number: int) -> None:
        """Forget a request that nobody waits for."""
        self._scheduler.cancel(number)
        self.requests.pop(number, None)
        self._unsure = [sequence for sequence in self._unsure if sequence.request != number]
        if remains := self._scheduler.remains():
            self._overwrite(remains)

    def purge(self, partition: str | None) -> None:
        """Forget the prompts that were kept for a partition, or all, and overwrite what ended answers have left.

        Answers that are being written go on; their prompts are not kept, and what they leave is overwritten in the end.
        What others had in the pages of a prompt that is being read is gone once it is read.
        """
        self._overwrite(self._scheduler.purge(partition), self._scheduler.unwritten())

    def abandon(self, error: EngineError) -> None:
        """Tell every request that it ends here."""
        self.step_began = None
        for request in list(self.requests.values()):
            has_started = request.started_at > 0
            self._scheduler.cancel(request.number)
            del self.requests[request.number]
            told = [Failed(choice, error) for choice in request.open] if has_started else [error]
            self._outbox.put(request, *told)
        self._outbox.post()

    def step(self) -> None:
        """Make one step of whatever there is to do.

        Raises:
            EngineError: nothing has gone well for so many steps that nothing will.
        """
        step = self._scheduler.next_step()
        if not step.sequences and step.reading is None:
            return
        self.step_began = now = time.monotonic()
        self._is_good = False
        self._greet(step, now)
        if step.sequences:
            self._write(step.sequences, self._draft(step.sequences))
            self._outbox.post()  # reading may take longer than anybody should wait for what is written
        if step.reading is not None:
            self._read(step.reading)
            self._outbox.post()
        if remains := self._scheduler.remains():
            self._overwrite(remains)
        self.step_began = None
        fault, self._fault = self._fault, None  # its frames hold prompts
        self._failed_steps = self._failed_steps + 1 if fault is not None and not self._is_good else 0
        if self._failed_steps == FAILED_STEPS:
            raise EngineError(f"{FAILED_STEPS} steps in a row have failed") from fault

    def _overwrite(self, pages: list[int], rows: Items[int] = ()) -> None:
        self.step_began = time.monotonic()
        self._runner.clear(pages)
        if rows:
            self._runner.clear_rows(list(rows))
        self.step_began = None

    def _greet(self, step: Step, now: float) -> None:
        newcomers = [*self._unsure, *step.admitted]
        self._unsure = [sequence for sequence in newcomers if sequence.request in step.awaiting]
        for sequence in newcomers:
            request = self.requests[sequence.request]
            if not request.started_at and sequence.request not in step.awaiting:
                request.started_at = now
                reused = sequence.prompt_len if sequence.first is not None else 0
                if sequence.partition is not None:
                    self.asked_tokens, self.reused_tokens = (
                        self.asked_tokens + sequence.prompt_len,
                        self.reused_tokens + reused,
                    )
                self._outbox.put(request, Started(sequence.prompt_len + len(sequence.given), reused))
        self._outbox.post()

    def _read(self, reading: Reading) -> None:
        """Read a slice of long prompts, and begin the answers of those that have been read."""
        self.step_began = time.monotonic()  # anew: what was written before it has been delivered
        layers = max(1, self._scheduler.slice_tokens * self._runner.layers // reading.tokens)
        try:
            is_read = self._runner.read(reading, layers)
        except Exception as error:
            log.exception("reading %d prompts failed", len(reading.leaders))
            self._fault = error
            begun = self._scheduler.end_reading(is_read=False)
            if len(reading.leaders) == 1:
                for sequence in begun:
                    self._fail(sequence, error)
            else:
                self._retry(begun)
        else:
            self._is_good = True
            if is_read:
                self._write(self._scheduler.end_reading())

    def _write(self, sequences: Items[Sequence], guessed: Items[int] = ()) -> None:
        """Make one forward and tell everyone in it; if it fails, find out whose fault it was.

        Args:
            guessed: tokens of each one's draft that were guessed and not forced; none: nobody guessed.
        """
        self.step_began = time.monotonic()
        before = [_Before(s.cached, list(s.draft), s.first, s.source) for s in sequences]
        try:
            results = self._runner.step(sequences)
        except Exception as error:
            log.exception("a step of %d sequences failed", len(sequences))
            self._fault = error
            for sequence, was in zip(sequences, before, strict=True):
                sequence.cached, sequence.draft, sequence.first = was.cached, was.draft, was.first
                # What was copied is not copied again: its source may be somebody else's by now.
                sequence.source = was.source if sequence.source else []
            if len({sequence.request for sequence in sequences}) > 1:
                self._retry(sequences)
            else:
                for sequence in sequences:
                    self._fail(sequence, error)
            return
        self._is_good = True
        for sequence, result in zip(sequences, results, strict=True):
            if sequence.fresh is not None and not isinstance(result[0], NotFinite):
                self._scheduler.keep(sequence, sequence.fresh)
            sequence.fresh = None
        self.step_began = None  # before anyone is told: who has an answer finds the engine at rest
        for sequence, result, drafted in zip(sequences, results, guessed or [0] * len(sequences), strict=True):
            self._learn(sequence, drafted, len(result) - 1)
            for drawn in result:
                self._deliver(sequence, drawn)
                if not sequence.pages:
                    break  # the answer has ended; what was drawn after its end is nobody's

    def _retry(self, sequences: Items[Sequence]) -> None:
        """Make a failed step again, request by request, in their order; what it wrote is written over.

        What it copied stays, as a later request may have got and filled the page that it was copied from.
        """
        for number in dict.fromkeys(sequence.request for sequence in sequences):
            self._write([sequence for sequence in sequences if sequence.request == number])

    def _draft(self, sequences: Items[Sequence]) -> list[int]:
        """Guess ahead where few sequences share the step: a full batch is better filled with their next tokens.

        Returns:
            For each how much was guessed from its prompt; what was given, or its grammar forces, is no guess to learn
            from.
        """
        guessed: list[int] = []
        room = self._draft_tokens * DRAFTING_SEQUENCES // max(1, len(sequences)) if self._draft_tokens else 0
        scored = sum(0 < sequence.answered < len(sequence.given) for sequence in sequences)
        for sequence in sequences:
            answered = sequence.answered
            if answered < len(sequence.given):
                # Like a prompt that joins the others' step; and not before its first token either.
                most = min(max(1, self._scheduler.slice_tokens // max(1, scored)), sequence.max_tokens - answered - 1)
                sequence.draft = list(sequence.given[answered : answered + most]) if answered else []
                guessed.append(0)
                continue
            most = min(room, sequence.max_tokens - answered - 1)
            drafter = self.requests[sequence.request].drafters[sequence.choice]
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
            self.drafted_tokens, self.accepted_tokens = self.drafted_tokens + drafted, self.accepted_tokens + accepted
            answered = sequence.answered + accepted + 1
            self.requests[sequence.request].drafters[sequence.choice].learn(drafted, accepted, answered)

    def _deliver(self, sequence: Sequence, result: Drawn | NotFinite) -> None:
        if isinstance(result, NotFinite):
            fault = sequence.matching.fault if sequence.matching is not None else None
            return self._fail(sequence, fault or result)
        if sequence.answered < len(sequence.given):
            return self._score(sequence, result)
        if sequence.answered == sequence.max_tokens:
            return self._close(sequence)
        request = self.requests[sequence.request]
        answer = request.answers[sequence.choice]
        if not request.first_at:
            request.first_at = time.monotonic()
        sequence.ids.append(result.token)
        if sequence.matching is not None:
            sequence.matching.accept(result.token)
        text = answer.push(result.token, is_last=sequence.matching is not None and sequence.matching.is_complete)
        unsaid = request.unsaid.setdefault(sequence.choice, [])
        if result.token not in sequence.sampling.stop_token_ids:
            unsaid.append(result)
        if text or (answer.reason is not None and unsaid):
            said = unsaid[: len(unsaid) - answer.unsaid]
            # What a stop string cuts off has been drawn all the same.
            tokens = len(said) if answer.reason is None else len(unsaid)
            del unsaid[: len(said)]
            self._outbox.put(
                request,
                Text(sequence.choice, text, tokens, self._logprobs(said), tuple(drawn.token for drawn in said)),
            )
        if answer.reason is not None:
            self._finish(sequence, answer.reason)
        return None

    def _score(self, sequence: Sequence, given: Drawn) -> None:
        """Take note of how likely a token of the answer's given beginning was."""
        request = self.requests[sequence.request]
        sequence.ids.append(given.token)
        scored = request.unsaid.setdefault(sequence.choice, [])
        scored.append(given)
        if sequence.answered < len(sequence.given):
            return
        if logprobs := self._logprobs(request.unsaid.pop(sequence.choice)):
            self._outbox.put(request, Scored(sequence.choice, logprobs))
        if sequence.answered == sequence.max_tokens:
            self._close(sequence)

    def _close(self, sequence: Sequence) -> None:
        """End an answer of which nothing was to be drawn; what was given of it may end within a character."""
        request = self.requests[sequence.request]
        if rest := request.answers[sequence.choice].close():
            self._outbox.put(request, Text(sequence.choice, rest, 0))
        self._finish(sequence, "length")

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        request, now = self.requests[sequence.request], time.monotonic()
        first_at = request.first_at or now
        counts = Counts(sequence.prompt_len + len(sequence.given), request.answers[sequence.choice].tokens)
        seconds = Seconds(request.started_at - request.queued_at, first_at - request.started_at, now - first_at)
        self._end(sequence, Finished(sequence.choice, reason, counts, seconds))

    def _logprobs(self, tokens: Iterable[Drawn]) -> tuple[TokenLogprob, ...]:
        """Those of tokens that were drawn with them."""
        spelled = self._tokenizer.token_bytes
        return tuple(
            TokenLogprob(spelled(one.token), one.logprob, tuple((spelled(token), value) for token, value in one.top))
            for one in tokens
            if one.logprob is not None
        )

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        failure = error if isinstance(error, EngineError) else EngineError(f"generation failed: {error}")
        if failure is not error:
            failure.__cause__ = error
        self._end(sequence, Failed(sequence.choice, failure))

    def _end(self, sequence: Sequence, event: Finished | Failed) -> None:
        self._scheduler.end(sequence)
        request = self.requests[sequence.request]
        request.open.discard(sequence.choice)
        if not request.open:
            del self.requests[request.number]
        self._outbox.put(request, event)
