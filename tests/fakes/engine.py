"""An engine that says what the test tells it to, under the same contract as the real ones."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from itertools import pairwise

from hrm_model.errors import ContextLengthExceeded, EngineClosed, EngineOverloaded, NeverFits
from hrm_model.types import (
    Counts,
    Event,
    Failed,
    Finished,
    FinishReason,
    Limits,
    Load,
    Prompt,
    Question,
    Sampling,
    Seconds,
    Started,
    Text,
    TokenLogprob,
)

LIMITS = Limits(context_tokens=4096, kv_tokens=65536, default_max_tokens=512, max_context_tokens=2048)
# The condition and the two tokens that open and close a question.
_CONTROL_TOKENS = 2
Script = Callable[[Question], Sequence[str]]


class ScriptedEngine:
    """Answers with fixed pieces, or with what `script` makes of the prompt; every word is a token.

    Attributes:
        open: generations that have started and not ended; `busy` and `idle` say whether there are any.
        prompts, samplings: what was asked, in order.
        gate: while it is cleared, no piece after the first comes out.
    """

    def __init__(
        self,
        *pieces: str,
        script: Script | None = None,
        refusal: Exception | None = None,
        failure: Exception | None = None,
        fail_after: int = 0,
        limits: Limits = LIMITS,
        max_running: int = 64,
    ) -> None:
        """Raise `refusal` before `Started`; end every choice in `failure` after `fail_after` pieces."""
        self._script: Script = script or (lambda question: pieces)
        self._refusal = refusal
        self._failure = failure
        self._fail_after = fail_after
        self._limits = limits
        self._max_running = max_running
        self._closed = False
        self._cut_short = False
        self.busy, self.idle = asyncio.Event(), asyncio.Event()
        self.idle.set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.open = 0
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []

    @property
    def limits(self) -> Limits:
        return self._limits

    async def generate(self, prompt: Prompt, sampling: Sampling, *, n: int = 1) -> AsyncGenerator[Event, None]:
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        assert isinstance(prompt, Question), "this script reads questions"
        prompt_tokens = self.count([prompt.text])[0] + len(prompt.condition) + _CONTROL_TOKENS
        max_tokens = self._admit(prompt_tokens, sampling, n)
        self.open += 1
        self.idle.clear()
        self.busy.set()
        try:
            yield Started(prompt_tokens)
            pieces, reason = _cut(self._script(prompt), sampling.stop, max_tokens)
            for choice in range(n):
                async for event in self._choice(choice, pieces, reason, prompt_tokens, sampling):
                    yield event
        finally:
            self.open -= 1
            if not self.open:
                self.idle.set()
                self.busy.clear()

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def load(self) -> Load:
        return Load(running=self.open, kv_tokens=self._limits.kv_tokens)

    async def drain(self, timeout_s: float) -> None:
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.idle.wait()
        self._cut_short = True
        self.gate.set()

    def _admit(self, prompt_tokens: int, sampling: Sampling, n: int) -> int:
        if self._closed:
            raise EngineClosed("draining")
        if self._refusal is not None:
            raise self._refusal
        limits = self._limits
        if prompt_tokens + (sampling.max_tokens or 1) > limits.context_tokens:
            raise ContextLengthExceeded(prompt_tokens, limits.context_tokens, sampling.max_tokens)
        max_tokens = sampling.max_tokens or min(limits.default_max_tokens, limits.context_tokens - prompt_tokens)
        if (needed := n * (prompt_tokens + max_tokens)) > limits.kv_tokens:
            raise NeverFits(needed, limits.kv_tokens)
        if self.open >= self._max_running:
            raise EngineOverloaded(waiting=0, limit=0)
        return max_tokens

    async def _choice(
        self, choice: int, pieces: Sequence[str], reason: FinishReason, prompt_tokens: int, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        for number, piece in enumerate(pieces):
            if self._failure is not None and number == self._fail_after:
                yield Failed(choice, self._failure)
                return
            if number:
                await self.gate.wait()
            if self._cut_short:
                yield Failed(choice, EngineClosed("stopped"))
                return
            logprobs: tuple[TokenLogprob, ...] = ()
            if sampling.logprobs is not None:
                logprobs = (TokenLogprob(piece, -0.25, ((piece, -0.25),)[: sampling.logprobs]),)
            yield Text(choice, piece, tokens=1, logprobs=logprobs)
        await self.gate.wait()
        yield Finished(choice, reason, Counts(prompt_tokens, len(pieces) + (reason == "stop")), Seconds(0.0, 0.0, 0.0))


def _cut(pieces: Sequence[str], stop: Sequence[str], max_tokens: int) -> tuple[list[str], FinishReason]:
    text = "".join(pieces)
    ends = [at for string in stop if (at := text.find(string)) >= 0]
    bounds = [0]
    for piece in pieces:
        bounds.append(bounds[-1] + len(piece))
    end = min(ends, default=len(text))
    kept = [text[a : min(b, end)] for a, b in pairwise(bounds) if a < end]
    if len(kept) > max_tokens:
        return kept[:max_tokens], "length"
    return kept, "stop"
