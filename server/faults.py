"""Errors for the log: by kind and place. What an exception says may quote a prompt, a document or a key.

And the one status that is nobody's fault, though it is none of success.
"""

from collections.abc import Iterator
from traceback import format_tb

CLIENT_LEFT = 499  # the status that proxies log for a client that hung up; nobody reads it


def kind_and_place(error: BaseException) -> str:
    """The kind of an error and of those behind it, each with the lines of code that it came through."""
    return "\n".join(
        f"{relation}{type(each).__name__}\n{''.join(format_tb(each.__traceback__))}".rstrip()
        for relation, each in _chain(error, "", set())
    )


def _chain(error: BaseException, relation: str, seen: set[int]) -> Iterator[tuple[str, BaseException]]:
    if id(error) in seen:  # chains can be tied into a ring
        return
    seen.add(id(error))
    yield relation, error
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _chain(part, "with ", seen)
    if error.__cause__ is not None:
        yield from _chain(error.__cause__, "from ", seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _chain(error.__context__, "while handling ", seen)
