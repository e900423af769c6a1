"""Who is next at the compiler of grammars: partitions take turns, so that none waits for all that another has asked.

Knows nothing of what is in a grammar.
"""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from hrm_model.errors import EngineOverloaded, InvalidGrammar
from hrm_model.grammar_matching import Matching
from hrm_model.types import Grammar


@dataclass(slots=True, eq=False)
class Reading:
    """A grammar in the compiler's hands, and what was found of it, for all prompts of a request that bring it."""

    grammar: Grammar
    partition: str | None
    asked: int = 0  # by so many who have not been answered
    source: str | None = None  # as the library takes it, once nothing was found wrong
    fault: InvalidGrammar | None = None


@dataclass(slots=True, eq=False)
class Asked:
    """A prompt that waits for its answers' matchings."""

    reading: Reading
    choices: int
    done: "Future[list[Matching]]" = field(default_factory=Future)


class Turns:
    """The line before the compiler. May be used from any thread."""

    def __init__(self, max_waiting: int, max_each: int) -> None:
        """Start empty.

        Args:
            max_waiting: grammars, those that are being compiled among them.
            max_each: of one partition.
        """
        self._max_waiting, self._max_each = max_waiting, max_each
        self._lock = threading.Lock()
        self._lines: dict[str | None, deque[Asked]] = {}  # by partition, whose turn it is first; none is empty
        # By identity: the prompts of one request have one grammar, and equal ones of two requests are two objects.
        self._readings: dict[tuple[str | None, int], Reading] = {}

    @property
    def asked(self) -> int:
        """Prompts that have not been answered."""
        with self._lock:
            return sum(reading.asked for reading in self._readings.values())

    def join(self, grammar: Grammar, choices: int, partition: str | None) -> Asked:
        """Take a place in the line of a partition; whoever does has to `leave`.

        Raises:
            EngineOverloaded: too many grammars wait, of this partition or altogether.
        """
        with self._lock:
            reading = self._readings.get((partition, id(grammar)))
            if reading is None:
                mine = sum(other.partition == partition for other in self._readings.values())
                for waiting, most in ((len(self._readings), self._max_waiting), (mine, self._max_each)):
                    if waiting >= most:
                        raise EngineOverloaded(waiting, most)
                reading = self._readings[partition, id(grammar)] = Reading(grammar, partition)
            reading.asked += 1
            asked = Asked(reading, choices)
            self._lines.setdefault(partition, deque()).append(asked)
            return asked

    def next(self) -> Asked | None:
        """Whose turn it is, taken out of the line; None: nobody waits."""
        with self._lock:
            if not self._lines:
                return None
            partition, line = next(iter(self._lines.items()))
            del self._lines[partition]
            asked = line.popleft()
            if line:
                self._lines[partition] = line  # behind all others
            return asked

    def leave(self, asked: Asked) -> None:
        """Go, answered or not."""
        reading = asked.reading
        with self._lock:
            line = self._lines.get(reading.partition, deque())
            if asked in line:
                line.remove(asked)
                if not line:
                    del self._lines[reading.partition]
            reading.asked -= 1
            if not reading.asked:
                del self._readings[reading.partition, id(reading.grammar)]
