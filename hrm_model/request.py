"""One call of `generate`, as the engine thread knows it: checked, with its seed and its longest answer decided."""

import asyncio
import math
import secrets
import time
from collections.abc import Sequence as Items
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import islice

from hrm_model.answer import Answer
from hrm_model.drafts import Drafter, Indexed
from hrm_model.errors import ContextLengthExceeded, InvalidPrompt, InvalidSampling
from hrm_model.pages import PAGE_TOKENS
from hrm_model.ranges import check_sampling
from hrm_model.sampling import Drawn
from hrm_model.sequence import Sequence
from hrm_model.spelling import ids_of, least_ids
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Event, Limits, Prompt, Sampling, Tokens

MAX_CHOICES = 128
_MOST_BEFORE = 1024  # tokens that a stop string of 256 characters may begin in, a byte each


@dataclass(slots=True)
class Request:
    """A request and its way back to the event loop that waits for it."""

    number: int
    sequences: list[Sequence]
    answers: list[Answer]
    loop: asyncio.AbstractEventLoop
    inbox: "asyncio.Queue[Event | BaseException]"
    queued_at: float
    started_at: float = 0.0
    first_at: float = 0.0
    open: set[int] = field(default_factory=set)
    unsaid: dict[int, list[Drawn]] = field(default_factory=dict)  # choice -> tokens whose text is held back
    drafters: list[Drafter] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cancel:
    """The word that nobody waits for request `number` any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Purge:
    """The order to forget the prompts that were kept for `partition`; None: for all."""

    partition: str | None
    done: "Future[None]" = field(default_factory=Future)

    def tell(self) -> None:
        """Say that it is done, to whoever has not stopped waiting: a cancelled future takes no result."""
        if self.done.set_running_or_notify_cancel():
            self.done.set_result(None)


def open_request(
    number: int,
    prompt: Prompt,
    sampling: Sampling,
    n: int,
    limits: Limits,
    tokenizer: Tokenizer,
    draft_tokens: int,
    partition: str | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Request:
    """Check a request against the limits and prepare its choices. May be called from any thread.

    Args:
        loop: that will wait for it; None: the one that runs here.

    Raises:
        InvalidPrompt: token ids outside the vocabulary, an empty prompt, an untrained condition, n or max_tokens
            out of range.
        InvalidSampling: another field of `sampling` out of range.
        ContextLengthExceeded: prompt and answer do not fit the context.
    """
    if not 1 <= n <= MAX_CHOICES:
        raise InvalidPrompt(f"n is {n}; expected 1 to {MAX_CHOICES}")
    check_sampling(sampling, vocab_size=tokenizer.vocab_size)
    # A body may hold a text a thousand times as long as the context, which would take seconds to spell.
    if (least := least_ids(prompt, tokenizer)) > limits.context_tokens:
        is_counted = isinstance(prompt, Tokens)
        raise ContextLengthExceeded(least, limits.context_tokens, sampling.max_tokens, is_least=not is_counted)
    ids, prefix_len = ids_of(prompt, tokenizer)
    if sampling.max_tokens is not None and sampling.max_tokens < 0:
        raise InvalidPrompt(f"max_tokens is {sampling.max_tokens}; expected at least 0")
    if len(ids) + (1 if sampling.max_tokens is None else sampling.max_tokens) > limits.context_tokens:
        raise ContextLengthExceeded(len(ids), limits.context_tokens, sampling.max_tokens)
    # Something has to be read before anything can be drawn. One token reads the same as prompt and as answer.
    prompt_ids, given = ids[: max(1, prefix_len)], tuple(ids[max(1, prefix_len) :])
    # At least 1: where not even that fits, the scheduler says so.
    most = (
        max(1, longest(len(prompt_ids), n, limits, given=len(given)))
        if sampling.max_tokens is None
        else sampling.max_tokens
    )
    if sampling.ignore_eos and sampling.grammar is not None:
        raise InvalidSampling("ignore_eos", "an answer that its grammar has completed has to end")
    if sampling.min_tokens > most:
        raise InvalidSampling("min_tokens", f"{sampling.min_tokens} is more than the {most} that the answer may have")
    before = _last_with_bytes(prompt_ids, 3, tokenizer)  # a character has four bytes at most
    indexed = Indexed(prompt_ids)
    decided = _decided(sampling, len(given), tokenizer.control(END_ANSWER))
    return Request(
        number,
        [
            Sequence(
                number,
                choice,
                list(prompt_ids),
                len(prompt_ids),
                decided,
                len(given) + most,
                given=given,
                partition=partition,
            )
            for choice in range(n)
        ],
        [
            Answer(
                tokenizer,
                decided.stop_token_ids,
                sampling.stop,
                most,
                min_tokens=sampling.min_tokens,
                given=given[-_MOST_BEFORE:],
                prompt=before,
            )
            for _ in range(n)
        ],
        loop or asyncio.get_running_loop(),
        asyncio.Queue(),
        time.monotonic(),
        open=set(range(n)),
        drafters=[Drafter(indexed, draft_tokens) for _ in range(n)],
    )


def _last_with_bytes(ids: Items[int], most: int, tokenizer: Tokenizer) -> list[int]:
    """The last tokens that have bytes: control tokens have none, and end no character that is not complete."""
    return list(islice((token for token in reversed(ids) if tokenizer.token_bytes(token)), most))[::-1]


def longest(prompt_tokens: int, n: int, limits: Limits, *, given: int = 0) -> int:
    """Tokens of each of n answers that were given no `max_tokens`: the default, or what context and cache leave.

    Args:
        given: tokens that each answer begins with.

    Returns:
        Below 1 where they leave nothing.
    """
    shared = prompt_tokens // PAGE_TOKENS  # pages that the prompt fills, once for all
    each = (limits.kv_tokens // PAGE_TOKENS - shared) // n
    of_cache = (shared + each) * PAGE_TOKENS - prompt_tokens - given
    return min(limits.default_max_tokens, limits.context_tokens - prompt_tokens - given, of_cache)


def _decided(sampling: Sampling, given: int, end_token: int) -> Sampling:
    """Put in what drawing needs to know: a seed, which token closes an answer, and places counted from its start."""
    return replace(
        sampling,
        min_tokens=given + sampling.min_tokens if sampling.min_tokens else 0,
        seed=secrets.randbits(63) if sampling.seed is None else sampling.seed,
        stop_token_ids=tuple(dict.fromkeys((*sampling.stop_token_ids, end_token))),
        logit_bias=(*sampling.logit_bias, (end_token, -math.inf)) if sampling.ignore_eos else sampling.logit_bias,
    )
