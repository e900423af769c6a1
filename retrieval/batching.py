"""Chunks of many files embedded together: full batches of one length, evenly of all owners who have files in hand."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from retrieval.chunking import Chunk
from retrieval.embedder import Embedder, Vectors
from retrieval.facts import Observe, Worked
from retrieval.holding import later
from retrieval.parsed import Parsed
from retrieval.store.contents import StoredChunk
from retrieval.store.jobs import Job
from retrieval.types import PersonalDataKind

# These are counted in windows of the embedder, which are what takes time: a chunk of more tokens than one has several.
# What is embedded at a time, in several forward passes. Between two batches progress is told, and a stop is noticed, as
# is a file that is no longer wanted.
BATCH = 64
# What is sorted by length at a time, so that little of a batch is padding. A file waits for no more than these.
WINDOW = 512
# Of a file with more than a window, fewer go into each: whoever comes meanwhile does not wait for all 512.
LARGE_SHARE = 128
# Files of more than a window that are in hand at a time: each takes some 60 MB, with its text and vectors.
LARGE_AT_ONCE = 4
# Large files of one owner that were read and had to go back. With so many, nothing more of the owner's is read until
# one has its turn; before, small ones are.
ASIDE_EACH = 4
# While a batch is computed and there is nothing to read, this often is looked whether something has come.
IDLE_S = 1.0


@dataclass(slots=True, eq=False)
class Reading:
    """A file that has been read, and how much of it has been embedded."""

    job: Job
    parsed: Parsed
    chunks: list[Chunk]
    windows: list[int]  # of each chunk
    stored: dict[int, StoredChunk] = field(default_factory=dict)  # by position
    personal_data: Mapping[PersonalDataKind, int] = field(default_factory=dict)  # found in it
    begun: int = 0  # chunks that were drawn for a batch
    left: int = field(init=False)  # windows of the chunks that were not
    is_large: bool = field(init=False)

    def __post_init__(self) -> None:
        self.left = sum(self.windows)
        self.is_large = self.left > WINDOW

    def draw(self) -> int:
        """Take the next chunk; return its position."""
        at = self.begun
        self.begun += 1
        self.left -= self.windows[at]
        return at

    @property
    def is_complete(self) -> bool:
        return len(self.stored) == len(self.chunks)


class Pool:
    """Files between reading and commit, oldest first."""

    def __init__(self, embedder: Embedder, observe: Observe, clock: Callable[[], float]) -> None:
        self._embedder = embedder
        self._observe = observe
        self._clock = clock
        self._readings: list[Reading] = []
        self._aside: list[Job] = []  # of files that were too large beside those in hand
        self._in_batch: list[Reading] = []  # in hand when the batch that is under way began: its end counts their time

    def admit(self, reading: Reading) -> bool:
        """Take a file in, unless it is large and there are enough such in hand, or one of the same owner."""
        if reading.is_large and not self._has_room(reading.job.owner):
            self._aside.append(reading.job)
            return False
        self._aside = [job for job in self._aside if job.job_no != reading.job.job_no]
        self._readings.append(reading)
        return True

    def drop(self, reading: Reading) -> None:
        self._readings.remove(reading)

    def forget(self, job: Job) -> None:
        """Have a job aside no more: it is not wanted any longer."""
        self._aside.remove(job)

    @property
    def readings(self) -> list[Reading]:
        return list(self._readings)

    @property
    def has_batch(self) -> bool:
        """Whether there are chunks enough to begin with: the others can be read meanwhile."""
        return self._left >= BATCH

    @property
    def is_full(self) -> bool:
        """Whether another owner's file would leave each less than a batch of the next window."""
        return sum(min(left, BATCH) for left in self._left_of_each().values()) >= WINDOW

    @property
    def aside(self) -> Collection[Job]:
        """Jobs of large files for which there is no room now; the others of their owners go before them."""
        return [job for job in self._aside if not self._has_room(job.owner)]

    @property
    def barred(self) -> Collection[str]:
        """Owners of whom no other file is to be read yet: there is enough in hand of theirs, or too much aside.

        A large file bars nobody: the small ones behind it would wait for all of it.
        """
        enough = [owner for owner, left in self._left_of_each().items() if left >= BATCH]
        aside = [owner for owner, jobs in Counter(job.owner for job in self.aside).items() if jobs >= ASIDE_EACH]
        return {*aside, *(enough if self._left >= WINDOW else ())}

    def embed(self, told: Callable[[list[Reading]], None], meanwhile: Callable[[], bool]) -> Iterator[Reading]:
        """Embed the next window; yield each file that is complete with a batch, which is then no more in here.

        Args:
            told: called before each batch with the files whose chunks are in it. It may drop files.
            meanwhile: called again and again while a batch is computed; at once, if it says that there is more to do.
                It may admit files.
        """
        for batch in self._batches():
            told([reading for reading in dict.fromkeys(reading for reading, _ in batch) if reading in self._readings])
            self._embed([item for item in batch if item[0] in self._readings], meanwhile)
            for reading in [reading for reading in self._readings if reading.is_complete]:
                self.drop(reading)
                yield reading

    def wait(self, seconds: float) -> None:
        """Count time as nobody's: it went into a file that is not in here."""
        for reading in self._readings:
            if reading not in self._in_batch:
                reading.job = later(reading.job, seconds)

    def _has_room(self, owner: str) -> bool:
        """Whether a large file of this owner can be taken in."""
        owners = [reading.job.owner for reading in self._readings if reading.is_large]
        return len(owners) < LARGE_AT_ONCE and owner not in owners

    @property
    def _left(self) -> int:
        return sum(reading.left for reading in self._readings)

    def _left_of_each(self) -> Counter[str]:
        """What is left of the small files of each owner."""
        left: Counter[str] = Counter()
        for reading in self._readings:
            if not reading.is_large:
                left[reading.job.owner] += reading.left
        return left

    def _batches(self) -> Iterator[list[tuple[Reading, int]]]:
        """The next chunks, near lengths together."""
        batch: list[tuple[Reading, int]] = []
        size = 0
        for reading, at in sorted(self._window(), key=lambda item: _length(item[0].chunks[item[1]])):
            batch.append((reading, at))
            size += reading.windows[at]
            if size >= BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _window(self) -> Iterator[tuple[Reading, int]]:
        """The next chunks, each of the owner of whom there is least.

        Of each owner they are of small files and of a large one in turn, by the same measure; of small ones, the oldest
        file's first.
        """
        lines: dict[tuple[str, bool], deque[Reading]] = {}
        for reading in self._readings:
            if reading.left:
                lines.setdefault((reading.job.owner, reading.is_large), deque()).append(reading)
        wanted = sum(LARGE_SHARE if reading.is_large else reading.left for reading in self._readings)
        most = min(WINDOW, -(-wanted // BATCH) * BATCH)
        taken = Counter[tuple[str, bool]]()
        while lines and taken.total() < most:
            line = min(lines, key=lambda line: (taken[line[0], True] + taken[line[0], False], taken[line]))
            reading = lines[line][0]
            at = reading.draw()
            yield reading, at
            taken[line] += reading.windows[at]
            if not reading.left:
                lines[line].popleft()
            if not lines[line]:
                del lines[line]

    def _embed(self, batch: list[tuple[Reading, int]], meanwhile: Callable[[], bool]) -> None:
        if not batch:
            return
        chunks = [(reading, at, reading.chunks[at]) for reading, at in batch]
        texts = [reading.parsed.text[chunk.start : chunk.end] for reading, _, chunk in chunks]
        titled = [f"{chunk.title}\n{text}" for (_, _, chunk), text in zip(chunks, texts, strict=True)]
        began_at, self._in_batch = self._clock(), self.readings
        try:
            with ThreadPoolExecutor(1) as aside:
                computed = aside.submit(self._computed, titled)
                while not computed.done():
                    if not meanwhile():
                        wait_for([computed], IDLE_S)
            vectors, took_s = computed.result()
        finally:
            waited, self._in_batch = self._in_batch, []
        shares = Counter[Reading]()
        for reading, at in batch:
            shares[reading] += reading.windows[at]
        for reading in waited:
            own_s = took_s * shares[reading] / shares.total()
            reading.job = later(reading.job, max(0.0, self._clock() - began_at - own_s))
        for (reading, at, chunk), text, vector in zip(chunks, texts, vectors, strict=True):
            reading.stored[at] = StoredChunk(
                chunk.start, chunk.end, chunk.title, text, vector.tobytes(), chunk.page, chunk.locator
            )

    def _computed(self, texts: list[str]) -> tuple[Vectors, float]:
        """Vectors as they are stored, and the seconds that they took."""
        began, began_at = perf_counter(), self._clock()
        vectors = self._embedder.embed(texts).astype(np.dtype("<f4"))
        took_s = self._clock() - began_at
        self._observe(Worked("embed", perf_counter() - began))
        return vectors, took_s


def _length(chunk: Chunk) -> int:
    return chunk.end - chunk.start
