"""The process that reads files which strangers made: one after the other from stdin, answers to stdout.

    python -m retrieval.parsing.worker MEMORY_BYTES SECONDS FILE_BYTES PAGES CHARACTERS LIFELINE

It is started by `retrieval.parsing.process`, and ends when the pipe LIFELINE does.
"""

import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from retrieval.errors import DocumentRefused
from retrieval.formats.damage import reason_of
from retrieval.limits import Limits
from retrieval.parse import parse
from retrieval.parsed import Parsed
from retrieval.parsing.sandbox import allow_seconds, confine, end_with
from retrieval.parsing.wire import HEAD, LEAD, OUT_OF_MEMORY, answer


def main() -> None:
    memory, seconds, file_bytes, pages, characters, lifeline = map(int, sys.argv[1:])
    limits = Limits(file_bytes, pages, characters, seconds, memory)
    end_with(lifeline)
    # At a terminal it comes to the whole group, and the parent ends this process when it wants to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # Nothing that a library prints, of a document perhaps, is to reach the answers or a log.
    nowhere, errors = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        gaps = confine(limits.memory_bytes, lifeline)
    except Exception as error:  # no document has been seen yet, and what starts this refers to standard error
        os.write(errors, f"a reader of documents could not be confined: {error!r}\n".encode())
        raise
    os.close(errors)
    _send(answers, 0, "\n".join(gaps).encode())
    while head := sys.stdin.buffer.read(HEAD.size):
        number, name_bytes, data_bytes = HEAD.unpack(head)
        allow_seconds(limits.seconds)
        try:
            payload = answer(_found(sys.stdin.buffer, name_bytes, data_bytes, limits))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)  # no state that a library is left in is to be relied on
        _send(answers, number, payload)


def _found(requests: BinaryIO, name_bytes: int, data_bytes: int, limits: Limits) -> Parsed | DocumentRefused:
    """What the next file holds, or why it is refused."""
    path = Path(os.fsdecode(requests.read(name_bytes)))
    try:
        return parse(path, requests.read(data_bytes), limits)
    except DocumentRefused as error:
        return error
    except MemoryError:
        raise
    except RecursionError:
        return DocumentRefused(path, "what is in it is nested too deeply; simplify it")
    except Exception as error:  # noqa: BLE001  # whatever a library raises is about this file, and the next may be fine
        return DocumentRefused(path, reason_of(error, "the program it comes from"))


def _send(answers: BinaryIO, number: int, payload: bytes) -> None:
    answers.write(LEAD.pack(number, len(payload)))
    answers.write(payload)
    answers.flush()


if __name__ == "__main__":
    main()
