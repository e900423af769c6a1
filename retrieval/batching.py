"""Chunks of many files embedded together: full batches of one length, whatever the files' sizes."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from retrieval.chunking import Chunk
from retrieval.embedder import Embedder
from retrieval.facts import Observe, Worked
from retrieval.parsed import Parsed
from retrieval.store.contents import StoredChunk
from retrieval.store.jobs import Job
from retrieval.types import PersonalDataKind

# Chunks in one forward pass; between two of them the lease is renewed, progress is told and a stop is noticed.
BATCH = 32
# Chunks that are sorted by length at a time, so that little of a batch is padding. A file waits for no more than these.
WINDOW = 512


@dataclass(slots=True, eq=False)
class Reading:
    """A file that has been read, and how many of its chunks have been embedded."""

    job: Job
    parsed: Parsed
    chunks: list[Chunk]
    stored: dict[int, StoredChunk] = field(default_factory=dict)  # by position
    personal_data: Mapping[PersonalDataKind, int] = field(default_factory=dict)  # found in it
    begun: int = 0  # chunks that are in a window, or were

    @property
    def is_complete(self) -> bool:
        return len(self.stored) == len(self.chunks)


class Pool:
    """Files between reading and commit, oldest first."""

    def __init__(self, embedder: Embedder, observe: Observe) -> None:
        self._embedder = embedder
        self._observe = observe
        self._readings: deque[Reading] = deque()

    def add(self, reading: Reading) -> None:
        self._readings.append(reading)

    def drop(self, reading: Reading) -> None:
        self._readings.remove(reading)

    @property
    def readings(self) -> list[Reading]:
        return list(self._readings)

    @property
    def is_full(self) -> bool:
        """Whether another file could add nothing to the next window."""
        return sum(len(reading.chunks) - reading.begun for reading in self._readings) >= WINDOW

    def embed(self, told: Callable[[list[Reading]], None]) -> Iterator[Reading]:
        """Embed the next window; yield the files that are complete with it, which are then no more in here.

        Args:
            told: called before each batch with the files whose chunks are in it. It may drop files.
        """
        window = sorted(self._window(), key=lambda item: item[0].chunks[item[1]].end - item[0].chunks[item[1]].start)
        for start in range(0, len(window), BATCH):
            batch = window[start : start + BATCH]
            told(list(dict.fromkeys(reading for reading, _ in batch)))
            self._embed([item for item in batch if item[0] in self._readings])
        while self._readings and self._readings[0].is_complete:
            yield self._readings.popleft()

    def _window(self) -> Iterator[tuple[Reading, int]]:
        left = WINDOW
        for reading in self._readings:
            taken = min(left, len(reading.chunks) - reading.begun)
            yield from ((reading, at) for at in range(reading.begun, reading.begun + taken))
            reading.begun += taken
            left -= taken

    def _embed(self, batch: list[tuple[Reading, int]]) -> None:
        if not batch:
            return
        chunks = [(reading, at, reading.chunks[at]) for reading, at in batch]
        texts = [reading.parsed.text[chunk.start : chunk.end] for reading, _, chunk in chunks]
        began = perf_counter()
        vectors = self._embedder.embed(
            [f"{chunk.title}\n{text}" for (_, _, chunk), text in zip(chunks, texts, strict=True)]
        ).astype(np.dtype("<f4"))
        self._observe(Worked("embed", perf_counter() - began))
        for (reading, at, chunk), text, vector in zip(chunks, texts, vectors, strict=True):
            reading.stored[at] = StoredChunk(
                chunk.start, chunk.end, chunk.title, text, vector.tobytes(), chunk.page, chunk.locator
            )
