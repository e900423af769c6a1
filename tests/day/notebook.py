"""What people were told on this day, and what they were promised: the other side of the server's own records."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from random import Random
from time import monotonic
from typing import Literal

from tests.day.people import PORTAL, Person

_CANARY = re.compile(r"kanari[a-z]{14}")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOPICS = ("north", "south", "river", "harbour")

# lost: asked for, and the server was gone before it answered. The next roll call finds out which it is.
State = Literal["asked", "kept", "asked to go", "gone"]


@dataclass
class Paper:
    """A document with a word that stands nowhere else, and who could read it from when to when."""

    number: int
    owner: Person
    topic: str
    canary: str
    reading: list[tuple[frozenset[str], float]]  # names, and until when; the last one holds now
    file_id: str | None = None
    state: State = "asked"
    attached: Literal["no", "asked", "yes"] = "no"
    withdrawal_asked: bool = False
    is_certified: bool = False  # that nothing is left of it

    @property
    def filename(self) -> str:
        return f"paper-{self.number}.txt"

    @property
    def text(self) -> str:
        return f"The code of the {self.topic} vault is {self.canary}. Ask at the desk of that vault before noon."

    @property
    def readers(self) -> frozenset[str]:
        """Who may read it now."""
        return self.reading[-1][0]

    def was_open_to(self, person: Person, began: float) -> bool:
        """Could somebody be shown it in an answer that was asked for at that time?"""
        return any(names & person.names and began < until for names, until in self.reading)

    def close_to_all_but(self, names: frozenset[str]) -> None:
        """From now on it is for these alone."""
        self.reading[-1] = (self.readers, monotonic())
        self.reading.append((names, inf))


@dataclass(frozen=True, slots=True)
class Told:
    """One request, and what its client heard."""

    request: str
    person: Person
    what: str
    life: int
    status: int | None  # None: nothing, the server was gone
    is_begun: bool = False  # an answer of which something came
    is_whole: bool = False  # an answer that came to its end
    was_left: bool = False  # by the client
    is_recorded: bool | None = True  # whether such a request leaves a record; None: it may
    choices: tuple[tuple[str, str], ...] = ()  # text and reason of the end, of an answer
    tokens: tuple[int, int] | None = None  # prompt and completion, where that was asked for
    cited: tuple[str, ...] = ()  # files


@dataclass
class Notebook:
    """All of it, and what was wrong at once."""

    random: Random
    papers: list[Paper] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    requests: int = 0

    def next_request(self) -> str:
        self.requests += 1
        return f"day-{self.requests}"

    def new_paper(self, owner: Person, group: str | None) -> Paper:
        """A paper that is about to be handed in: for a group, or for its owner alone."""
        canary = "kanari" + "".join(self.random.choices(_LETTERS, k=14))
        names = {owner.principal} if group is None else {owner.principal, f"group:{group}"}
        topic = self.random.choice(TOPICS)
        self.papers.append(Paper(len(self.papers), owner, topic, canary, [(frozenset(names), inf)]))
        return self.papers[-1]

    def access(self, paper: Paper) -> dict[str, list[str]]:
        """The lists to hand a paper in with; an application needs the right that its person has."""
        portal = [PORTAL] if paper.owner.is_behind_portal else []
        return {"read": sorted(paper.readers) + portal, "write": portal}

    def kept(self, owner: Person | None = None) -> list[Paper]:
        """Papers that are certainly there."""
        return [paper for paper in self.papers if paper.state == "kept" and owner in (None, paper.owner)]

    def check_told(self, person: Person, began: float, request: str, what: str, text: str) -> None:
        """Look for words that this person must not be told."""
        by_canary = {paper.canary: paper for paper in self.papers}
        for canary in set(_CANARY.findall(text)):
            if not by_canary[canary].was_open_to(person, began):
                self.problem(request, what, f"{person.name} was told {canary}, which is not for them (any more)")

    def check_files(self, person: Person, began: float, request: str, what: str, files: Iterator[str]) -> None:
        """The same for files that are named."""
        by_id = {paper.file_id: paper for paper in self.papers if paper.file_id}
        for file_id in files:
            # Whose id is not known yet was handed in, and the answer to that is still on its way.
            if file_id in by_id and not by_id[file_id].was_open_to(person, began):
                self.problem(request, what, f"{person.name} was told of {file_id}, which is not for them (any more)")

    def problem(self, request: str, what: str, said: str) -> None:
        self.problems.append(f"{request} ({what}): {said}")
