"""What can go wrong in the model and its engines: facts as attributes, no status codes."""

from pathlib import Path


class EngineError(Exception):
    """The engine failed through no fault of the request."""


class EngineClosed(EngineError):
    """The engine is draining or stopped and takes no new requests."""


class RequestRefused(Exception):
    """A request that the engine will not run, said before the first event."""


class EngineOverloaded(RequestRefused):
    """The waiting queue is full."""

    def __init__(self, waiting: int, limit: int) -> None:
        super().__init__(f"{waiting} requests are waiting; the queue holds at most {limit}.")
        self.waiting = waiting
        self.limit = limit


class ContextLengthExceeded(RequestRefused):
    """The prompt, or the prompt and the answer asked for, do not fit the model's context."""

    def __init__(
        self, prompt_tokens: int, limit: int, max_tokens: int | None = None, *, is_least: bool = False
    ) -> None:
        """Say how long it is; `is_least` says that it was not counted, and has so many tokens at least."""
        least = "at least " if is_least else ""
        asked = "" if max_tokens is None else f" and max_tokens is {max_tokens}"
        super().__init__(f"The prompt is {least}{prompt_tokens} tokens{asked}; the model reads at most {limit}.")
        self.prompt_tokens = prompt_tokens
        self.limit = limit
        self.max_tokens = max_tokens
        # None: the prompt.
        self.param = "max_tokens" if max_tokens is not None and prompt_tokens < limit and not is_least else None


class NeverFits(RequestRefused):
    """The request needs more cache than the engine has, even when nothing else runs."""

    def __init__(self, needed_tokens: int, kv_tokens: int, param: str | None = None) -> None:
        """Say what it needs; `param` is `n` or `max_tokens` where less of that would fit, and None for the prompt."""
        super().__init__(f"The request reserves {needed_tokens} tokens of cache; the engine has {kv_tokens}.")
        self.needed_tokens = needed_tokens
        self.kv_tokens = kv_tokens
        self.param = param


class InvalidPrompt(RequestRefused):
    """Token ids outside the vocabulary, an empty prompt, an untrained condition."""


class InvalidSampling(InvalidPrompt):
    """A value of `Sampling`, or the number of choices, that is out of range; `param` is its name."""

    def __init__(self, param: str, problem: str) -> None:
        super().__init__(f"{param}: {problem}")
        self.param = param


class InvalidGrammar(InvalidSampling):
    """A grammar that cannot be used; `place` is where in it the fault is, as `properties.age`, or empty."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__("grammar", f"{place}: {problem}" if place else problem)
        self.place = place
        self.problem = problem


class GrammarFault(EngineError):
    """A grammar that was taken turned out, in the middle of an answer, to need more work than one token may cost."""


class CheckpointError(Exception):
    """A folder that cannot be served; the message names the file, and the tensor or key in it."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
