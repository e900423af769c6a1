"""Reads files in a process of their own, which may crash, hang or be taken over without harm to this one."""

import logging
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic

from retrieval.errors import DocumentRefused, ReaderUnavailable
from retrieval.limits import Limits
from retrieval.parsed import Parsed
from retrieval.parsing.wire import LEAD, OUT_OF_MEMORY, Nonsense, announced, read_answer, request
from retrieval.types import Fault

log = logging.getLogger(__name__)

# A leak in a library does not add up over more files than these.
FILES_PER_PROCESS = 200
# What a process has read may still lie in its memory, also after it was deleted from the store.
IDLE_S = 10.0
# How often a wait tells that it goes on: lease and deadline are looked at there.
BEAT_S = 0.25
# Starting takes a tenth of a second; a busy machine may take its time.
_START_S = 60.0
_LAST_S = 5.0  # from the end of its pipes to its own
_PIECE = 1 << 16
_ANSWER_BYTES, _ANSWER_BYTES_A_CHARACTER = 1 << 20, 16
_ROOT = Path(__file__).parents[2]
# Environment and working folder are not the worker's business.
_ENVIRONMENT = {
    "PYTHONPATH": str(_ROOT),
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "1",
    "PYTHONNOUSERSITE": "1",
    # A library for matrices, which openpyxl loads for nothing here, would start a thread on each core.
    "OPENBLAS_NUM_THREADS": "1",
}

Beat = Callable[[], None]


class ParseProcess:
    """Starts a worker at the first file, uses it for many, and replaces it when it is worn out or gone."""

    def __init__(self, limits: Limits | None = None, *, files_per_process: int = FILES_PER_PROCESS) -> None:
        self.limits = limits or Limits()
        self._files_per_process = files_per_process
        self._worker: _Worker | None = None
        self._lock = threading.Lock()
        self._said_gaps = False
        self._used_at = 0.0

    def parse(self, path: Path, data: bytes, beat: Beat = lambda: None) -> Parsed:
        """Do as `retrieval.parse.parse`, within the limits of memory and time as well.

        Args:
            beat: called several times a second; what it raises ends the worker and comes out of here.

        Raises:
            DocumentRefused: the file cannot be read, or its reading ended the worker.
            ReaderUnavailable: no worker could be started, or talked to.
        """
        with self._lock:
            self._used_at = monotonic()
            worker = self._ready()
            try:
                number = worker.files + 1
                pieces = request(number, path, data)
                payload = worker.exchange(number, pieces, self.limits.clock_s, self._answer_bytes, beat)
                found = read_answer(path, payload)
                if isinstance(found, Parsed) and len(found.text) > self.limits.characters:
                    raise Nonsense
            except _Overtime as error:
                self._drop()
                raise DocumentRefused(path, _overtime(self.limits)) from error
            except _Ended as error:
                status = worker.status()
                self._drop()
                fault: Fault = "server_error" if -status == signal.SIGKILL else "invalid_file"
                raise DocumentRefused(path, _last_words(status, self.limits), fault) from error
            except Nonsense as error:
                self._drop()
                raise DocumentRefused(
                    path, "reading it went wrong; save it again in the program it comes from"
                ) from error
            except OSError as error:
                self._drop()
                raise ReaderUnavailable(error.strerror or str(error)) from error
            except BaseException:
                # Whatever ended the exchange: the rest of this file's answer would be taken for the next one's.
                self._drop()
                raise
            worker.files += 1
            if isinstance(found, DocumentRefused):
                raise found
            return found

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._worker.pid if self._worker else None

    def close(self) -> None:
        """End the worker; the next file starts another."""
        with self._lock:
            self._drop()

    def rest(self, idle_s: float = IDLE_S) -> None:
        """End the worker if no file has come for so long."""
        with self._lock:
            if monotonic() >= self._used_at + idle_s:
                self._drop()

    @property
    def _answer_bytes(self) -> int:
        # A character may come escaped, with a share of a heading or a row; and no answer is larger than the worker's
        # memory. What is read of it takes many times as much here.
        return min(self.limits.memory_bytes, _ANSWER_BYTES + _ANSWER_BYTES_A_CHARACTER * self.limits.characters)

    def _ready(self) -> "_Worker":
        if self._worker and (self._worker.files >= self._files_per_process or not self._worker.is_alive):
            self._drop()
        if self._worker is None:
            self._worker = _Worker(self.limits)
            if not self._said_gaps:
                for gap in self._worker.gaps:
                    log.warning("documents are read in a process that %s", gap)
                self._said_gaps = True
        return self._worker

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Overtime(Exception):
    """The worker has not answered in time."""


class _Ended(Exception):
    """The worker has ended without an answer."""


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, limits: Limits) -> None:
        try:
            reading, writing = os.pipe()
        except OSError as error:
            raise ReaderUnavailable(error.strerror or str(error)) from error
        sizes = (limits.memory_bytes, limits.seconds, limits.file_bytes, limits.pages, limits.characters)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "retrieval.parsing.worker", *map(str, sizes), str(reading)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd="/",
                env=_ENVIRONMENT,
                pass_fds=(reading,),
            )
        except OSError as error:
            os.close(writing)
            raise ReaderUnavailable(error.strerror or str(error)) from error
        finally:
            os.close(reading)
        # The other end of `writing` ends the worker when this process ends, however it does.
        self.end = weakref.finalize(self, _end, self._process, writing)
        self.files = 0
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None, "both were asked for"
            os.set_blocking(pipe.fileno(), False)
        try:
            self.gaps = self.exchange(0, [], _START_S, _PIECE, lambda: None).decode().splitlines()
        except (_Overtime, _Ended, OSError) as error:
            self.end()
            raise ReaderUnavailable("it did not start; standard error says why") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def status(self) -> int:
        """The exit status of a process that has closed its pipes; minus the number of a signal."""
        try:
            return self._process.wait(_LAST_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def exchange(self, number: int, pieces: list[bytes], seconds: float, limit: int, beat: Beat) -> bytes:
        """Send a message and wait for the answer, which may come before all of the message is read.

        Args:
            number: the message's, which its answer repeats.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None, "it was asked for"
        assert stdout is not None, "it was asked for"
        waiting = [memoryview(piece) for piece in pieces if piece]
        received = bytearray()
        deadline = monotonic() + seconds
        with DefaultSelector() as selector:
            selector.register(stdout, EVENT_READ)
            if waiting:
                selector.register(stdin, EVENT_WRITE)
            while len(received) < announced(received):
                beat()
                if monotonic() > deadline:
                    raise _Overtime
                for key, _ in selector.select(BEAT_S):
                    if key.fileobj is stdout:
                        piece = os.read(stdout.fileno(), _PIECE)
                        if not piece:
                            raise _Ended
                        received += piece
                        if max(len(received), announced(received)) > limit:
                            raise Nonsense
                    elif not _send(stdin.fileno(), waiting):
                        selector.unregister(stdin)
        answered, _ = LEAD.unpack_from(received)
        if answered != number or len(received) > announced(received):
            raise Nonsense
        return bytes(memoryview(received)[LEAD.size :])


def _send(pipe: int, waiting: list[memoryview]) -> bool:
    """Write what the pipe takes; say whether more is to come."""
    try:
        sent = os.write(pipe, waiting[0][:_PIECE])
    except BrokenPipeError:
        return False  # it has ended, which the other pipe tells as well
    waiting[0] = waiting[0][sent:]
    if not waiting[0]:
        waiting.pop(0)
    return bool(waiting)


def _end(process: "subprocess.Popen[bytes]", lifeline: int) -> None:
    os.close(lifeline)
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()


def _overtime(limits: Limits) -> str:
    unit = "second" if limits.seconds == 1 else "seconds"
    return f"reading it takes longer than {limits.seconds} {unit}; split it, or raise HRM_PARSE_SECONDS"


def _last_words(status: int, limits: Limits) -> str:
    """Why a worker has ended, for the person whose file did it."""
    if -status == signal.SIGXCPU:
        return _overtime(limits)
    mebibytes = limits.memory_bytes // 1024**2
    if status == OUT_OF_MEMORY:
        return f"reading it takes more than {mebibytes:,} MiB of memory; split it, or raise HRM_PARSE_MEMORY"
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    if -status == signal.SIGKILL:
        return (
            "the process that read it was killed, most likely because the machine ran out of memory; "
            "try again when less is going on, or split it"
        )
    return (
        f"reading it crashed its reader ({name}): it is damaged, or needs more than {mebibytes:,} MiB of memory; "
        "save it again in the program it comes from, split it, or raise HRM_PARSE_MEMORY"
    )
