"""Grammars tried out in a process of their own, so that one that takes for ever, or takes it down, harms nobody.

llguidance bounds most of its work, but not all: whether several patterns have a text in common may take longer than
anybody waits. Run as a module, this file is that process: a grammar a line as JSON, and back what is wrong with it.
"""

import atexit
import json
import resource
import select
import subprocess
import sys
import threading
import time
from functools import cache

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from hrm_model.errors import EngineError

# Per answer: 20,000 states are at most 40 MB, and a step's fuel about 15 ms (llguidance counts 14 units in 1 us).
LIMITS = LLParserLimits(
    max_lexer_states=20_000, max_grammar_size=200_000, step_lexer_fuel=200_000, verbose_errors=False
)
# The compiler descends into chains of references; 8 MiB of stack, which threads have, end after some 1,500 of them.
STACK_BYTES = 256 * 1024 * 1024
COMPILE_S = 5.0  # for one grammar; hundreds of properties take a tenth of a second
TOO_LONG = "it takes too long to compile"
_START_S = 60.0
_READY = b'"ready"\n'
_MEMORY_BYTES = 4 * 1024**3


class Trial:
    """The process, started at the first grammar and again after it was lost; one grammar at a time."""

    def __init__(self, *, start_s: float = _START_S) -> None:
        """Begin without a process; `start_s` is what it may take to be ready."""
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Be ready for a grammar.

        Raises:
            EngineError: the process cannot be started, or takes too long to.
        """
        with self._lock:
            self._running()

    def problem(self, source: str, deadline: float) -> str:
        """What is wrong with a grammar; empty for nothing.

        Args:
            source: as llguidance takes it.
            deadline: of `time.monotonic`.

        Raises:
            EngineError: see `start`.
        """
        with self._lock:
            if time.monotonic() >= deadline:
                return TOO_LONG
            process = self._running()
            assert process.stdin is not None, "it was started with pipes"
            try:
                process.stdin.write(json.dumps(source).encode() + b"\n")
                process.stdin.flush()
                answer = _line(process, deadline)
            except BrokenPipeError:
                answer = b""
            except BaseException:
                self._end()  # or what it says late would be taken for the next one's answer
                raise
            if answer:
                return str(json.loads(answer))
            self._end()
            return TOO_LONG if answer is None else "the compiler broke down over it"

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hrm_model.grammar_trial"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt from the terminal is for the server, which then ends this
            )
            try:
                said = _line(self._process, time.monotonic() + self._start_s)
            except BaseException:
                self._end()
                raise
            if said != _READY:
                self._end()  # or what it says late would be taken for an answer, and each answer for the next one's
                raise EngineError("the process that tries grammars out did not start")
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process:  # waits, and closes the pipes
                pass


@cache
def shared_trial(name: str) -> Trial:
    """The one of this process by that name; it ends with it."""
    trial = Trial()
    atexit.register(trial.close)
    return trial


def _line(process: "subprocess.Popen[bytes]", deadline: float) -> bytes | None:
    """A line that the process writes, empty where it has ended; None at the deadline."""
    assert process.stdout is not None, "it was started with pipes"
    said = b""
    watched = select.poll()  # select.select takes no descriptors from 1024 on, and each connection has one
    watched.register(process.stdout, select.POLLIN)
    while not said.endswith(b"\n"):
        if not watched.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return None
        piece = process.stdout.read1()  # type: ignore[attr-defined]  # a pipe's reader is buffered
        if not piece:
            return b""
        said += piece
    return said


def _answer() -> None:
    words = LLTokenizer("byte")  # what a grammar costs depends on the tokenizer only where the library counts it
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        # Whoever asked may be gone: then nobody is left to stop this process.
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + 4 * COMPILE_S) + 1, -1))
        matcher = LLMatcher(words, json.loads(line), log_level=0, limits=LIMITS)
        _say(_problem(matcher))


def _problem(matcher: LLMatcher) -> str:
    """What is wrong with a grammar, as far as its first token and what may follow that tell."""
    if not matcher.is_error():
        mask = int.from_bytes(matcher.compute_bitmask(), "little")
        if mask and not matcher.is_error():
            # A pattern that is too large for the library is at times only found out once something was said.
            first = (mask & -mask).bit_length() - 1
            if matcher.consume_token(first) and not matcher.is_stopped():
                matcher.compute_bitmask()
    return str(matcher.get_error())


def _say(what: str) -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Answer until nobody asks."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    threading.stack_size(STACK_BYTES)
    answering = threading.Thread(target=_answer)
    answering.start()
    answering.join()


if __name__ == "__main__":
    main()
