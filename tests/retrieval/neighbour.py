"""The other end of `tests.retrieval.process`: starts it, talks to it, kills it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Neighbour:
    """A second process over the same data directory."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.acknowledged: list[str] = []

    def tell(self, **command: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is dead already, as it may have been told to be

    def hear(self) -> Any:
        """The next answer; None: it died first."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            match json.loads(line):
                case {"acknowledged": filename}:
                    self.acknowledged.append(filename)
                case {"answer": answer}:
                    return answer
                case said:
                    return said
        return None

    def ask(self, **command: object) -> Any:
        self.tell(**command)
        return self.hear()

    def kill(self) -> None:
        self._process.kill()
        self.hear_out()

    def hear_out(self) -> int:
        """Say that no command follows, listen until it ends, and return its exit status."""
        assert self._process.stdin is not None
        # A process that waited for more would never end where its trap is not reached.
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        while self.hear() is not None:
            pass
        return self._process.wait(60)


@contextmanager
def neighbour(data_dir: Path, *trap: str) -> Iterator[Neighbour]:
    """Start a process; with `trap` (function, event, nth) it kills itself there."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.retrieval.process", str(data_dir), *trap],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Neighbour(process)
        finally:
            process.kill()
