"""Spans as the server knows them: a small port, and the span that whatever runs now belongs to.

Facts are counts, names of the code's, and the model's name; never what was asked, answered, searched or stored.
Without a tracer (server/otel.py has the one there is) every span is `NOTHING`, which does nothing.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

Fact = str | int | float | bool | Sequence[str]
Facts = Mapping[str, Fact]


class Span(Protocol):
    """A piece of work with a beginning and an end. May be used from any thread."""

    def child(self, name: str, facts: Facts) -> "Span":
        """Begin a piece of this one."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that was not known when it began."""
        ...

    def note(self, facts: Facts) -> None:
        """Add facts; one that is there already is replaced."""
        ...

    def end(self, error: str | None = None) -> None:
        """End it.

        Args:
            error: the kind of error that it ended in, a word of the code's; None: it ended well.
        """
        ...


class Tracer(Protocol):
    """Where spans come from."""

    def request(self, name: str, facts: Facts, headers: Mapping[str, str]) -> Span:
        """Begin the span of a request, as a part of the trace that its headers name (W3C Trace Context)."""
        ...


class _Nothing:
    """No span."""

    def child(self, name: str, facts: Facts) -> Span:
        return self

    def rename(self, name: str) -> None:
        pass

    def note(self, facts: Facts) -> None:
        pass

    def end(self, error: str | None = None) -> None:
        pass


NOTHING: Span = _Nothing()
# Tasks and threads that the work begins inherit it.
_current: ContextVar[Span] = ContextVar("span", default=NOTHING)


def current() -> Span:
    """The span of the work that is being done."""
    return _current.get()


@contextmanager
def within(span: Span) -> Iterator[Span]:
    """Make a span the current one for a block of one task; it does not end with the block."""
    token = _current.set(span)
    try:
        yield span
    finally:
        _current.reset(token)


@contextmanager
def spanned(name: str, facts: Facts) -> Iterator[Span]:
    """Put a span around a block of one task."""
    with within(current().child(name, facts)) as span:
        try:
            yield span
        except BaseException as error:
            span.end(kind_of(error))
            raise
        span.end()


def kind_of(error: BaseException) -> str | None:
    """The kind of an error, without its words, which may quote a request; None: somebody left, which is no error."""
    return None if isinstance(error, asyncio.CancelledError | GeneratorExit) else type(error).__name__
