"""How much one file may ask for before it is refused."""

from dataclasses import dataclass

from retrieval.chunking import MOST_CHUNKS

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file. What is beyond them is refused with the figure, never cut short unsaid."""

    file_bytes: int = 64 * MIB
    pages: int = 5_000  # pages, slides or sheets
    characters: int = 10_000_000  # of stored text: some 25,000 chunks
    seconds: int = 60  # of computing
    memory_bytes: int = 1024 * MIB  # address space of the process that reads it
    chunks: int = MOST_CHUNKS  # that the text may fall into

    @property
    def unpacked_bytes(self) -> int:
        """What an archive may unpack to: its trees take about four times as much."""
        return self.memory_bytes // 4

    @property
    def clock_s(self) -> float:
        """By the clock, on a machine that has other things to do."""
        return 4.0 * self.seconds
