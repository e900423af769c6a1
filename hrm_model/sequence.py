"""What the scheduler deals in: the choices of requests, prompts that are being read, and what the next step does."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.reuse import Key
from hrm_model.types import Sampling

if TYPE_CHECKING:
    from hrm_model.grammar_matching import Matching
    from hrm_model.spans import SpanMatching


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of one request."""

    request: int
    choice: int
    ids: list[int]  # prompt, then answer
    prompt_len: int  # ids that are read bidirectionally; the answer begins here
    sampling: Sampling  # with seed and max_tokens decided
    max_tokens: int  # of the answer, its given beginning included
    pages: list[int] = field(default_factory=list)
    cached: int = 0  # tokens whose K/V are in the pages
    given: tuple[int, ...] = ()  # the answer's beginning, which is not to be drawn
    draft: list[int] = field(default_factory=list)  # guesses at what follows `ids`, to be checked in the next step
    matching: "Matching | SpanMatching | None" = None  # where the answer stands in its grammar
    partition: str | None = None  # whose prompts it may find again; None: nobody's
    # Set where the prompt has been read elsewhere: the logits after it, which only the runner looks into, and the
    # pages that hold it. The next step copies what is not shared, and draws without reading anything.
    first: object = None
    source: list[int] = field(default_factory=list)
    fresh: object = None  # the logits after its prompt, where the last step drew from them
    is_purged: bool = False  # its pages are overwritten as soon as nobody holds them

    @property
    def reserved_tokens(self) -> int:
        """Tokens of cache that it may come to need."""
        return self.prompt_len + self.max_tokens

    @property
    def pending(self) -> list[int]:
        """Ids that the next step has to read: the whole prompt at first, then a token and the guesses after it."""
        return self.ids[self.cached :] + self.draft

    @property
    def key(self) -> Key | None:
        """What an identical prompt is found by."""
        return None if self.partition is None else (self.partition, tuple(self.ids[: self.prompt_len]))

    @property
    def answered(self) -> int:
        """Tokens of the answer so far."""
        return len(self.ids) - self.prompt_len

    @property
    def written(self) -> int:
        """Tokens whose K/V are in its own pages: fewer than `cached` until the last page of a prompt is copied."""
        has_all = not self.source or self.pages[: len(self.source)] == self.source[: len(self.pages)]
        return self.cached if has_all else min(self.cached, self.shareable * PAGE_TOKENS)

    @property
    def shareable(self) -> int:
        """Pages that the prompt fills, into which no answer is written."""
        return self.prompt_len // PAGE_TOKENS


Choices = list[Sequence]  # of one request; the first one reads the prompt for all


def pages_of(choices: Choices) -> int:
    """Pages that a request needs: those that the prompt fills once, the others for each choice."""
    shared = choices[0].shareable
    return shared + sum(pages_for(sequence.reserved_tokens) - shared for sequence in choices)


def held_up(line: Collection[Choices], pages: int, places: int) -> int:
    """Requests of a line that wait for others to end; those in front of them have room and begin in the next steps.

    Args:
        pages, places: that nobody has.
    """
    for ahead, choices in enumerate(line):
        pages -= pages_of(choices)
        places -= len(choices)
        if pages < 0 or places < 0:
            return len(line) - ahead
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Prompts that are read together, apart from what is written meanwhile."""

    leaders: tuple[Sequence, ...]

    @property
    def tokens(self) -> int:
        """Prompt tokens altogether."""
        return sum(leader.prompt_len for leader in self.leaders)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: one forward of `sequences`, and a slice of `reading`; `admitted` got their pages for it.

    Requests in `awaiting` wait for the same prompt of another one to be read: whether they find it is not known yet.
    """

    sequences: tuple[Sequence, ...]
    admitted: tuple[Sequence, ...]
    reading: Reading | None = None
    awaiting: frozenset[int] = frozenset()
