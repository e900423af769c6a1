"""What the store says of its own work, for whoever measures it. Standard library only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from retrieval.types import DocumentStatus, Fault


@dataclass(frozen=True, slots=True)
class Worked:
    """Time that this process took for a step of ingestion: to parse one file, refused or not, or to embed one batch."""

    stage: Literal["parse", "embed"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A file that this process has read to its end; `fault` says what kept it out, None that searches find it."""

    fault: Fault | None


Observe = Callable[[Worked | Ended], None]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store at one moment, whichever processes work on it, and how far this process's index is."""

    documents: Mapping[DocumentStatus, int]
    failed: Mapping[Fault, int]  # of the failed documents, by what kept them out
    waiting: int  # files that are read or are to be read
    waiting_s: float  # since the oldest of them was handed in; 0 without any
    generation: int
    index_generation: int  # behind `generation` until the next search
    index_rows: int
    held_by_removed: int = 0  # documents of removed stores that are still to be taken out
