"""Arithmetic of pages, without tensors: a page holds PAGE_TOKENS tokens of one sequence, in every slot.

Pages that are neighbours are read where they lie; others have to be gathered first, for every slot of every step.
So free pages are kept as runs of neighbours, and a sequence gets one run wherever there is one.
"""

from bisect import bisect_left
from collections.abc import Sequence

PAGE_TOKENS = 16


def rows_of(pages: list[int], start: int, end: int) -> range | list[int]:
    """The storage rows of a sequence's tokens `start` to `end`: a range where its pages are neighbours."""
    if pages == list(range(pages[0], pages[0] + len(pages))):
        first = pages[0] * PAGE_TOKENS
        return range(first + start, first + end)
    return [pages[token // PAGE_TOKENS] * PAGE_TOKENS + token % PAGE_TOKENS for token in range(start, end)]


def pages_for(tokens: int) -> int:
    """Pages that hold `tokens` tokens."""
    return -(-tokens // PAGE_TOKENS)


class FreePages:
    """The pages that nobody holds."""

    def __init__(self, pages: int) -> None:
        """Start with pages 0 to `pages`, all of them free."""
        self._runs = [range(pages)] if pages else []  # in order, and never two that touch
        self._count = pages

    def __len__(self) -> int:
        return self._count

    def take(self, count: int) -> list[int]:
        """Take `count` pages: the smallest run that has them, or else what the largest runs have.

        Args:
            count: at most as many as are free.
        """
        assert 0 <= count <= self._count, "more pages than are free"
        taken: list[int] = []
        while len(taken) < count:
            wanted = count - len(taken)
            enough = [run for run in self._runs if len(run) >= wanted]
            run = min(enough, key=len) if enough else max(self._runs, key=len)
            at = self._runs.index(run)
            taken.extend(run[:wanted])
            self._runs[at : at + 1] = [run[wanted:]] if len(run) > wanted else []
        self._count -= count
        return taken

    def give(self, pages: Sequence[int]) -> None:
        """Take back what nobody holds any more."""
        for page in pages:
            at = bisect_left(self._runs, page, key=lambda run: run.start)
            start, stop = page, page + 1
            if at < len(self._runs) and self._runs[at].start == stop:
                stop = self._runs.pop(at).stop
            if at and self._runs[at - 1].stop == start:
                at -= 1
                start = self._runs.pop(at).start
            self._runs.insert(at, range(start, stop))
        self._count += len(pages)
