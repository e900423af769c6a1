"""What a key or a person may use up in a minute, and at once. In this process's memory; knows neither keys nor HTTP.

No span of 60 s ever holds more than a limit; of tokens that people share, none begins another request once it does.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from threading import Lock
from time import monotonic
from typing import Literal, NamedTuple

from server.identity import Limits
from server.refusals import Refusal
from server.window import MEMORY_S, Window

_COME_BACK_S = 1.0  # nobody knows when a running request will end

Resource = Literal["requests", "tokens"]


class Subject(NamedTuple):
    """Somebody whose use is counted."""

    name: str  # distinct for each; never told to anybody
    called: str  # in messages: `this key`
    limits: Limits
    is_shared: bool = False  # by people who are not to learn from what is left how much the others ask


class OverLimit(Exception):
    """A limit holds, for now: after `retry_after_s` the same fits, if nobody else has taken it by then."""

    def __init__(self, called: str, limit: int, what: str, retry_after_s: float) -> None:
        self.retry_after_s = max(1, ceil(retry_after_s))
        super().__init__(f"Rate limit reached: {called} may have {limit} {what}. Try again in {self.retry_after_s} s.")


class NeverWithin(Exception):
    """A request may take more tokens than there are in a minute, so that waiting does not help."""

    def __init__(self, called: str, asked: int, limit: int) -> None:
        super().__init__(
            f"The request may take {asked} tokens, prompt and answer together, and {called} may have {limit} "
            "a minute. Shorten the prompt, or the answer that is asked for."
        )


class Reserved(NamedTuple):
    """What a request may take, spent before it is."""

    tokens: int
    certain: int  # of these, what it takes in any case
    second: int  # in which it was done

    def of(self, subject: Subject) -> int:
        """What of it one subject has spent."""
        return self.certain if subject.is_shared else self.tokens


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a subject is from a limit."""

    resource: Resource
    limit: int
    remaining: int
    reset_s: float  # until nothing is used up any more


@dataclass(slots=True)
class _Account:
    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    running: int = 0
    used_at: float = 0.0


class Limiter:
    """The accounts of all subjects. May be used from any thread; those that are idle for a minute are forgotten."""

    def __init__(
        self, clock: Callable[[], float] = monotonic, refused: Callable[[Refusal], None] = lambda reason: None
    ) -> None:
        """Begin with nothing spent.

        Args:
            clock: seconds, never going back.
            refused: is told the limit that held, by its name in `Limits`.
        """
        self._clock = clock
        self._refused = refused
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._accounts)

    def admit(self, subjects: Sequence[Subject]) -> None:
        """Begin a request of all of these at once, or charge nobody for anything.

        Raises:
            OverLimit: somebody has no request left, or none at the same time.
        """
        with self._lock:
            now = self._clock()
            accounts = [self._account(subject, now) for subject in subjects]
            self._forget_idle(now, at_most=2 * len(subjects))  # whoever is refused has an account by now, too
            for subject, account in zip(subjects, accounts, strict=True):
                self._check_admission(subject, account, now)
            for account in accounts:
                account.requests.spend(1, now)
                account.running += 1

    def leave(self, subjects: Sequence[Subject]) -> None:
        """End a request that was admitted."""
        with self._lock:
            for subject in subjects:
                self._accounts[subject.name].running -= 1

    def check_tokens(self, subjects: Sequence[Subject], tokens: int) -> None:
        """Say whether so many tokens could be reserved now, and spend none.

        Raises:
            OverLimit: somebody has too few left; of those that are shared, none.
            NeverWithin: somebody never has as many.
        """
        with self._lock:
            self._check_tokens(subjects, tokens, self._clock())

    def reserve(self, subjects: Sequence[Subject], tokens: int, certain: int = 0) -> Reserved:
        """Spend tokens of everybody, or of nobody; of those that are shared, only what of them is certain to be used.

        Raises:
            OverLimit, NeverWithin: see `check_tokens`.
        """
        with self._lock:
            now = self._clock()
            self._check_tokens(subjects, tokens, now)
            reserved = Reserved(tokens, certain, floor(now))
            for subject in subjects:
                self._account(subject, now).tokens.spend(reserved.of(subject), now)
            return reserved

    def settle(self, subjects: Sequence[Subject], reserved: Reserved, used: int) -> None:
        """Return what was reserved and not used, and spend what was used beyond it."""
        with self._lock:
            now = self._clock()
            for subject in subjects:
                tokens, excess = self._account(subject, now).tokens, used - reserved.of(subject)
                if excess > 0:
                    tokens.spend(excess, now)
                else:
                    tokens.give_back(-excess, reserved.second)

    def standings(self, subjects: Sequence[Subject]) -> list[Standing]:
        """Of requests and of tokens, where they are limited, the standing of whoever has the least left.

        Nothing of those that are shared.
        """
        with self._lock:
            now = self._clock()
            found: dict[Resource, Standing] = {}
            for subject in (subject for subject in subjects if not subject.is_shared):
                account = self._account(subject, now)
                used: tuple[tuple[Resource, int | None, Window], ...] = (
                    ("requests", subject.limits.requests_per_minute, account.requests),
                    ("tokens", subject.limits.tokens_per_minute, account.tokens),
                )
                for resource, limit, window in used:
                    if limit is None:
                        continue
                    standing = Standing(resource, limit, max(0, limit - window.total), window.reset_s(now))
                    if resource not in found or standing.remaining < found[resource].remaining:
                        found[resource] = standing
            return list(found.values())

    def _account(self, subject: Subject, now: float) -> _Account:
        account = self._accounts.setdefault(subject.name, _Account())
        self._accounts.move_to_end(subject.name)
        account.used_at = now
        account.requests.forget(now)
        account.tokens.forget(now)
        return account

    def _forget_idle(self, now: float, at_most: int) -> None:
        """Look at those who were not seen for longest: more than can have come, so that they do not add up."""
        for _ in range(at_most):
            name, account = next(iter(self._accounts.items()))
            if account.used_at + MEMORY_S > now:
                return
            if account.running:
                self._accounts.move_to_end(name)
            else:
                del self._accounts[name]

    def _check_admission(self, subject: Subject, account: _Account, now: float) -> None:
        called, limits = subject.called, subject.limits
        at_once, a_minute = limits.concurrent_requests, limits.requests_per_minute
        if at_once is not None and account.running >= at_once:
            self._refused("concurrent_requests")
            raise OverLimit(called, at_once, "requests at the same time", _COME_BACK_S)
        if a_minute is not None and (wait := account.requests.wait_s(1, a_minute, now)):
            self._refused("requests_per_minute")
            raise OverLimit(called, a_minute, "requests a minute", wait)

    def _check_tokens(self, subjects: Sequence[Subject], tokens: int, now: float) -> None:
        limited = [(subject, limit) for subject in subjects if (limit := subject.limits.tokens_per_minute) is not None]
        for subject, limit in limited:  # all of them first: nobody is to wait for what never comes
            if tokens > limit:
                self._refused("tokens_per_minute")
                raise NeverWithin(subject.called, tokens, limit)
        for subject, limit in limited:
            # What fits and what does not would measure for one what the others have used, at no cost.
            fitting = 1 if subject.is_shared else tokens
            if wait := self._account(subject, now).tokens.wait_s(fitting, limit, now):
                self._refused("tokens_per_minute")
                raise OverLimit(subject.called, limit, "tokens a minute", wait)


class Turn:
    """One request's use of its subjects' limits, from its admission to its end."""

    def __init__(self, limiter: Limiter, subjects: Sequence[Subject]) -> None:
        self._limiter, self._subjects = limiter, subjects
        self._is_admitted = False
        self._reserved: Reserved | None = None
        self.used_tokens = 0

    @property
    def max_tokens(self) -> int | None:
        """What one answer may have at most; None: as much as the model can."""
        given = [subject.limits.max_tokens for subject in self._subjects if subject.limits.max_tokens is not None]
        return min(given, default=None)

    @property
    def counts_tokens(self) -> bool:
        """Whether somebody has a limit of tokens."""
        return any(subject.limits.tokens_per_minute is not None for subject in self._subjects)

    def admit(self) -> None:
        """See `Limiter.admit`."""
        self._limiter.admit(self._subjects)
        self._is_admitted = True

    def check_tokens(self, tokens: int) -> None:
        """See `Limiter.check_tokens`."""
        self._limiter.check_tokens(self._subjects, tokens)

    def reserve(self, tokens: int, certain: int = 0) -> None:
        """Once; see `Limiter.reserve`. It is settled at the end."""
        self._reserved = self._limiter.reserve(self._subjects, tokens, certain)

    def end(self) -> None:
        """Settle what was reserved; again changes nothing."""
        if self._reserved is not None:
            reserved, self._reserved = self._reserved, None
            self._limiter.settle(self._subjects, reserved, self.used_tokens)
        if self._is_admitted:
            self._is_admitted = False
            self._limiter.leave(self._subjects)

    def standings(self) -> list[Standing]:
        """See `Limiter.standings`."""
        return self._limiter.standings(self._subjects)
