"""An engine that says what the test tells it to, under the same contract as the real ones."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from zlib import crc32

from hrm_model.errors import (
    ContextLengthExceeded,
    EngineClosed,
    EngineOverloaded,
    InvalidGrammar,
    InvalidPrompt,
    InvalidSampling,
    NeverFits,
)
from hrm_model.ranges import check_sampling
from hrm_model.schema import check_schema
from hrm_model.types import (
    Counts,
    Event,
    Failed,
    Finished,
    FinishReason,
    FunctionCall,
    Grammar,
    JsonSchema,
    Limits,
    Load,
    Prompt,
    Question,
    Sampling,
    Scored,
    Seconds,
    SpanOf,
    Spelled,
    Started,
    Text,
    TokenLogprob,
    is_trained,
)

LIMITS = Limits(context_tokens=4096, kv_tokens=65536, default_max_tokens=512, max_context_tokens=2048)
_MAX_CHOICES = 128
VOCABULARY = 300  # token ids, for the requests that name some; the script does not care about them
Script = Callable[[Prompt], Sequence[str]]


class ScriptedEngine:
    """Answers with fixed pieces, or with what `script` makes of the prompt.

    Every word of a prompt is a token, and so is every piece of an answer. It has no queue: what cannot run at once
    is refused.

    Attributes:
        open: generations that have started and not ended; `busy` and `idle` say whether there are any.
        prompts, samplings, partitions: what was asked, in order.
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
        self._script: Script = script or (lambda prompt: pieces)
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
        self._choices = 0
        self._reserved = 0
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []
        self.partitions: list[str | None] = []
        self._kept: set[tuple[str | None, Prompt]] = set()

    @property
    def limits(self) -> Limits:
        return self._limits

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, n: int = 1, partition: str | None = None
    ) -> AsyncGenerator[Event, None]:
        self.prompts.append(prompt)
        self.partitions.append(partition)
        self.samplings.append(sampling)
        prompt_tokens = len(_tokens_of(prompt))
        max_tokens = self._admit(prompt, prompt_tokens, sampling, n)
        reserved = prompt_tokens + n * max_tokens
        self.open += 1
        self._choices += n
        self._reserved += reserved
        self.idle.clear()
        self.busy.set()
        try:
            asked = (partition, prompt)
            yield Started(prompt_tokens, prompt_tokens if asked in self._kept else 0)
            if partition is not None:
                self._kept.add(asked)
            written = _write(self._script(prompt), sampling.stop, max_tokens)
            given = () if isinstance(prompt, Question) else _tokens_of(prompt)[max(1, prompt.prefix_len) :]
            for choice in range(n):
                if given and sampling.logprobs is not None:
                    yield Scored(choice, tuple(_likely(token, sampling.logprobs) for token in given))
                async for event in self._choice(choice, written, prompt_tokens, sampling):
                    yield event
        finally:
            self.open -= 1
            self._choices -= n
            self._reserved -= reserved
            if not self.open:
                self.idle.set()
                self.busy.clear()

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def least(self, text: str) -> int:
        return len(text.split()) // 2

    def longest(self, prompt_tokens: int, n: int, *, given: int = 0) -> int:
        limits = self._limits
        prompt_tokens += given
        left = (limits.kv_tokens - prompt_tokens) // n
        return min(limits.default_max_tokens, limits.context_tokens - prompt_tokens, left)

    def load(self) -> Load:
        return Load(
            running=self._choices,
            kv_tokens_used=self._reserved,
            kv_tokens=self._limits.kv_tokens,
            is_alive=not self._cut_short,
        )

    async def purge(self, partition: str | None = None) -> None:
        self._kept = {asked for asked in self._kept if partition not in (None, asked[0])}

    async def drain(self, timeout_s: float) -> None:
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.idle.wait()
        self._cut_short = True
        self.gate.set()

    def spelled(self, prompt: Prompt) -> Spelled:
        tokens = _tokens_of(prompt)
        text = prompt.text if isinstance(prompt, Question) else "".join(tokens)
        ids = tuple(map(id_of, tokens)) if isinstance(prompt, Question) else prompt.ids
        return Spelled(text, tuple(token.encode() for token in tokens), ids)

    def _admit(self, prompt: Prompt, prompt_tokens: int, sampling: Sampling, n: int) -> int:
        if self._closed:
            raise EngineClosed("draining")
        if self._refusal is not None:
            raise self._refusal
        limits = self._limits
        asked = sampling.max_tokens
        if not 1 <= n <= _MAX_CHOICES or (asked is not None and asked < 0):
            raise InvalidPrompt(f"n is {n}, max_tokens is {asked}")
        if isinstance(prompt, Question) and not is_trained(prompt.condition):
            raise InvalidPrompt(f"the condition is {prompt.condition}")
        check_sampling(sampling, vocab_size=VOCABULARY)
        _check_grammar(sampling.grammar)
        room = limits.context_tokens - prompt_tokens
        if room < (1 if asked is None else asked):
            raise ContextLengthExceeded(prompt_tokens, limits.context_tokens, asked)
        max_tokens = max(1, self.longest(prompt_tokens, n)) if asked is None else asked
        if sampling.min_tokens > max_tokens:
            raise InvalidSampling("min_tokens", f"{sampling.min_tokens} is more than {max_tokens}")
        if (needed := prompt_tokens + n * max_tokens) > limits.kv_tokens:
            alone, shortest = prompt_tokens + max_tokens, prompt_tokens + 1
            too_much = "n" if alone <= limits.kv_tokens else "max_tokens" if shortest <= limits.kv_tokens else None
            raise NeverFits(needed, limits.kv_tokens, too_much)
        if self.open >= self._max_running or self._reserved + needed > limits.kv_tokens:
            raise EngineOverloaded(waiting=0, limit=0)
        return max_tokens

    async def _choice(
        self, choice: int, written: "_Written", prompt_tokens: int, sampling: Sampling
    ) -> AsyncGenerator[Event, None]:
        for number, piece in enumerate(written.pieces):
            if self._failure is not None and number == self._fail_after:
                yield Failed(choice, self._failure)
                return
            if number:
                await self.gate.wait()
            if self._cut_short:
                yield Failed(choice, EngineClosed("stopped"))
                return
            ids, logprobs = tuple[int, ...](), tuple[TokenLogprob, ...]()
            if number < len(written.pieces) - written.cut:
                ids = (id_of(piece),)
                if sampling.logprobs is not None:
                    logprobs = (_likely(piece, sampling.logprobs),)
            yield Text(choice, piece, 1, logprobs, ids)
        await self.gate.wait()
        counts = Counts(prompt_tokens, len(written.pieces) + written.is_closed)
        yield Finished(choice, written.reason, counts, Seconds(0.0, 0.0, 0.0))


def id_of(piece: str) -> int:
    """A word's id, always the same."""
    return crc32(piece.encode()) % VOCABULARY


def _likely(piece: str, alternatives: int) -> TokenLogprob:
    return TokenLogprob(piece.encode(), -0.25, ((piece.encode(), -0.25),)[:alternatives])


def _check_grammar(grammar: Grammar | SpanOf | None) -> None:
    """Know schemas that cannot be kept; the script itself keeps to nothing."""
    match grammar:
        case JsonSchema(text):
            check_schema(text)
        case FunctionCall(functions):
            for number, (_, text) in enumerate(functions):
                try:
                    check_schema(text)
                except InvalidGrammar as error:
                    raise InvalidGrammar(f"[{number}].{error.place}", error.problem) from error


def _tokens_of(prompt: Prompt) -> tuple[str, ...]:
    """A word each, with what divides it from the next; ids are spelled as numbers, and control tokens are empty."""
    if isinstance(prompt, Question):
        return ("",) * (len(prompt.condition) + 1) + tuple(re.findall(r"\S+\s*", prompt.text.strip())) + ("",)
    if not prompt.ids or not 0 <= prompt.prefix_len <= len(prompt.ids):
        raise InvalidPrompt(f"{len(prompt.ids)} token ids with a prefix of {prompt.prefix_len}")
    if outside := [token for token in prompt.ids if not 0 <= token < VOCABULARY]:
        raise InvalidPrompt(f"token id {outside[0]} is outside the vocabulary of {VOCABULARY}")
    return tuple(f"<{token}>" for token in prompt.ids)


@dataclass(frozen=True, slots=True)
class _Written:
    """An answer's pieces, a token each; `is_closed` where a closing token follows them, `cut` have lost their text."""

    pieces: tuple[str, ...]
    reason: FinishReason
    is_closed: bool = False
    cut: int = 0


def _write(script: Sequence[str], stop: Sequence[str], max_tokens: int) -> _Written:
    """Take pieces until a stop string, the longest answer or the script's end, whichever comes first."""
    pieces: list[str] = []
    text = ""
    for piece in script[:max_tokens]:
        text += piece if stop else ""
        if found := [at for string in stop if (at := text.find(string)) >= 0]:
            # What of the stop string has been said already is taken back, as a real engine would have held it.
            left = tuple(_cut([*pieces, piece], min(found)))
            lost = sum(not now for was, now in zip([*pieces, piece], left, strict=True) if was)
            return _Written(left, "stop", cut=lost)
        pieces.append(piece)
    if len(pieces) == max_tokens:
        return _Written(tuple(pieces), "length")
    return _Written(tuple(pieces), "stop", is_closed=True)


def _cut(pieces: Sequence[str], end: int) -> Iterator[str]:
    """The same pieces, none of their text being past `end`."""
    at = 0
    for piece in pieces:
        yield piece[: max(0, end - at)]
        at += len(piece)
