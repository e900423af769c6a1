"""How far an ingest is: a bar for a person at a terminal, a line now and then for a log."""

import sys
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retrieval import types
from server.commands.terminal import LINE_EVERY_S, printable


class FileProgress:
    """Counts files and chunks as they are reported, from any thread. Writes to standard error."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._done = 0
        self._chunks: dict[str, int] = {}
        self._began = self._said = perf_counter()
        self._lock = Lock()
        self._bar: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.fields[name]:24.24}", markup=False),
                BarColumn(bar_width=16),
                MofNCompleteColumn(),
                TextColumn("files, {task.fields[chunks]} chunks, {task.fields[rate]:.1f} files/s"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=files, name="", chunks=0, rate=0.0)

    def report(self, progress: types.Progress) -> None:
        """Note how far a file is."""
        with self._lock:
            self._chunks[progress.file_id] = progress.chunks
            self._done += progress.status != "in_progress"
            seconds, chunks = perf_counter() - self._began, sum(self._chunks.values())
            rate = self._done / seconds if seconds else 0.0
            if self._bar is not None:
                # A file counts by its share, so that a long one does not look like a halt.
                share = (
                    progress.chunks / progress.chunks_total
                    if progress.status == "in_progress" and progress.chunks_total
                    else 0
                )
                self._bar.update(
                    self._task,
                    completed=self._done + share,
                    name=printable(progress.filename),
                    chunks=chunks,
                    rate=rate,
                )
            elif perf_counter() - self._said >= LINE_EVERY_S:
                self._said = perf_counter()
                left = f", about {(self._files - self._done) / rate:.0f} s left" if rate else ""
                print(
                    f"{self._done} of {self._files} files, {chunks} chunks, {rate:.1f} files/s{left}",
                    file=sys.stderr,
                    flush=True,
                )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
