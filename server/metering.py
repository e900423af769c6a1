"""What an answer costs: reserved before the engine starts, counted while it writes."""

from collections.abc import Sequence
from dataclasses import replace

from anyio.to_thread import run_sync

from hrm_model.errors import InvalidPrompt
from hrm_model.types import Event, Prompt, Question, Sampling, Tokens
from server.errors import InvalidRequest
from server.limiter import Limiter, Turn
from server.ports import Engine, Speller
from server.spent import Spent


class Meter:
    """The tokens of one request."""

    def __init__(self, turn: Turn | None = None) -> None:
        """Charge them to `turn`; without one, to nobody."""
        self._turn = turn or Turn(Limiter(), ())
        self.spent = Spent()

    def check_length(self, max_tokens: int | None) -> None:
        """Refuse an answer that is to be longer than it may be.

        Raises:
            InvalidRequest: it is.
        """
        most = self._turn.max_tokens
        if max_tokens is not None and most is not None and max_tokens > most:
            raise InvalidRequest(f"'max_tokens' is at most {most} for you.", param="max_tokens")

    def check(self, max_tokens: int | None, n: int) -> None:
        """Refuse early what cannot be allotted, where something has to be looked up before the prompt is known.

        Raises:
            OverLimit, NeverWithin: there are not even tokens for the shortest prompt and these answers.
        """
        self._turn.check_tokens(1 + n * (max_tokens or 1))

    async def allot(
        self, prompts: Sequence[Prompt], sampling: Sampling, n: int, engine: Engine, speller: Speller
    ) -> list[Sampling]:
        """Reserve what these prompts and their answers may take; return each prompt's sampling.

        Raises:
            OverLimit, NeverWithin: see `Limiter.reserve`.
        """
        if not self._turn.counts_tokens and self._turn.max_tokens is None:
            return [sampling] * len(prompts)
        counts = await run_sync(lambda: [_count(prompt, engine, speller) for prompt in prompts])
        allotted, needed = list[Sampling](), 0
        for prompt, count in zip(prompts, counts, strict=True):
            given = len(prompt.ids) - max(1, prompt.prefix_len) if isinstance(prompt, Tokens) else 0
            most = sampling.max_tokens if count is None else self._longest(sampling, count, given, n, engine)
            allotted.append(replace(sampling, max_tokens=most))
            needed += 0 if count is None else count + n * (most or 0)
        self._turn.reserve(needed, certain=sum(count or 0 for count in counts))
        return allotted

    def hear(self, event: Event, generation: int = 0) -> None:
        """Count what an event says was used; `generation` is the number of its prompt."""
        self.spent.hear(event, generation)
        self._turn.used_tokens = self.spent.total

    def spend(self, tokens: int) -> None:
        """Take tokens that are used for certain.

        Raises:
            OverLimit, NeverWithin: see `Limiter.reserve`.
        """
        self._turn.reserve(tokens, certain=tokens)
        self.spent.prompt += tokens
        self._turn.used_tokens = self.spent.total

    def _longest(self, sampling: Sampling, tokens: int, given: int, n: int, engine: Engine) -> int | None:
        """The most tokens of one answer: what was asked for, or else what the engine or the caller's limit gives."""
        if sampling.max_tokens is not None:
            return sampling.max_tokens
        longest = engine.longest(tokens - given, n, given=given)
        if longest < 1:
            return None  # the engine refuses such a prompt, and says why
        return min(longest, self._turn.max_tokens or longest)


def _count(prompt: Prompt, engine: Engine, speller: Speller) -> int | None:
    """Tokens of a prompt; None where the engine refuses it, and the request with it, for what it is alone."""
    least = engine.least(prompt.text.strip()) if isinstance(prompt, Question) else len(prompt.ids)
    if least > engine.limits.context_tokens:  # as long as that is long enough for an answer of no tokens
        return None  # spelling a whole body takes gigabytes
    try:
        return len(speller.spelled(prompt).tokens)
    except InvalidPrompt:
        return None
